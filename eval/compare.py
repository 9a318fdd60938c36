"""Comparing runs over the same items: paired differences with intervals, and a verdict that allows for many languages.

``scored_run`` reads a run with its scores; ``compare_runs`` is the comparison itself; ``write_comparison`` its files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from data_prep.languages import LANGUAGES
from data_prep.pages import render_page
from data_prep.schema import storable
from eval.folder import REPORT_FILE, Run, read_json, read_run, read_scores, write_json, write_text
from eval.score import AVERAGE, HEADLINE, PAIRED, Scores
from eval.stats import Comparison, compare_paired, holm
from launch.errors import InputError

PAGES = Path(__file__).parent / "pages"
SIGNIFICANCE = 0.05
Verdict = Literal["better", "worse", "no difference shown"]


@dataclass(frozen=True)
class ScoredRun:
    """A finished evaluation: what was asked, its report, and every item's score by task and language."""

    folder: Path
    run: Run
    report: dict[str, Any]
    scores: dict[str, dict[str, Scores]]


@dataclass(frozen=True)
class Compared:
    """The second run against the first, in one task and language (or ``average``, all languages alike).

    Args:
        metric: what was compared: ``accuracy`` (0 to 1) or the mean of sentence ``chrf++`` (0 to 100).
        first, second: mean of each run; difference: second - first; low, high: its 95 % interval.
        only_first, only_second: items on which just that run scores higher.
        p_value: of the paired test; p_adjusted: after Holm over the languages of the task (the average is one test).
        verdict: on ``p_adjusted`` at 5 %, from the second run's side.
        minimum_detectable: the smallest true difference that so many items find with 80 % power.
    """

    task: str
    language: str
    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p_value: float
    p_adjusted: float
    verdict: Verdict
    minimum_detectable: float
    n: int


def scored_run(folder: Path) -> ScoredRun:
    """Read a finished evaluation.

    Raises:
        InputError: it is none, or it was not scored.
    """
    run = read_run(folder)
    report = read_json(folder / REPORT_FILE, what=f"run 'python -m eval score {folder}'")
    scores = {
        name: {language: read_scores(folder, run, name, language) for language in entry.items}
        for name, entry in run.tasks.items()
    }
    return ScoredRun(folder, run, report, scores)


def compare_runs(first: ScoredRun, second: ScoredRun) -> list[Compared]:
    """Compare two runs over the same items, in the order of the first run's tasks and languages.

    Raises:
        InputError: the runs were asked different things; the message says which.
    """
    refuse_different_items(first, second)
    rows: list[Compared] = []
    for name, by_language in first.scores.items():
        kind = first.run.tasks[name].task.kind
        found = [
            _compared(name, language, kind, {language: scores}, second.scores[name], seed=first.run.seed)
            for language, scores in by_language.items()
        ]
        adjusted = holm([row.p_value for row in found])
        rows += [_judged(row, p) for row, p in zip(found, adjusted, strict=True)]
        if len(found) > 1:
            average = _compared(name, AVERAGE, kind, by_language, second.scores[name], seed=first.run.seed)
            rows.append(_judged(average, average.p_value))
    return rows


def refuse_different_items(first: ScoredRun, second: ScoredRun, *, whole_tasks: bool = True) -> None:
    """Raise InputError naming the first difference between what two runs were asked.

    Without ``whole_tasks`` a task that one run lacks is no difference.
    """
    a, b = first.folder, second.folder
    for name in dict.fromkeys([*first.scores, *second.scores]):
        for here, there in ((first, second), (second, first)):
            if name not in there.scores and whole_tasks:
                raise InputError(
                    f"{a} and {b} cannot be compared: task '{name}' is only in {here.folder}; evaluate both alike"
                )
        if name not in first.scores or name not in second.scores:
            continue
        if first.run.tasks[name].task.kind != second.run.tasks[name].task.kind:
            raise InputError(f"{a} and {b} cannot be compared: task '{name}' is of another kind in each")
        for here, there in ((first, second), (second, first)):
            for language, scores in here.scores[name].items():
                if language not in there.scores[name]:
                    raise InputError(
                        f"{a} and {b} cannot be compared: task '{name}' has '{language}' only in {here.folder}; "
                        "evaluate both alike"
                    )
                others = {score["item"] for score in there.scores[name][language]}
                missing = [score["id"] for score in scores if score["item"] not in others]
                if missing:
                    raise InputError(
                        f"{a} and {b} cannot be compared: {len(missing)} of {len(scores)} items of task '{name}' in "
                        f"'{language}' are only in {here.folder} (the first is '{missing[0]}'); evaluate both on the "
                        "same data with the same limit and seed"
                    )


