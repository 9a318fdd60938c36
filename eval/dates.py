"""Calendar dates in a statement: their numbers say when, not how many."""

from __future__ import annotations

import functools
import re

from data_prep.languages import LANGUAGES

_DAY = r"\d{1,2}(?:st|nd|rd|th|er|º|°|ª|\.)?"
_NUMERIC = (
    r"\d{4}年(?:\d{1,2}月(?:\d{1,2}日(?!間))?)?|(?<!\d)\d{1,2}月\d{1,2}日(?!間)|(?<![\d-])\d{4}-\d{2}-\d{2}(?![\d-])"
    r"|(?<![\d./])\d{1,2}([./])\d{1,2}\1\d{4}(?!\d)"
)


@functools.cache
def _date_pattern(language: str) -> re.Pattern[str]:
    months = {month for code in ("en", language) for month in LANGUAGES[code].months if LANGUAGES[code].spaced}
    month = rf"(?:{'|'.join(sorted(map(re.escape, months), key=len, reverse=True))})(?!\w)"
    link = r"(?:\s(?:of|de|del|di))?\s"
    year = rf"(?:,?{link}?\s?\d{{4}}(?!\d))?"
    return re.compile(
        rf"{_NUMERIC}|(?<![\d.,]){_DAY}{link}{month}{year}|(?<!\w){month}\s{_DAY}(?![\d.,]*\d){year}"
        rf"|(?<!\w){month}{link}\d{{4}}(?!\d)",
        re.IGNORECASE,
    )


def date_spans(text: str, language: str) -> list[tuple[int, int]]:
    """Spans of the dates ("June 1", "12. März 2019", 2024年6月1日) of a cleaned text."""
    return [match.span() for match in _date_pattern(language).finditer(text)]
