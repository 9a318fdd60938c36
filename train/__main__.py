"""``python -m train prepare`` tokenises a recipe's data once, ``python -m train merge`` merges an adapter."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from launch.errors import InputError, exit_cleanly

# Imported when it is called: merging needs nothing of what preparing imports, and the other way round.
COMMANDS = {"prepare": "train.prepare_command", "merge": "train.merge"}


def main(argv: Sequence[str]) -> None:
    """Run the command that is named first.

    Raises:
        InputError: there is no such command.
    """
    command = argv[0] if argv else ""
    if command in ("-h", "--help"):
        print(f"{__doc__}\n\npython -m train {{{','.join(COMMANDS)}}} --help says more.")
        return
    if command not in COMMANDS:
        said = f"there is no command '{command}'" if command else "no command is given"
        raise InputError(f"python -m train: {said}; commands: {', '.join(COMMANDS)}")
    importlib.import_module(COMMANDS[command]).main(argv[1:])


if __name__ == "__main__":
    exit_cleanly(main)
