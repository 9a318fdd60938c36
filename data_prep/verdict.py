"""What a pilot means, in words: may the build start, should someone look first, or is something wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from data_prep.pages import grouped, percent

# Shares of a category's rows. NVIDIA's own set lost between 1 % and 26 % of its bytes for broken brackets alone, in
# the median 2.5 % (data_prep/exclusions.py); above a tenth, someone should have read what is lost; from a half on the
# translator or a gate does not do what it is there for.
_LOOK_FROM = 0.10
_STOP_FROM = 0.50
# Half the width of an interval from which on a share says too little.
_UNSURE_FROM = 0.15

_STYLES = {"start": "green", "too few rows": "yellow", "look first": "yellow", "do not start": "red"}


def judge(categories: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The verdict (``start``, ``look first``, ``too few rows`` or ``do not start``) and the sentences that give it.

    The worst category decides: a build is no good that loses half of one kind of data.
    """
    tried = [line for line in categories if line["tried"]]
    worst = max(tried, key=lambda line: (line["loss"]["value"], line["category"]))
    unsure = max(tried, key=lambda line: _half_width(line["loss"]))
    loss = worst["loss"]
    rows = sum(line["tried"] for line in tried)
    said = _worst(worst) if worst["tried"] > worst["kept"] else f"None of {rows} rows was lost"
    if loss["value"] >= _STOP_FROM:
        word, advice = (
            "do not start",
            "The translator, its prompt or a gate does not work here: read the rejects.",
        )
    elif loss["value"] > _LOOK_FROM:
        word, advice = "look first", "Read the rejects and decide whether they are rightly lost."
    elif _half_width(unsure["loss"]) > _UNSURE_FROM:
        word = "too few rows"
        advice = f"Of {unsure['category']} only {unsure['tried']} rows were tried: give --pilot a larger number."
    else:
        word, advice = "start", "Nothing speaks against the whole build."
    return {"verdict": word, "sentences": [f"{said}.", advice]}


def _worst(line: dict[str, Any]) -> str:
    loss = line["loss"]
    said = (
        f"{line['category']} loses most: {line['tried'] - line['kept']} of {line['tried']} rows"
        f" ({percent(loss['value'])}, 95 % interval {percent(loss['low'])} to {percent(loss['high'])})"
    )
    return f"{said}, mostly for the reason '{next(iter(line['reasons']))}'" if line["reasons"] else said


def show_pilot(report: dict[str, Any], console: Console) -> None:
    """Print a pilot's report."""
    console.print(_category_table(report))
    for line in projection_lines(report):
        console.print(Text(line))
    verdict = report["verdict"]
    text, title = Text("\n".join(verdict["sentences"])), Text(f"verdict: {verdict['verdict']}")
    console.print(Panel(text, title=title, border_style=_STYLES[verdict["verdict"]], expand=False))


def projection_lines(report: dict[str, Any]) -> list[str]:
    """What the whole build would come to, a line each."""
    projection, cost = report["projection"], report["cost"]
    lost = projection["lost"]
    what = "the whole source" if projection["whole_source"] else "the rows read (the source is longer)"
    lines = [
        f"For {what}, if all {projection['languages']} languages are like '{report['language']}':",
        f"  translations  {grouped(projection['translations'])}",
        f"  lost          {grouped(lost['value'])} ({grouped(lost['low'])} to {grouped(lost['high'])}, the intervals "
        "of the categories added up)",
        f"  requests      {grouped(projection['requests'])}",
    ]
    if cost["prompt_tokens"] or cost["completion_tokens"]:
        read, written = grouped(projection["prompt_tokens"]), grouped(projection["completion_tokens"])
        lines.append(f"  tokens        {read} read, {written} written")
    if projection["seconds"] is None:
        lines.append("  time          not known: answers came from the store of an earlier run")
    else:
        lines.append(f"  time          {duration(projection['seconds'])} on this machine, at the speed of the pilot")
    return lines


def duration(seconds: float) -> str:
    """``3 days 4 h``, ``2 h 5 min``, ``40 s``: the two largest units."""
    rest, parts = round(seconds), []
    for name, size in (("days", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        parts.append((number, name))
    first = next((position for position, (number, _) in enumerate(parts) if number), len(parts) - 1)
    shown = [(number, name) for number, name in parts[first : first + 2] if number or len(parts) == first + 1]
    return " ".join(f"{number} {name if (number, name) != (1, 'days') else 'day'}" for number, name in shown)


def _category_table(report: dict[str, Any]) -> Table:
    table = Table(
        title=f"Pilot: {report['rows_per_category']} rows a category into '{report['language']}'",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for name in ("category", "in the source", "left out before", "tried", "kept", "lost", "95 % interval", "why"):
        table.add_column(name, justify="left" if name in ("category", "why") else "right")
    for line in report["categories"]:
        loss = line["loss"]
        why = ", ".join(f"{reason} {rows}" for reason, rows in list(line["reasons"].items())[:3])
        table.add_row(
            Text(line["category"]),
            grouped(line["rows"]),
            grouped(sum(line["left_out_before"].values())),
            grouped(line["tried"]),
            grouped(line["kept"]),
            percent(loss["value"]),
            f"{percent(loss['low'])} to {percent(loss['high'])}" if line["tried"] else "",
            Text(why),
        )
    return table


def _half_width(loss: dict[str, float]) -> float:
    return (loss["high"] - loss["low"]) / 2
