"""The look that every HTML page of the product shares: a base template, cell macros, one inlined style sheet.

A page extends ``base.html.jinja`` (blocks ``content``, ``subtitle``, ``styles``, ``scripts``) and may import the
macros of ``cells.html.jinja``; one on which rows are browsed takes the controls of ``browser.html.jinja``, with
``browser.css`` and ``browser.js``. What comes out is one file with nothing to fetch, so it opens from disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import jinja2
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from launch.errors import InputError

PAGES = Path(__file__).parent


def render_page(template: str | Path, **context: Any) -> str:
    """Render a template to a whole page; every value is HTML-escaped.

    Args:
        template: the name of a template in this folder, or the path of a template in another one (which may extend and
            import those of this folder by name).
        context: the variables of the template; a variable that it uses and does not get is an error.
    """
    path = Path(template)
    outside = path.parent != Path(".")
    folders = [path.parent, PAGES] if outside else [PAGES]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["grouped"] = grouped
    environment.filters["cell"] = cell
    return environment.get_template(path.name).render(**context)


def embedded(data: Any) -> Markup:
    """JSON for a ``<script type="application/json">``: a page from disk cannot fetch, so its data stands in it.

    No text in ``data`` can end the script element: ``<``, ``>``, ``&`` and quotes are written as JSON escapes.
    """
    return htmlsafe_json_dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=False)


@contextmanager
def whole_page(path: Path) -> Iterator[TextIO]:
    """Open a page for writing as UTF-8; it appears under its name when the block ends, or not at all.

    Raises:
        InputError: the place cannot be written.
    """
    if not path.name:
        raise InputError(f"'{path}' is no name of a page; give the path of a file")
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; give the path of a file in it")
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
        with unfinished.open("w", encoding="utf-8") as file:
            yield file
        os.replace(unfinished, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def shortened(text: str, characters: int, elsewhere: str) -> str:
    """The text, or its first ``characters`` with a note how many more of them ``elsewhere`` holds."""
    if len(text) <= characters:
        return text
    return f"{text[:characters]} […] ({len(text) - characters:,} more characters in {elsewhere})"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of one as text: 0.256 → ``25.6 %``; None, where nothing was measured, is a dash."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def grouped(number: int | float | None) -> str:
    """A count with thin spaces between the thousands: 1234567 → ``1 234 567``; None is a dash."""
    return "–" if number is None else f"{number:,}".replace(",", "\u202f")


def cell(text: str) -> str:
    """Text that fits a cell of a Markdown table: one line, bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")
