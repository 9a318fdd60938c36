"""What a build holds, for a terminal: counts, the exclusion table beside NVIDIA's figures, rows and rejects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from data_prep.failures import failed_parts
from data_prep.manifest import read_manifest
from data_prep.pages import grouped, percent
from data_prep.schema import Message, Reject, Row, read_rejects, read_rows


def show_build(
    folder: Path, console: Console, *, samples: int, language: str | None, category: str | None, reason: str | None
) -> None:
    """Print a finished build; ``samples`` rows and rejects of every language, or of the ones asked for.

    Raises:
        InputError: there is no finished build.
    """
    manifest = read_manifest(folder)
    show_summary(manifest, folder, console)
    wanted = [language] if language else list(manifest["rows_by_language"])
    if not reason:
        for code in wanted:
            for row in islice(read_rows(folder, language=code, category=category), samples):
                console.print(_row_panel(row))
    rejects = (
        reject
        for reject in read_rejects(folder)
        if language in (None, reject.language)
        and category in (None, reject.category)
        and (reason is None or reason in reject.reasons)
    )
    for reject in _some_of_each(rejects, samples):
        console.print(_reject_panel(reject))


def show_summary(manifest: dict[str, Any], folder: Path, console: Console) -> None:
    """Print counts and the exclusion table."""
    splits = ", ".join(f"{split} {grouped(rows)}" for split, rows in manifest["rows_by_split"].items()) or "none"
    languages = ", ".join(f"{code} {grouped(rows)}" for code, rows in manifest["rows_by_language"].items()) or "none"
    console.print(Text(f"{folder}: {grouped(manifest['rows'])} rows, {grouped(manifest['rejects'])} rejected"))
    console.print(Text(f"  by split: {splits}\n  by language: {languages}"))
    console.print(_exclusion_table(manifest["exclusion"]))
    if manifest["rejects"]:
        console.print(_reason_table(manifest["exclusion"]))
    if not manifest["rows"]:
        console.print(
            Text(f"every row was rejected; the reasons are above, the rows in {folder / 'rejects'}", "bold red")
        )


def _exclusion_table(lines: Iterable[dict[str, Any]]) -> Table:
    table = _table("What was left out; the last two columns: broken in form, here and at NVIDIA")
    for name in ("lang", "category"):
        table.add_column(name, no_wrap=True)
    for name in ("rows", "bytes", "kept", "lost\nrows", "lost\nbytes", "format\nbytes", "NVIDIA\nbytes"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(
            line["language"],
            Text(line["category"]),
            grouped(line["rows"]),
            decimal(line["bytes"]),
            grouped(line["kept_rows"]),
            percent(line["lost"]["rows_share"], 2),
            percent(line["lost"]["bytes_share"], 2),
            percent(line["format_bytes_share"], 2),
            percent(line["nvidia_format_bytes_share"], 2),
        )
    return table


def _reason_table(lines: Iterable[dict[str, Any]]) -> Table:
    table = _table("Why")
    for name in ("lang", "category", "reason"):
        table.add_column(name)
    for name in ("rows", "bytes", "share of\nrows", "share of\nbytes"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        for reason, part in line["reasons"].items():
            table.add_row(
                line["language"],
                Text(line["category"]),
                Text(reason),
                grouped(part["rows"]),
                decimal(part["bytes"]),
                percent(part["rows_share"], 2),
                percent(part["bytes_share"], 2),
            )
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )


def _some_of_each(rejects: Iterable[Reject], number: int) -> Iterator[Reject]:
    """At most so many of every language and reason."""
    shown: dict[tuple[str, str], int] = {}
    for reject in rejects:
        key = (reject.language, reject.reason)
        shown[key] = shown.get(key, 0) + 1
        if shown[key] <= number:
            yield reject


def _row_panel(row: Row) -> Panel:
    return Panel(_conversation(row.messages), title=Text(f"{row.id} · {row.category}"), title_align="left")


def _reject_panel(reject: Reject) -> Panel:
    content = Text()
    failed = failed_parts(reject)
    lines = [("reason", f"{reject.reason}: {reject.detail}")]
    for part in failed:
        if len(failed) > 1:
            lines.append(("failed", f"{', '.join(part.reasons)}: {part.detail}"))
        lines += [("segment", segment) for segment in part.segments]
        lines += [(f"output {number}", output) for number, output in enumerate(part.outputs, start=1)]
    for name, text in (*lines, ("record", _shortened(reject.record))):
        if text:
            content.append(f"{name}  ", "bold").append(f"{text}\n")
    if not failed and reject.messages:
        content.append(_conversation(reject.translation or reject.messages))
    content.rstrip()
    title = Text(f"{reject.id} · {reject.category} · rejected")
    return Panel(content, title=title, title_align="left", border_style="red")


def _conversation(messages: Iterable[Message]) -> Text:
    text = Text()
    for message in messages:
        if message["reasoning_content"]:
            text.append("thinking  ", "bold").append(f"{_shortened(message['reasoning_content'])}\n", "dim")
        text.append(f"{message['role']}  ", "bold").append(f"{_shortened(message['content'])}\n")
    text.rstrip()
    return text


def _shortened(text: str, characters: int = 600) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
