"""Translations against references for people: ``translations.html`` with every row to browse, and terminal tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from rich.markup import escape
from rich.table import Table

from data_prep.languages import LANGUAGES
from data_prep.pages import embedded, render_page, shortened
from data_prep.schema import storable
from eval.page import LONGEST_TEXT, PAGES, Column
from eval.plots import COLOURS, INK, inline_svg, plain_axes
from eval.references import DROPPED, KEPT, Translation

COLUMNS = (
    Column("bleu", "BLEU", False, 100.0),
    Column("chrf++", "chrF++", False, 100.0),
    Column("sentence_chrf++", "mean sentence chrF++", False, 100.0),
    Column("lid_accuracy", "in the language", True, 1.0),
    Column("lid_undetermined", "language cannot be told", True, 1.0),
    Column("similarity", "similarity", False, 1.0, 2),
)


def verdict(difference: Mapping[str, Any]) -> str:
    """What a difference of kept and dropped shows: its interval lies above 0, below 0, or neither."""
    if difference["value"] is None:
        return "nothing to compare"
    if difference["low"] is None:
        return "too few to tell"
    if difference["low"] > 0:
        return "dropped are worse"
    return "dropped are better" if difference["high"] < 0 else "no difference shown"


def render_translations(report: Mapping[str, Any], translations: Sequence[Translation]) -> str:
    """The page of one build's translations; ``report`` is what ``translations.json`` holds."""
    differences = report["kept_minus_dropped"]
    bounds = [abs(value[key]) for value in differences.values() for key in ("value", "low", "high") if value[key]]
    page = render_page(
        PAGES / "translations.html.jinja",
        title=f"Translations of {Path(report['build']['folder']).resolve().name}",
        report=report,
        columns=_columns(report),
        verdicts={language: verdict(value) for language, value in differences.items()},
        reach=max(bounds, default=1.0),
        plot=distribution_plot(translations),
        counts={group: sum(row.group == group for row in translations) for group in (KEPT, DROPPED)},
        language_names={code: language.native_name for code, language in LANGUAGES.items()},
        rows=embedded([_browsed(row) for row in translations]),
    )
    return storable(page)


def distribution_plot(translations: Sequence[Translation]) -> Markup:
    """Sentence chrF++ of every row as a dot, with quartiles, kept over dropped for each language, as an ``<svg>``."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    languages = [code for code in LANGUAGES if any(row.language == code for row in translations)]
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "translations", "font.size": 11}):
        figure = Figure(figsize=(7.2, 1.0 + 0.8 * len(languages)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for number, (group, offset) in enumerate(((KEPT, -0.2), (DROPPED, 0.2))):
            values = [[r.chrf for r in translations if (r.language, r.group) == (code, group)] for code in languages]
            _draw_group(axes, values, offset, COLOURS[number], group)
        axes.set_yticks(range(len(languages)), languages)
        axes.set_ylim(len(languages) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("sentence chrF++")
        plain_axes(axes, grid="x")
        figure.legend(loc="outside upper right", frameon=False, labelcolor=INK, ncols=2)
        return inline_svg(figure, "sentence chrF++, kept and dropped, by language")


def translation_tables(report: Mapping[str, Any]) -> Iterator[Table]:
    """For the terminal: whether the dropped ones are worse, then the scores of every language and group."""
    table = Table(title="Are the dropped ones worse? Sentence chrF++ with 95 % intervals", title_justify="left")
    for head in ("language", "kept", "dropped", "kept - dropped", "P(kept > dropped)", "verdict"):
        table.add_column(head, justify="left" if head in ("language", "verdict") else "right", no_wrap=True)
    for language, difference in report["kept_minus_dropped"].items():
        means = [report["metrics"][language][group]["sentence_chrf++"] for group in (KEPT, DROPPED)]
        chance = report["auc"][language]["value"]
        table.add_row(
            language,
            *(f"{_interval(value, COLUMNS[2])}, n {value['n']}" for value in means),
            _interval(difference, COLUMNS[2], signed=True),
            "–" if chance is None else f"{chance:.2f}",
            verdict(difference),
        )
    yield table
    columns = _columns(report)
    table = Table(title=escape(f"Translations of {report['build']['folder']}"), title_justify="left")
    table.add_column("language")
    table.add_column("rows")
    table.add_column("n", justify="right")
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    for language, by_group in report["metrics"].items():
        for group, metrics in by_group.items():
            cells = (_interval(metrics[column.name], column) for column in columns)
            count = str(metrics[COLUMNS[2].name]["n"])
            table.add_row(language, group, count, *cells, end_section=group == list(by_group)[-1])
    yield table


def _columns(report: Mapping[str, Any]) -> list[Column]:
    """The metrics that the report has; whether the language can be told stands in its JSON alone."""
    present = {name for by_group in report["metrics"].values() for metrics in by_group.values() for name in metrics}
    return [column for column in COLUMNS if column.name in present and column.name != "lid_undetermined"]


def _draw_group(axes: Any, values: Sequence[Sequence[float]], offset: float, colour: str, name: str) -> None:
    spread = np.random.default_rng(0)
    for position, row in enumerate(values):
        heights = position + offset + spread.uniform(-0.12, 0.12, len(row))
        axes.scatter(row, heights, s=9, color=colour, alpha=0.5, linewidths=0, clip_on=False)
        if row:
            low, middle, high = np.quantile(row, (0.25, 0.5, 0.75))
            axes.plot([low, high], [position + offset] * 2, color=colour, linewidth=2.5, solid_capstyle="butt")
            axes.plot([middle], [position + offset], "D", color=colour, markersize=7, markeredgecolor=INK)
    axes.plot([], [], "D-", color=colour, linewidth=2.5, label=f"{name}: median and quartiles")


def _browsed(row: Translation) -> dict[str, Any]:
    """What the page shows of one row."""
    shown = asdict(row) | {"chrf": round(row.chrf, 1), "reason": sorted(row.reasons)}
    for key in ("source", "hypothesis", "reference"):
        shown[key] = shortened(shown[key], LONGEST_TEXT, "translations.jsonl")
    return shown


def _interval(estimate: Mapping[str, Any], column: Column, *, signed: bool = False) -> str:
    if estimate["value"] is None:
        return "–"
    scale = 100 if column.as_percent else 1
    value, low, high = (
        "" if estimate[key] is None else f"{estimate[key] * scale:{'+' if signed else ''}.{column.digits}f}"
        for key in ("value", "low", "high")
    )
    return f"{value} \\[{low}, {high}]" if low else value
