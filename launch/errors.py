"""Bad input ends every program of Polythink the same way: one sentence on stderr and exit status 2."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, where, and what to do about it."""


def some_of(names: Sequence[str], most: int = 3) -> str:
    """The first names for a message, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def exit_cleanly(main: Callable[[Sequence[str]], None]) -> None:
    """Run a program's ``main(argv)``; InputError becomes one line and status 2, Ctrl-C status 130."""
    try:
        main(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: what is finished is kept; the same command goes on from there", file=sys.stderr)
        sys.exit(130)
