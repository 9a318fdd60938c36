"""Builds of the same rows side by side, as Markdown tables: what each kept, what it lost and why, what it cost.

``python -m data_prep.compare BUILD BUILD … [--quality FOLDER …] [--page PAGE.md --name NAME]`` reads what finished
builds say about themselves (``manifest.json``, ``run.json``) and, where translations were scored against people's
(``python -m eval translations``), the ``translations.json`` of each. With ``--page`` the tables take the place of what
stands between ``<!-- NAME -->`` and ``<!-- /NAME -->`` in the page, so that no figure is ever copied by hand.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.exclusions import FORMAT_REASONS
from data_prep.languages import LANGUAGES
from data_prep.manifest import read_manifest
from data_prep.pages import grouped, percent
from launch.errors import InputError, exit_cleanly
from launch.files import write_whole

_MOST_REASONS = 6  # columns of the table; the others are counted together


def losses_table(builds: Sequence[Path]) -> str:
    """A line a language and build: rows, kept rows, rows lost by reason, lost bytes, and by a broken contract.

    Raises:
        InputError: a folder holds no finished build.
    """
    rows = []
    reasons: dict[str, int] = {}
    for build in builds:
        manifest = read_manifest(build)
        for language in _targets(manifest):
            lines = [line for line in manifest["exclusion"] if line["language"] == language]
            lost = _sums(lines, "rows")
            for reason, count in lost.items():
                reasons[reason] = reasons.get(reason, 0) + count
            rows.append((language, build, lines, lost))
    shown = sorted(reasons, key=lambda reason: (reason not in FORMAT_REASONS, -reasons[reason]))[:_MOST_REASONS]
    head = ["", "rows", "kept", *(reason.replace("_", " ") for reason in shown), "other", "lost bytes", "… by format"]
    table = []
    for language, build, lines, lost in sorted(rows, key=lambda row: _place(row[0])):
        size = sum(line["bytes"] for line in lines)
        lost_bytes = _sums(lines, "bytes")
        other = sum(count for reason, count in lost.items() if reason not in shown)
        table.append(
            [
                f"{LANGUAGES[language].name}, {build.name}",
                grouped(sum(line["rows"] for line in lines)),
                grouped(sum(line["kept_rows"] for line in lines)),
                *(grouped(lost.get(reason, 0)) for reason in shown),
                grouped(other),
                percent(sum(lost_bytes.values()) / size if size else None),
                percent(sum(lost_bytes.get(reason, 0) for reason in FORMAT_REASONS) / size if size else None),
            ]
        )
    return _markdown(head, table)


def costs_table(builds: Sequence[Path]) -> str:
    """A line a build: requests and tokens of all its languages, tokens a kept row, and the time it took.

    Raises:
        InputError: a folder holds no finished build, or not what the build cost.
    """
    head = ["", "requests", "prompt tokens", "completion tokens", "… a kept row", "seconds"]
    table = []
    for build in builds:
        manifest = read_manifest(build)
        targets = _targets(manifest)
        used = _read(build / "run.json", "a build writes it when it ends")["languages"]
        total = {
            key: sum(used.get(language, {}).get(key, 0) for language in targets)
            for key in ("requests", "prompt_tokens", "completion_tokens", "seconds")
        }
        kept = sum(line["kept_rows"] for line in manifest["exclusion"] if line["language"] in targets)
        table.append(
            [
                build.name,
                *(grouped(total[key]) for key in ("requests", "prompt_tokens", "completion_tokens")),
                grouped(round(total["completion_tokens"] / kept)) if kept else "–",
                grouped(round(total["seconds"])),
            ]
        )
    return _markdown(head, table)


def quality_table(scored: Sequence[Path]) -> str:
    """A line a language, folder and group of rows: how near the translations are to those of people.

    Raises:
        InputError: a folder holds no ``translations.json``.
    """
    head = ["", "n", "BLEU", "chrF++", "in the language, %", "similarity"]
    rows = []
    for folder in scored:
        report = _read(folder / "translations.json", "`python -m eval translations` writes it")
        for language, groups in report["metrics"].items():
            for group, metrics in groups.items():
                if metrics["chrf++"]["n"]:
                    rows.append((language, f"{folder.name}, {group}", metrics))
    table = [
        [
            f"{LANGUAGES[language].name}, {name}",
            grouped(metrics["chrf++"]["n"]),
            _interval(metrics["bleu"], 1),
            _interval(metrics["chrf++"], 1),
            _interval(metrics["lid_accuracy"], 0, 100),
            _interval(metrics.get("similarity"), 2),
        ]
        for language, name, metrics in sorted(rows, key=lambda row: _place(row[0]))
    ]
    return _markdown(head, table)


def fill(page: Path, name: str, tables: str) -> None:
    """Put tables into a page, in the place of those that stand between its two marks.

    Raises:
        InputError: the page cannot be read, or does not have the marks once each.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the page {page} cannot be read: {error}") from error
    if text.count(begin) != 1 or text.count(end) != 1:
        raise InputError(f"{page} needs a line {begin} and, after it, a line {end}; the tables go between them")
    pattern = re.compile(re.escape(begin) + ".*" + re.escape(end), re.DOTALL)
    write_whole(page, pattern.sub(lambda match: f"{begin}\n\n{tables}\n\n{end}", text))


def main(argv: Sequence[str]) -> None:
    """Print the tables, or put them into a page."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.compare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("builds", nargs="+", type=Path, metavar="BUILD", help="finished builds of the same rows")
    parser.add_argument("--quality", nargs="*", type=Path, default=[], help="their `python -m eval translations`")
    parser.add_argument("--page", type=Path, help="a Markdown page that the tables go into")
    parser.add_argument("--name", default="figures", help="the name of the marks in the page (default: figures)")
    options = parser.parse_args(list(argv))
    tables = [losses_table(options.builds), costs_table(options.builds)]
    if options.quality:
        tables.append(quality_table(options.quality))
    text = "\n\n".join(tables)
    if options.page is None:
        print(text)
    else:
        fill(options.page, options.name, text)


def _targets(manifest: Mapping[str, Any]) -> list[str]:
    return list(manifest["recipe"]["target_languages"])


def _place(language: str) -> int:
    return list(LANGUAGES).index(language)


def _sums(lines: Iterable[Mapping[str, Any]], unit: str) -> dict[str, int]:
    """Lost rows or bytes by reason, over the categories."""
    sums: dict[str, int] = {}
    for line in lines:
        for reason, part in line["reasons"].items():
            sums[reason] = sums.get(reason, 0) + part[unit]
    return sums


def _read(path: Path, origin: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); {origin}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object; {origin}")
    return content


def _interval(estimate: Mapping[str, Any] | None, digits: int, factor: float = 1) -> str:
    """``12.3 [10.0, 14.5]``; without the brackets where one row has no interval."""
    if estimate is None or estimate["value"] is None:
        return "–"
    value, low, high = (None if estimate[key] is None else factor * estimate[key] for key in ("value", "low", "high"))
    return f"{value:.{digits}f}" + ("" if low is None else f" [{low:.{digits}f}, {high:.{digits}f}]")


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(_lines(head, rows))


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    exit_cleanly(main)
