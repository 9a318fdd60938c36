"""Sentences and lines of a text, and what a sentence can be beside the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Role = Literal["main", "note", "check", "mistake"]
SENTENCE_END = re.compile(r"[。！？!?]+[)\]\"'”»*_」』]*|\.+[)\]\"'”»*_」』]*(?=\s|$)|\n+")
_LIST_MARKER = re.compile(r"\s*[*_]{0,2}\d{1,2}\.[ ]")
_ABBREVIATIONS = frozenset(
    ("ex", "p.ex", "e.g", "i.e", "z.b", "d.h", "b", "h", "ca", "approx", "etc", "nr", "bzw", "ggf", "inkl", "vgl",
     "max", "mio", "mrd", "dr", "mr", "mrs", "ms", "vs", "std")
)  # fmt: skip
_SPACED_ABBREVIATION = re.compile(r"(?<!\w)(?:d\.\sh|z\.\sb|p\.\se[jx]|u\.\sa|i\.\se|e\.\sg)\.", re.IGNORECASE)


@dataclass(frozen=True)
class Sentence:
    """A sentence or line at ``text[start:end]`` and what it does: ``main``, or ``note`` or ``check`` beside it,
    or ``mistake``: what others answer by mistake."""

    start: int
    end: int
    role: Role


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences and lines of a text; blank ones are left out."""
    spans, start = [], 0
    for match in SENTENCE_END.finditer(text):
        numbers = match.end() - start < 9 and _LIST_MARKER.fullmatch(text, start, match.end() + 1)
        if numbers and not _opens_with_answer(text, start, match.end()):
            continue  # "3. " numbers an item and ends nothing
        if ends_abbreviation(text, start, match):
            continue
        if text[start : match.end()].strip():
            spans.append((start, match.end()))
        start = match.end()
    if text[start:].strip():
        spans.append((start, len(text)))
    return spans


def _opens_with_answer(text: str, start: int, end: int) -> bool:
    """Whether "85. Her first …" at the start of a text is an answer: no list begins at 85, or has but one item."""
    number = int("".join(filter(str.isdecimal, text[start:end])))
    if text[:start].strip() or number < 2 or not re.match(r"\s[*_\"'«“]*[A-ZÀ-ÖØ-Þ]", text[end : end + 4]):
        return False
    return re.search(rf"\n\s*[*_]{{0,2}}{number + 1}[.)]", text) is None


def ends_abbreviation(text: str, start: int, point: re.Match[str]) -> bool:
    """Whether a match of ``SENTENCE_END`` in the sentence from ``start`` is the point of an abbreviation ("i.e.")."""
    return point[0] == "." and (
        _abbreviates(text, max(start, point.end() - 9), point.end() - 1)
        or _SPACED_ABBREVIATION.match(text, max(start, point.end() - 2)) is not None
    )


def _abbreviates(text: str, start: int, end: int) -> bool:
    """Whether the word that ends before the point at ``end`` is an abbreviation."""
    words = text[start:end].split()
    return bool(words) and words[-1].lstrip("(").lower() in _ABBREVIATIONS