def paired_scores(
    kind: str, first: Mapping[str, Scores], second: Mapping[str, Scores]
) -> tuple[list[float], list[float], list[str]]:
    """Scores of both runs item by item over the languages of ``first``, and each item's problem.

    Where languages differ in size, scores are weighted so that their plain mean is the mean of the languages' means.
    """
    field = PAIRED[kind]
    total = sum(len(scores) for scores in first.values())
    a: list[float] = []
    b: list[float] = []
    clusters: list[str] = []
    for language, scores in first.items():
        weight = total / (len(first) * len(scores))
        others = {score["item"]: score for score in second[language]}
        for score in scores:
            mine, theirs = score[field], others[score["item"]][field]
            if mine is None or theirs is None:  # a likelihood that could not be measured
                continue
            a.append(float(mine) * weight)
            b.append(float(theirs) * weight)
            clusters.append(score["cluster"])
    return a, b, clusters


def compare_scores(
    kind: str, first: Mapping[str, Scores], second: Mapping[str, Scores], *, seed: int = 0
) -> Comparison:
    """The second run's scores against the first's over all languages of ``first``, problems in several kept together.

    With a single problem nothing can be said: no interval narrower than everything, p-value 1.
    """
    a, b, clusters = paired_scores(kind, first, second)
    problems = len(set(clusters))
    if problems < 2:
        difference = (sum(b) - sum(a)) / len(a)
        reach = 1.0 if kind == "reasoning" else 100.0
        return Comparison(difference, -reach, reach, 1.0, reach, len(a))
    return compare_paired(b, a, clusters=clusters if problems < len(clusters) else None, seed=seed)


def other_differences(first: Run, second: Run) -> list[str]:
    """What differs between two runs beside the model and so may explain a difference, as short sentences."""
    notes: list[str] = []
    for name in first.tasks:
        if name not in second.tasks:
            continue
        a, b = asdict(first.tasks[name].task), asdict(second.tasks[name].task)
        notes += [
            f"task {name}: {key} is {_brief(a[key], b[key])} in the first run, {_brief(b[key], a[key])} in the second"
            for key in ("sampling", "prompt", "thinking", "thinking_budget", "chain_language", "answer_language")
            if a[key] != b[key]
        ]
    versions = first.package_versions, second.package_versions
    for package in dict.fromkeys([*versions[0], *versions[1]]):
        old, new = (version.get(package, "not installed") for version in versions)
        if old != new:
            notes.append(f"generated with {package} {old} and {new}")
    return notes


def write_comparison(folder: Path, first: ScoredRun, second: ScoredRun, rows: Sequence[Compared]) -> None:
    """Write ``comparison.json`` and ``comparison.html``."""
    notes = other_differences(first.run, second.run)
    content = {
        "first": {"name": first.run.name, "model": first.run.model, "engine_identity": first.run.engine_identity},
        "second": {"name": second.run.name, "model": second.run.model, "engine_identity": second.run.engine_identity},
        "significance": SIGNIFICANCE,
        "other_differences": notes,
        "comparisons": [asdict(row) for row in rows],
    }
    groups = []
    for name in dict.fromkeys(row.task for row in rows):
        own = [row for row in rows if row.task == name]
        reach = max(max(abs(row.low), abs(row.high)) for row in own) or 1.0
        entry = first.run.tasks[name].task
        groups.append({"task": entry, "rows": own, "reach": reach, "metric": own[0].metric})
    page = render_page(
        PAGES / "comparison.html.jinja",
        title=f"{second.run.name} against {first.run.name}",
        first=first.run,
        second=second.run,
        groups=groups,
        notes=notes,
        average=AVERAGE,
        language_names={code: language.native_name for code, language in LANGUAGES.items()} | {AVERAGE: "average"},
    )
    write_text(folder / "comparison.html", storable(page))
    write_json(folder / "comparison.json", content)


def _compared(
    task: str, language: str, kind: str, first: Mapping[str, Scores], second: Mapping[str, Scores], *, seed: int
) -> Compared:
    found = compare_scores(kind, first, second, seed=seed)
    a, b, _ = paired_scores(kind, first, second)
    return Compared(
        task=task,
        language=language,
        metric=HEADLINE[kind],
        first=sum(a) / len(a),
        second=sum(b) / len(b),
        difference=found.difference,
        low=found.low,
        high=found.high,
        only_first=sum(x > y for x, y in zip(a, b, strict=True)),
        only_second=sum(y > x for x, y in zip(a, b, strict=True)),
        p_value=found.p_value,
        p_adjusted=found.p_value,
        verdict="no difference shown",
        minimum_detectable=found.minimum_detectable,
        n=found.n,
    )


def _judged(row: Compared, p_adjusted: float) -> Compared:
    verdict: Verdict = "no difference shown"
    if p_adjusted < SIGNIFICANCE:
        verdict = "better" if row.difference > 0 else "worse"
    return Compared(**(asdict(row) | {"p_adjusted": p_adjusted, "verdict": verdict}))


def _brief(value: Any, other: Any) -> str:
    """A value, or of a mapping only what differs."""
    if isinstance(value, dict) and isinstance(other, dict):
        return ", ".join(f"{key} {item!r}" for key, item in value.items() if other.get(key) != item) or "unset"
    return repr(value)
