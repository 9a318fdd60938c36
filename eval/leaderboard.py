"""The leaderboard: finished evaluations in; a ranked page, its JSON and Markdown, and every report out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from data_prep.languages import LANGUAGES
from data_prep.pages import render_page
from data_prep.schema import storable
from eval.compare import SIGNIFICANCE, ScoredRun, compare_scores, refuse_different_items, scored_run
from eval.folder import REPORT_FILE, REPORT_PAGE, write_json, write_text
from eval.page import PAGES, columns, plot_by_language
from eval.score import AVERAGE, HEADLINE
from eval.stats import holm
from launch.errors import InputError

NAMES = {code: language.native_name for code, language in LANGUAGES.items()} | {AVERAGE: "average"}


@dataclass(frozen=True)
class Standing:
    """One task of the leaderboard.

    Args:
        task: its name; kind and title as the runs have them.
        languages: ``average`` first, then the languages.
        ranks: run → rank by the average of the headline metric; equal values share a rank.
        marks: run → language → ``best``, or ``tied``: not shown to be worse than the best (paired, 5 %, Holm).
    """

    task: str
    kind: str
    title: str
    languages: list[str]
    ranks: dict[str, int]
    marks: dict[str, dict[str, str]]


def write_leaderboard(folders: Sequence[Path], site: Path, *, sort_by: str | None = None) -> Path:
    """Rank evaluations and write the leaderboard's files and a copy of every report; returns the page.

    Every task has a ranking of its own, by the macro average of its headline metric. The runs as a whole are in the
    order of the task ``sort_by``; by default the first reasoning task, or the first of all.

    Raises:
        InputError: a folder is no finished evaluation, is named twice, or two runs were asked different items or
            languages in a task that both have.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("the same evaluation is named twice; name every folder once")
    read = [scored_run(folder) for folder in folders]
    for number, run in enumerate(read):
        for earlier in read[:number]:
            refuse_different_items(earlier, run, whole_tasks=False)
    runs = dict(zip(_unique_names(read), read, strict=True))
    kinds = {name: run.run.tasks[name].task.kind for run in read for name in run.scores}
    first = sort_by or next((name for name in kinds if kinds[name] == "reasoning"), next(iter(kinds)))
    if first not in kinds:
        raise InputError(f"no run has the task '{first}' to sort by; there are: {', '.join(kinds)}")
    standings = {name: _standing(runs, name, kind) for name, kind in kinds.items()}
    entries = [
        {
            "rank": standings[first].ranks.get(name),
            "tied_with_best": standings[first].marks.get(name, {}).get(AVERAGE) in ("best", "tied"),
            "name": name,
            "model": run.run.model,
            "revision": run.run.revision,
            "report": f"reports/{_slug(name)}/{REPORT_PAGE}",
            "metrics": run.report["metrics"],
            "standing": {task: standing.marks[name] for task, standing in standings.items() if name in standing.marks},
        }
        for name, run in sorted(runs.items(), key=lambda item: standings[first].ranks.get(item[0], len(runs) + 1))
    ]
    tables = [_table(standing, runs, entries) for standing in standings.values()]
    page = render_page(
        PAGES / "leaderboard.html.jinja",
        title="Leaderboard",
        entries=entries,
        tables=tables,
        sort_by=first,
        average=AVERAGE,
        language_names=NAMES,
    )
    for name, run in runs.items():
        for file in (REPORT_PAGE, REPORT_FILE):
            write_text(site / "reports" / _slug(name) / file, _report_text(run, file))
    write_text(site / "leaderboard.md", storable(_markdown(tables)))
    write_text(site / "index.html", storable(page))
    write_json(site / "leaderboard.json", {"sort_by": first, "metric": HEADLINE[kinds[first]], "runs": entries})
    return site / "index.html"


def _report_text(run: ScoredRun, file: str) -> str:
    path = run.folder / file
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read; run 'python -m eval score {run.folder}'") from error


def _standing(runs: Mapping[str, ScoredRun], task: str, kind: str) -> Standing:
    having = {name: run for name, run in runs.items() if task in run.scores}
    present = next(iter(having.values()))
    languages = [AVERAGE, *(code for code in LANGUAGES if code in present.scores[task])]
    marks: dict[str, dict[str, str]] = {name: {} for name in having}
    for language in languages:
        for name, mark in _marks(having, task, kind, language).items():
            marks[name][language] = mark
    values = {name: _value(run, task, kind) for name, run in having.items()}
    ranks = {name: 1 + sum(other > value for other in values.values()) for name, value in values.items()}
    return Standing(task, kind, present.run.tasks[task].task.title, languages, ranks, marks)


