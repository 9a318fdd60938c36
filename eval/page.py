"""``report.html``: the report for people, with every generation in it to browse; one file that opens from disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from data_prep.languages import LANGUAGES
from data_prep.pages import embedded, render_page, shortened
from data_prep.schema import storable
from eval.folder import Generation
from eval.plots import interval_plot
from eval.score import AVERAGE, HEADLINE, LIKELIHOOD_METRICS, TRANSLATION_EXTRAS, Scores, reasoning_metrics
from launch.thinking import split_thinking

PAGES = Path(__file__).parent / "pages"
MAIN_METRICS = (
    "accuracy", "accuracy_if_finished", "accuracy_and_language", "both_in_language", "closed_rate", "truncated_rate",
    "mean_completion_tokens", "log_likelihood", "loss", "mean_answer_tokens", "bleu", "chrf++", "lid_accuracy",
    "similarity",
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
    """One metric as a column: how its values are shown, with how many decimals, on a scale from where to where."""

    name: str
    title: str
    as_percent: bool
    maximum: float
    digits: int = 1
    minimum: float = 0.0


def columns(task: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Column]:
    """The metrics that a task of a report has, in order; without those that were observed nowhere.

    ``task`` is an entry of the report's ``tasks``, ``metrics`` the entry of its ``metrics``.
    """
    observed = (
        name
        for by_metric in metrics.values()
        for name, value in by_metric.items()
        if value["value"] is not None or name == HEADLINE[task["kind"]]
    )
    present = list(dict.fromkeys(observed))
    known = {
        "reasoning": reasoning_metrics(task["chain_language"]),
        "translation": TRANSLATION_EXTRAS,
        "likelihood": LIKELIHOOD_METRICS,
    }[task["kind"]]
    titles = _TRANSLATION_TITLES | {metric.name: metric.title for metric in known}
    shares = {metric.name for metric in known if metric.share} | {"lid_accuracy", "lid_undetermined"}
    result = []
    for name in present:
        having = [by_metric[name] for by_metric in metrics.values() if name in by_metric]
        highest = [value["high"] or value["value"] or 0 for value in having]
        lowest = [value["low"] or value["value"] or 0 for value in having]
        ends = {"similarity": 1.0, "bleu": 100.0, "chrf++": 100.0, "log_likelihood": 0.0}
        maximum = 1.0 if name in shares else ends.get(name, max(1.0, *highest))
        digits = {"similarity": 2, "log_likelihood": 3, "loss": 3}.get(name, 1)
        result.append(Column(name, titles.get(name, name), name in shares, maximum, digits, min(0.0, *lowest)))
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
        judged=_judged(report),
        plots=_plots(report),
        language_names={code: language.native_name for code, language in LANGUAGES.items()} | {AVERAGE: "average"},
        average=AVERAGE,
        generations=embedded(rows),
        count=len(rows),
    )
    return storable(page)


def plot_by_language(series: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]], kind: str) -> Markup:
    """The headline metric of reasoning or translation, ``series`` being name → language → metric → estimate."""
    metric = "loss" if kind == "likelihood" else HEADLINE[kind]  # no axis for values below 0
    groups = [code for code in LANGUAGES if any(code in by_language for by_language in series.values())]
    groups.append(AVERAGE)
    values = {
        name: {code: by[metric] for code, by in by_language.items() if metric in by}
        for name, by_language in series.items()
    }
    if kind == "reasoning":
        return interval_plot(values, groups, label="accuracy, %")
    if kind == "likelihood":
        return interval_plot(values, groups, label="loss, nats a token (less is better)", scale=1.0, top=None)
    return interval_plot(values, groups, label="chrF++", scale=1.0, top=100.0)


def _plots(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    plots = []
    for kind, title in (
        ("reasoning", "Accuracy by language"),
        ("translation", "chrF++ by language"),
        ("likelihood", "Loss by language"),
    ):
        series = {name: report["metrics"][name] for name, task in report["tasks"].items() if task["kind"] == kind}
        if series:
            plots.append({"title": title, "svg": plot_by_language(series, kind)})
    return plots


def _judged(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a judge said of the chains, a table a task; empty where none was asked."""
    judge = report.get("judge", {})
    return [
        {
            "name": name,
            "metrics": metrics,
            "items": report["tasks"][name]["items"],
            "columns": [Column(criterion, criterion, True, 1.0) for criterion in judge["criteria"]],
            "outcomes": judge["outcomes"][name],
        }
        for name, metrics in judge.get("metrics", {}).items()
    ]


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
    if "log_likelihood" in score:
        row["log_likelihood"] = score["log_likelihood"] and round(score["log_likelihood"], 3)
    elif generation.reference is None:
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
    return None if text is None else shortened(text, LONGEST_TEXT, "the generations folder")
