"""Plots for the pages: values with intervals in, an inline SVG that takes its ink from the page out."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

# Distinct for colour-blind readers (after Okabe & Ito 2008), and readable on light and dark paper.
COLOURS = ("#3f87c6", "#e08e0b", "#1f9e77", "#d1603d", "#a66fb5", "#8a8d91", "#56b4e9", "#b8a112")
MARKERS = "oDs^vPX*"
# Colours that no plot shows, exchanged for the page's own in the finished SVG.
INK, LINE = "#010203", "#010204"

Series = Mapping[str, Mapping[str, float | int | None]]


def interval_plot(
    series: Mapping[str, Series], groups: Sequence[str], *, label: str, scale: float = 100.0, top: float | None = 100.0
) -> Markup:
    """A dot with its interval for every series in every group, side by side, as an ``<svg>`` element.

    Args:
        series: name → group → ``{"value", "low", "high", …}``, values as in report.json; absent ones are skipped.
        groups: what stands along the horizontal axis, in order (languages).
        label: of the vertical axis.
        scale: factor from stored to shown values.
        top: end of the vertical axis, which begins at 0; None takes what the values need.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": f"{label} {list(series)}", "font.size": 11}):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        step = min(0.16, 0.72 / max(1, len(series)))
        for number, (name, values) in enumerate(series.items()):
            offset = (number - (len(series) - 1) / 2) * step
            _draw(axes, values, groups, offset, scale, name, number)
        axes.set_xticks(range(len(groups)), list(groups))
        axes.set_xlim(-0.6, len(groups) - 0.4)
        axes.set_ylim(0, top * 1.03 if top is not None else None)
        axes.set_ylabel(label)
        plain_axes(axes, grid="y")
        if len(series) > 1:
            columns = min(len(series), 4)
            figure.legend(loc="outside lower center", frameon=False, labelcolor=INK, ncols=columns)
        return inline_svg(figure, f"{label} by language")


def plain_axes(axes: Any, *, grid: str) -> None:
    """Nothing but a line at the bottom and a grid along one axis, ``x`` or ``y``."""
    axes.grid(axis=grid, color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(LINE)


def inline_svg(figure: Any, label: str) -> Markup:
    """A matplotlib figure as an ``<svg>`` element in the page's own colours; ``label`` is read out for it."""
    target = io.StringIO()
    figure.savefig(target, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = target.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor").replace(LINE, "var(--line)")
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{Markup.escape(label)}" ', 1))


def _draw(
    axes: Any, values: Series, groups: Sequence[str], offset: float, scale: float, name: str, number: int
) -> None:
    places, middles, below, above = [], [], [], []
    for position, group in enumerate(groups):
        entry = values.get(group)
        middle = None if entry is None else entry["value"]
        if entry is None or middle is None:
            continue
        low = middle if entry["low"] is None else entry["low"]
        high = middle if entry["high"] is None else entry["high"]
        places.append(position + offset)
        middles.append(middle * scale)
        below.append(max(0.0, middle - low) * scale)
        above.append(max(0.0, high - middle) * scale)
    # A name with a leading underscore would be left out of the legend, and $ would start a formula.
    shown = "\u200b" + name.replace("$", r"\$")
    axes.errorbar(
        places,
        middles,
        yerr=[below, above],
        fmt=MARKERS[number % len(MARKERS)],
        color=COLOURS[number % len(COLOURS)],
        markersize=6,
        linewidth=2,
        label=shown,
        clip_on=False,
    )
