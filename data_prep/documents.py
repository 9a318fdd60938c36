"""A row taken apart into what is translated and what stays, and the units that a translator is asked for.

A unit is a line, a block with what stands before it, or the whole document, as the recipe says. Whatever it is, the
segments of a row stand in its units once and in order, so that the row is put together again in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from data_prep.parts import free_marks
from data_prep.schema import Message, Row
from data_prep.segments import split_segments
from data_prep.translators import Granularity, Unit

# System turns that switch the model's thinking and are no language; a model in another language has the same switch.
_SWITCHES = frozenset({"/think", "/no_think", "detailed thinking on", "detailed thinking off"})
# A longer list or table is asked for in several pieces, so that an answer stays within what a model can write at once.
_MOST_BLOCK_CHARACTERS = 2000
_LINES = re.compile(r"\r\n?|[\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_HEADING = re.compile(r"[ \t>]*#{1,6}[ \t]")
_LIST_ITEM = re.compile(r"[ \t>]*(?:[-*+•]|\d{1,9}[.)])[ \t]")
# How the own line of a block begins, which is no context: markers of quotes, headings and lists, a bar of a table.
_OWN_LINE = re.compile(r"(?:\A|(?<=[\r\n]))[ \t>]*(?:#{1,6}|[-*+•]|\d{1,9}[.)])?[ \t|]*\Z")
_REST_OF_WORD = re.compile(r"\A\S++(?=\s)")


class Part(NamedTuple):
    """A piece of a turn: text that stays, or a segment with the white space around it."""

    before: str
    unit: Unit | None = None
    after: str = ""


@dataclass(frozen=True)
class Document:
    """A source row, taken apart once for all languages: the parts of every turn."""

    row: Row
    turns: tuple[tuple[Part, ...], ...]

    @property
    def units(self) -> Iterable[Unit]:
        """The segments of all turns, in order."""
        return (part.unit for turn in self.turns for part in turn if part.unit is not None)


class _Segment(NamedTuple):
    """A segment with what stands between it and the one before it in its turn, and where it begins in the turn."""

    unit: Unit
    gap: str
    start: int


def take_apart(row: Row) -> Document:
    """Split every turn of a row into what is translated and what stays."""
    return Document(row, tuple(_parts(message) for message in row.messages))


def join_parts(turn: Iterable[Part], texts: Iterator[str]) -> str:
    """A turn with the next of these texts in the place of each segment; with the segments' own, the turn as it was."""
    pieces = []
    for before, unit, after in turn:
        pieces += [before, "" if unit is None else next(texts), after]
    return "".join(pieces)


def units_of(document: Document, granularity: Granularity, context_characters: int) -> list[Unit]:
    """What a translator is asked for, in order: every segment of the document is in exactly one unit.

    ``line``: a segment each. ``block``: the segments of a paragraph, list or table, with at most
    ``context_characters`` of the conversation that stands before it. ``document``: all segments of all turns.
    """
    if granularity == "line":
        return list(document.units)
    if granularity == "document":
        segments = list(document.units)
        return [_unit(segments)] if segments else []
    units: list[Unit] = []
    before = ""
    for message, turn in zip(document.row.messages, document.turns, strict=True):
        content = message["content"]
        for block in _blocks(turn):
            start = block[0].start
            context = _last_words(
                before, content[max(0, start - context_characters - 100) : start], context_characters
            )
            segments = [segment.unit for segment in block]
            if free_marks([segment.text for segment in segments]) is None:
                units += [segment._replace(context=context) for segment in segments]
            else:
                units.append(_unit(segments, context))
        if context_characters and not _is_switch(message):
            before = (before + content + "\n\n")[-context_characters - 100 :]
    return units


def source_text(messages: Iterable[Message]) -> str:
    """What of a conversation is subject to translation, for counting its bytes."""
    return "".join(message["content"] for message in messages)


def _is_switch(message: Message) -> bool:
    return message["role"] == "system" and message["content"].strip() in _SWITCHES


def _parts(message: Message) -> tuple[Part, ...]:
    content = message["content"]
    if _is_switch(message):
        return (Part(content),)
    parts = []
    for segment in split_segments(content):
        core = segment.text.strip()
        if not segment.translatable or not core:
            parts.append(Part(segment.text))
            continue
        start = segment.text.index(core)
        parts.append(Part(segment.text[:start], Unit(core, segment.protected), segment.text[start + len(core) :]))
    return tuple(parts)


def _unit(segments: Sequence[Unit], context: str = "") -> Unit:
    if len(segments) == 1:
        return segments[0]._replace(context=context)
    parts = tuple(segment.text for segment in segments)
    protected = tuple(span for segment in segments for span in segment.protected)
    return Unit("\n".join(parts), protected, context, parts)


def _blocks(turn: Iterable[Part]) -> Iterator[list[_Segment]]:
    """The segments of a turn, block by block."""
    block: list[_Segment] = []
    size = 0
    heading = False
    for segment in _segments(turn):
        lines = _LINES.split(segment.gap)
        new_line = len(lines) > 1
        first = segment.start == len(segment.gap)
        is_heading = _HEADING.match(lines[-1]) is not None if new_line or first else heading
        size += len(segment.unit.text)
        if block and (
            not all(map(_inside_block, lines[1:-1]))
            or (new_line and (heading or is_heading))
            or size > _MOST_BLOCK_CHARACTERS
        ):
            yield block
            block, size = [], len(segment.unit.text)
        block.append(segment)
        heading = is_heading
    if block:
        yield block


def _segments(turn: Iterable[Part]) -> Iterator[_Segment]:
    gap: list[str] = []
    position = 0
    for before, unit, after in turn:
        gap.append(before)
        position += len(before)
        if unit is not None:
            yield _Segment(unit, "".join(gap), position)
            gap = [after]
            position += len(unit.text) + len(after)


def _inside_block(line: str) -> bool:
    """Whether a line without a segment, between two with one, parts no block: a row of a table, an item of a list."""
    return "|" in line or _LIST_ITEM.match(line) is not None


def _last_words(before: str, text: str, characters: int) -> str:
    """The end of the conversation so far, ``before`` and then ``text``, cut where a word begins."""
    if not characters:
        return ""
    whole = _OWN_LINE.sub("", before + text).rstrip()
    context = whole[-characters:]
    if len(whole) > characters and not whole[-characters - 1].isspace():
        context = _REST_OF_WORD.sub("", context)
    return context.lstrip()
