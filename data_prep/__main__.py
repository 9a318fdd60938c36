"""``python -m data_prep build | inspect | push``: make a build, look at it, put it on the hub."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from launch.errors import InputError, exit_cleanly

if TYPE_CHECKING:
    from data_prep.config import BuildConfig

_USAGE = """usage: python -m data_prep build --config RECIPE --output_dir D   (build --help names every key)
       python -m data_prep build --config RECIPE --output_dir D --pilot N   (N rows a category: what would it come to?)
       python -m data_prep inspect D [--samples N] [--language L] [--category C] [--reason R]
                                    [--html FILE.html [--limit N]]
       python -m data_prep push D --repo NAME [--public] [--rejects]"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see python -m data_prep --help")


def main(argv: Sequence[str]) -> None:
    """Run one of the commands."""
    command, *rest = argv or ["--help"]
    if command in ("-h", "--help"):
        print(_USAGE)
    elif command == "build":
        _build(rest)
    elif command == "inspect":
        _inspect(rest)
    elif command == "push":
        _push(rest)
    else:
        raise InputError(f"there is no command '{command}'; the commands are build, inspect and push")


def _build(argv: Sequence[str]) -> None:
    from rich.console import Console

    from data_prep.build import run_build
    from data_prep.config import BuildConfig
    from data_prep.inspect import show_summary
    from launch.recipe import parse_recipe

    config = parse_recipe(BuildConfig, argv, prog="python -m data_prep build")
    if config.pilot is not None:
        _pilot(config)
        return
    manifest = run_build(config)
    folder = Path(config.output_dir)
    show_summary(manifest, folder, Console())
    print(f"rows: {folder / 'data'}   look at them: python -m data_prep inspect {folder}")


def _pilot(config: BuildConfig) -> None:
    from rich.console import Console

    from data_prep.pilot import PILOT, run_pilot
    from data_prep.verdict import show_pilot

    report = run_pilot(config)
    folder = Path(config.output_dir) / PILOT
    show_pilot(report, Console())
    print(f"report: {folder / 'pilot.json'}   rows and rejects: python -m data_prep inspect {folder}")


def _push(argv: Sequence[str]) -> None:
    from data_prep.push import push_build

    parser = _Parser(
        prog="python -m data_prep push",
        description="Put a finished build on the Hugging Face hub: rows, data set card and manifest. The token is "
        "read from the environment variable HF_TOKEN.",
    )
    parser.add_argument("build", type=Path, help="the output_dir of a build")
    parser.add_argument("--repo", required=True, metavar="NAME", help="the data set's name, as USER/NAME")
    parser.add_argument("--public", action="store_true", help="anyone may read it; without this it is private")
    parser.add_argument("--rejects", action="store_true", help="also the rows that were left out")
    options = parser.parse_args(list(argv))
    pushed = push_build(options.build, options.repo, public=options.public, rejects=options.rejects)
    print(f"pushed: {pushed.address}   {pushed.files} files, {'private' if pushed.private else 'public'}")


def _inspect(argv: Sequence[str]) -> None:
    parser = _Parser(prog="python -m data_prep inspect", description="Show what a build holds.")
    parser.add_argument("build", type=Path, help="the output_dir of a build")
    parser.add_argument("--samples", type=int, default=1, help="rows a language, and rejects a language and reason")
    parser.add_argument("--language", help="only this language")
    parser.add_argument("--category", help="only this category")
    parser.add_argument("--reason", help="only rejects with this reason")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page on which rows and rejects are browsed")
    parser.add_argument("--limit", type=int, help="rows, and rejects, of a language that the page carries (1000)")
    options = parser.parse_args(list(argv))
    if options.html is not None:
        _write_page(options)
    elif options.limit is not None:
        raise InputError("--limit says what a page carries; give --html FILE with it, or --samples for the terminal")
    else:
        _show(options)


def _write_page(options: argparse.Namespace) -> None:
    from rich.filesize import decimal

    from data_prep.browse import LIMIT, write_browser
    from data_prep.survey import Selection

    selection = Selection(options.language, options.category, options.reason)
    limit = LIMIT if options.limit is None else options.limit
    carried, found = write_browser(options.build, options.html, selection, limit)
    print(f"page: {options.html}   {carried} of {found} rows, {decimal(options.html.stat().st_size)}")


def _show(options: argparse.Namespace) -> None:
    from rich.console import Console

    from data_prep.inspect import show_build

    show_build(
        options.build,
        Console(),
        samples=options.samples,
        language=options.language,
        category=options.category,
        reason=options.reason,
    )


if __name__ == "__main__":
    exit_cleanly(main)
