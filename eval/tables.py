"""Results on the terminal, as rich tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eval.compare import Compared
from eval.page import Column, columns
from eval.score import AVERAGE

_SHOWN = (
    "accuracy", "accuracy_if_finished", "both_in_language", "truncated_rate",
    "log_likelihood", "loss", "bleu", "chrf++", "lid_accuracy", "similarity",
)  # fmt: skip
_STYLES = {"better": "green", "worse": "red"}


def console() -> Console:
    """A console on stdout; wide enough for whole tables when stdout is no terminal."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=160)


def report_tables(report: Mapping[str, Any]) -> Iterator[Table]:
    """One table a task: languages down, main metrics across, with their intervals."""
    for name, metrics in report["metrics"].items():
        shown = [column for column in columns(report["tasks"][name], metrics) if column.name in _SHOWN]
        table = Table(title=escape(f"{report['name']}: {name}"), title_justify="left")
        table.add_column("language")
        for column in shown:
            table.add_column(column.title, justify="right", no_wrap=True)
        for language, by_metric in metrics.items():
            cells = [_interval(by_metric.get(column.name), column) for column in shown]
            table.add_row(language, *cells, style="bold" if language == AVERAGE else None)
        yield table


def comparison_table(task: str, rows: Sequence[Compared], first: str, second: str) -> Table:
    """The comparison of two runs in one task; accuracies in percent, differences in percentage points."""
    table = Table(title=escape(f"{task}: {rows[0].metric}, {second} - {first}"), title_justify="left")
    for head in ("language", first, second, "difference", "p", "p (Holm)", "verdict", "findable", "n"):
        table.add_column(escape(head), justify="left" if head in ("language", "verdict") else "right")
    for row in rows:
        scale = 100 if row.metric == "accuracy" else 1
        digits = 3 if row.metric == "log_likelihood" else 1
        table.add_row(
            row.language,
            f"{row.first * scale:.{digits}f}",
            f"{row.second * scale:.{digits}f}",
            f"{row.difference * scale:+.{digits}f} \\[{row.low * scale:+.{digits}f}, {row.high * scale:+.{digits}f}]",
            f"{row.p_value:.3g}",
            f"{row.p_adjusted:.3g}",
            f"[{_STYLES.get(row.verdict, 'dim')}]{row.verdict}[/]",
            f"{row.minimum_detectable * scale:.{digits}f}",
            str(row.n),
        )
    return table


def _interval(estimate: Mapping[str, Any] | None, column: Column) -> str:
    if estimate is None or estimate["value"] is None:
        return "–"
    value, low, high = (
        None if estimate[key] is None else f"{estimate[key] * (100 if column.as_percent else 1):.{column.digits}f}"
        for key in ("value", "low", "high")
    )
    return f"{value}" if low is None else f"{value} \\[{low}, {high}]"
