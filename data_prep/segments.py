"""Part a text into what a translator gets and what reaches the output untouched; joined, the segments are the text.

Blocks (fences, indented code, tables) come from :mod:`data_prep.blocks`, the spans inside a line from
:mod:`data_prep.spans`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from data_prep.blocks import BREAK, BREAKS, Kind, groups_of
from data_prep.prose import has_words
from data_prep.spans import Span, find_spans


@dataclass(frozen=True)
class Segment:
    """A piece of a text.

    Args:
        text: the piece itself. A translatable one stands on a single line and neither begins nor ends with white
            space; list, quote and heading markers and choice labels at its start are segments of their own.
        translatable: a reader reads it as language, so a translator gets it.
        protected: substrings of a translatable segment, in order and with repetitions, that must reach the translation
            byte for byte: inline code, maths, URLs, names of files, tags, placeholders, choice labels.
    """

    text: str
    translatable: bool
    protected: tuple[str, ...] = ()


_LETTER = re.compile(r"[^\W\d_]")
_CELL_ENDS = re.compile(BREAK + r"|(?<!\\)\|")
_MARKERS = re.compile(
    r"(?:[ \t]*(?:>|#{1,6}(?=[ \t])|[-*+•◦‣▪–—](?=[ \t])|\[[ xX]\](?=[ \t])"
    r"|\[\^[^\s\[\]]{1,60}\]:(?=[ \t])|\(?\d{1,9}(?:\.\d{1,3}){0,3}[.)](?=[ \t])|\([ivx]{1,5}\)(?=[ \t])))*+[ \t]*"
    r"(?:(?:\(?[A-Ja-j]\)|[A-J][.:]|\*\*\(?[A-J][.):]\*\*|\*\*\(?[A-J]\)?\*\*[.:)]?)[ \t]+)?"
)
_DEFINITION = re.compile(
    r"[ \t>]*\[[^\]\r\n]{1,200}\]:[ \t]*+(?:<[^>\r\n]*+>|[^\s<]*?[/.#:][^\s]*+)"
    r"(?:[ \t]+(?:\"[^\"\r\n]*+\"|'[^'\r\n]*+'|\([^)\r\n]*+\)))?[ \t]*\Z"
)
# After a break that CommonMark does not know (a vertical tab) a fence opens nothing, and would alone on its line.
_FENCE = re.compile(r"`{3,}+[^`]*\Z|~{3}")
_CLOSING_MARKS = re.compile(r"[ \t]+#{1,20}\Z|(?<!\\)\\\Z")
_BLOCK_TAG = re.compile(
    r"</?(?:p|div|li|ul|ol|dl|dt|dd|td|th|tr|table|thead|tbody|h[1-6]|br|hr|section|article|details|summary|body|html"
    r"|head|title|blockquote|center|header|footer|main|nav|figure|figcaption|option|select|form)\b",
    re.IGNORECASE,
)


def split_segments(text: str) -> list[Segment]:
    """The segments of a text, in order; ``"".join(s.text for s in split_segments(text)) == text`` for any text."""
    segments: list[Segment] = []
    withheld: list[str] = []
    for group, kind, spans in groups_of(text):
        for piece, protected in [(group, None)] if kind == "code" else _pieces(group, kind, spans):
            if protected is None:
                withheld.append(piece)
                continue
            if withheld:
                segments.append(Segment("".join(withheld), False))
                withheld.clear()
            segments.append(Segment(piece, True, protected))
    if withheld:
        segments.append(Segment("".join(withheld), False))
    return segments


def _pieces(text: str, kind: Kind, known_spans: list[Span] | None) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """The parts of a group of lines: a translatable one with its protected substrings, any other with None."""
    if not _LETTER.search(text):
        yield text, None
        return
    found = find_spans(text) if known_spans is None else known_spans
    position = 0
    defines = "]:" in text
    for start, end, spans in _stretches(text, found, _CELL_ENDS if kind == "table" else BREAKS):
        if defines and _DEFINITION.match(text, start, end):
            continue
        start, end = _trim(text, start, end, spans)
        if spans:
            spans = [span for span in spans if start <= span.start and span.end <= end]
        if not has_words(text, start, end, spans) or _is_json(text[start:end]) or _FENCE.match(text, start, end):
            continue
        if position < start:
            yield text[position:start], None
        yield text[start:end], tuple(text[span.start : span.end] for span in spans)
        position = end
    if position < len(text):
        yield text[position:], None


def _stretches(text: str, spans: list[Span], separators: re.Pattern[str]) -> Iterator[tuple[int, int, list[Span]]]:
    """What lies between two separators, with the spans in it; a span that runs over a line break separates, too."""
    start = gap = 0
    inside: list[Span] = []
    for span in [*spans, None]:
        for separator in separators.finditer(text, gap, span.start if span else len(text)):
            yield start, separator.start(), inside
            start, inside = separator.end(), []
        if span is None:
            yield start, len(text), inside
            return
        gap = span.end
        if BREAKS.search(text, span.start, span.end):
            yield start, span.start, inside
            start, inside = span.end, []
        else:
            inside.append(span)


def _trim(text: str, start: int, end: int, spans: list[Span]) -> tuple[int, int]:
    """Without markers, choice label, block tags and white space around it."""
    first, last = 0, len(spans)
    if not (text[start : start + 1].isalpha() and text[start + 1 : start + 2] not in (".", ":", ")")):  # a plain word
        markers = _MARKERS.match(text, start, end)
        start = markers.end() if markers else start
    while True:
        start, end = _strip(text, start, end)
        while first < last and spans[first].start < start:
            first += 1
        if first < last and spans[first].start == start and _BLOCK_TAG.match(text, start):
            start = spans[first].end
            first += 1
        elif first < last and spans[last - 1].end == end and _BLOCK_TAG.match(text, spans[last - 1].start):
            end = spans[last - 1].start
            last -= 1
        else:
            break
    closing = _CLOSING_MARKS.search(text, max(start, end - 30), end) if text[end - 1 : end] in ("#", "\\") else None
    return _strip(text, start, closing.start() if closing else end)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _is_json(piece: str) -> bool:
    if (piece[:1], piece[-1:]) not in (("{", "}"), ("[", "]")):
        return False
    try:
        json.loads(piece)
    except (ValueError, RecursionError):
        return False
    return True
