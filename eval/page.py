"""``report.html``: the report for people, with every generation in it to browse; one file that opens from disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from data_prep.languages import LANGUAGES
from data_prep.pages import render_page
from data_prep.schema import storable
from eval.folder import Generation
from eval.plots import interval_plot
from eval.score import AVERAGE, HEADLINE, TRANSLATION_EXTRAS, Scores, reasoning_metrics
from launch.thinking import split_thinking

PAGES = Path(__file__).parent / "pages"
MAIN_METRICS = (
    "accuracy", "accuracy_if_finished", "accuracy_and_language", "both_in_language", "closed_rate", "truncated_rate",
    "mean_completion_tokens", "bleu", "chrf++", "lid_accuracy", "similarity",
)  # fmt: skip
LONGEST_TEXT = 20_000  # characters of one chain or answer that the page carries

_TRANSLATION_TITLES = {
    "bleu": "BLEU",
    "chrf++": "chrF++",
    "lid_accuracy": "in the language",
    "lid_undetermined": "language cannot be told",
    "similarity": "similarity",
}


@dataclass(frozen=True)
class Column:
    """One metric as a column: how its values are shown, with how many decimals; ``maximum`` ends the drawn scale."""

    name: str
    title: str
    as_percent: bool
    maximum: float
    digits: int = 1


def columns(task: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Column]:
    """The metrics that a task of a report has, in order.

    ``task`` is an entry of the report's ``tasks``, ``metrics`` the entry of its ``metrics``.
    """
    present = list(dict.fromkeys(name for by_metric in metrics.values() for name in by_metric))
    known = reasoning_metrics(task["chain_language"]) if task["kind"] == "reasoning" else TRANSLATION_EXTRAS
    titles = _TRANSLATION_TITLES | {metric.name: metric.title for metric in known}
    shares = {metric.name for metric in known if metric.share} | {"lid_accuracy", "lid_undetermined"}
    result = []
    for name in present:
        values = [by_metric[name]["high"] or by_metric[name]["value"] or 0 for by_metric in metrics.values()]
        whole = (
            1.0
            if name in shares or name == "similarity"
            else 100.0
            if name in ("bleu", "chrf++")
            else max(1.0, *values)
        )
        result.append(Column(name, titles.get(name, name), name in shares, whole, 2 if name == "similarity" else 1))
    return result


def render_report(
    report: Mapping[str, Any],
    generations: Mapping[str, Mapping[str, Sequence[Generation]]],
    scores: Mapping[str, Mapping[str, Scores]],
) -> str:
    """The page of one report; ``generations`` and ``scores`` are by task and language, in the same order of items."""
    rows = [
        _browsed(generation, score)
        for name, by_language in generations.items()
        for language, listed in by_language.items()
        for generation, score in zip(listed, scores[name][language], strict=True)
    ]
    tasks = []
    for name, task in report["tasks"].items():
        every = columns(task, report["metrics"][name])
        tasks.append(
            {
                "name": name,
                **task,
                "sampling": report["sampling"][name],
                "data": report["data"][name],
                "metrics": report["metrics"][name],
                "main": [column for column in every if column.name in MAIN_METRICS],
                "more": [column for column in every if column.name not in MAIN_METRICS],
                "states": report["thinking_states"][name],
                "methods": report["grading_methods"].get(name, {}),
                "signatures": report["sacrebleu_signatures"].get(name, {}),
                "errors": report["errors"][name],
            }
        )
    page = render_page(
        PAGES / "report.html.jinja",
        title=f"Evaluation of {report['name']}",
        report=report,
        tasks=tasks,
        plots=_plots(report),
        language_names={code: language.native_name for code, language in LANGUAGES.items()} | {AVERAGE: "average"},
        average=AVERAGE,
        generations=htmlsafe_json_dumps(rows, ensure_ascii=False, separators=(",", ":"), sort_keys=False),
        count=len(rows),
    )
    return storable(page)


def plot_by_language(series: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]], kind: str) -> Markup:
    """The headline metric of reasoning or translation, ``series`` being name → language → metric → estimate."""
    metric = HEADLINE[kind]
    groups = [code for code in LANGUAGES if any(code in by_language for by_language in series.values())]
    groups.append(AVERAGE)
    values = {
        name: {code: by[metric] for code, by in by_language.items() if metric in by}
        for name, by_language in series.items()
    }
    if kind == "reasoning":
        return interval_plot(values, groups, label="accuracy, %")
    return interval_plot(values, groups, label="chrF++", scale=1.0, top=100.0)


def _plots(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    plots = []
    for kind, title in (("reasoning", "Accuracy by language"), ("translation", "chrF++ by language")):
        series = {name: report["metrics"][name] for name, task in report["tasks"].items() if task["kind"] == kind}
        if series:
            plots.append({"title": title, "svg": plot_by_language(series, kind)})
    return plots


def _browsed(generation: Generation, score: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of one generation; absent keys are absent on the page."""
    thinking = split_thinking(generation.completion, generation.opened_by_prompt)
    row: dict[str, Any] = {
        "id": generation.id,
        "task": generation.task,
        "language": generation.language,
        "state": score["state"],
        "question": generation.text,
        "chain": _shortened(thinking.reasoning),
        "answer": _shortened(thinking.answer),
        "gold": generation.gold,
        "reference": generation.reference,
        "tokens": generation.completion_tokens,
        "cut": generation.finish_reason == "length" or None,
        "error": generation.error,
    }
    if generation.reference is None:
        row["result"] = "right" if score["correct"] else "wrong"
        row["method"] = score["method"]
        row["extracted"] = score["extracted"]
        row["chain_language"] = score.get("chain_language")
        row["answer_language"] = score.get("answer_language")
        row["chain_expected"] = score.get("chain_expected")
        row["answer_expected"] = score.get("answer_expected")
    else:
        row["chrf"] = round(score["chrf"], 1)
    return {key: value for key, value in row.items() if value is not None}


def _shortened(text: str | None) -> str | None:
    if text is None or len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]} […] ({len(text) - LONGEST_TEXT:,} more characters in the generations folder)"
