"""The look that every HTML page of the product shares: a base template, cell macros, one inlined style sheet.

A page extends ``base.html.jinja`` (blocks ``content``, ``subtitle``, ``styles``, ``scripts``) and may import the
macros of ``cells.html.jinja``. What comes out is one file with nothing to fetch, so it opens from disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

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


def percent(share: float | None, digits: int = 1) -> str:
    """A share of one as text: 0.256 → ``25.6 %``; None, where nothing was measured, is a dash."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def grouped(number: int | float | None) -> str:
    """A count with thin spaces between the thousands: 1234567 → ``1 234 567``; None is a dash."""
    return "–" if number is None else f"{number:,}".replace(",", "\u202f")


def cell(text: str) -> str:
    """Text that fits a cell of a Markdown table: one line, bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")
