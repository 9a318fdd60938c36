"""Tables for the documents: rows in, Markdown out, and the place in a document that such a table fills."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from launch.errors import InputError


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head, columns after the first are flush right."""
    head, *body = rows
    lines = [head, ["---", *("---:" for _ in head[1:])], *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def percent(part: int, whole: int, digits: int = 1) -> str:
    """A share in percent; a dash where there is nothing to share."""
    return f"{100 * part / whole:.{digits}f} %" if whole else "–"


def replace_section(document: Path, name: str, text: str) -> None:
    """Put ``text`` between the comments ``<!-- name -->`` and ``<!-- /name -->`` of a document.

    Raises:
        InputError: the document does not have them.
    """
    content = document.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, opened, rest = content.partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise InputError(f"{document} has no place for this table; write {begin} and {end} where it belongs")
    document.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