def _marks(runs: Mapping[str, ScoredRun], task: str, kind: str, language: str) -> dict[str, str]:
    values = {name: _value(run, task, kind, language) for name, run in runs.items()}
    best = max(values, key=lambda name: values[name])
    others = [name for name in runs if name != best]
    if not others:
        return {}
    scores = {
        name: run.scores[task] if language == AVERAGE else {language: run.scores[task][language]}
        for name, run in runs.items()
    }
    adjusted = holm([compare_scores(kind, scores[name], scores[best]).p_value for name in others])
    marks = {best: "best"}
    for name, p_value in zip(others, adjusted, strict=True):
        if values[name] == values[best]:
            marks[name] = "best"
        elif p_value >= SIGNIFICANCE:
            marks[name] = "tied"
    return marks


def _value(run: ScoredRun, task: str, kind: str, language: str = AVERAGE) -> float:
    """The headline metric; it has a value wherever a task has items."""
    return float(run.report["metrics"][task][language][HEADLINE[kind]]["value"])


def _table(standing: Standing, runs: Mapping[str, ScoredRun], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the page and the Markdown show of one task."""
    task = standing.task
    reports = {name: runs[name].report for name in standing.ranks}
    metrics = {
        f"{name} {code}": by for name, report in reports.items() for code, by in report["metrics"][task].items()
    }
    every = columns(next(iter(reports.values()))["tasks"][task], metrics)
    headline = next(column for column in every if column.name == HEADLINE[standing.kind])
    return {
        "name": task,
        "title": standing.title,
        "languages": standing.languages,
        "ranks": standing.ranks,
        "column": headline,
        "others": [column for column in every if column != headline],
        "entries": sorted(
            (entry for entry in entries if entry["name"] in standing.ranks), key=lambda e: standing.ranks[e["name"]]
        ),
        "plotted": "Loss" if standing.kind == "likelihood" else headline.title[:1].upper() + headline.title[1:],
        "plot": plot_by_language({name: report["metrics"][task] for name, report in reports.items()}, standing.kind),
    }


def _markdown(tables: Sequence[Mapping[str, Any]]) -> str:
    parts = [
        "# Leaderboard",
        "",
        "95 % intervals in brackets; **bold** is the best of a column, † not shown to be worse.",
    ]
    for table in tables:
        rows = [
            [table["ranks"][entry["name"]], f"[{_cell(entry['name'])}]({entry['report']})"]
            + [_markdown_cell(entry, table, language) for language in table["languages"]]
            for entry in table["entries"]
        ]
        heads = ["rank", "run", *(NAMES[language] for language in table["languages"])]
        parts += ["", f"## {_cell(table['title'])}: {table['column'].title}", ""]
        parts.append(tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True))
    return "\n".join(parts) + "\n"


def _markdown_cell(entry: Mapping[str, Any], table: Mapping[str, Any], language: str) -> str:
    column = table["column"]
    estimate = entry["metrics"][table["name"]].get(language, {}).get(column.name)
    if estimate is None or estimate["value"] is None:
        return "–"
    scale = 100 if column.as_percent else 1
    text = f"{estimate['value'] * scale:.{column.digits}f}"
    mark = entry["standing"][table["name"]].get(language)
    text = f"**{text}**" if mark == "best" else f"{text}†" if mark == "tied" else text
    if estimate["low"] is None:
        return text
    return f"{text} [{estimate['low'] * scale:.{column.digits}f}, {estimate['high'] * scale:.{column.digits}f}]"


def _cell(text: str) -> str:
    return re.sub(r"([\\|\[\]<>`*_])", r"\\\1", " ".join(text.split()))


def _unique_names(runs: Sequence[ScoredRun]) -> list[str]:
    names: list[str] = []
    for run in runs:
        name, number = run.run.name, 2
        while name in names or _slug(name) in map(_slug, names):
            name, number = f"{run.run.name} ({number})", number + 1
        names.append(name)
    return names


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower() or "run"
