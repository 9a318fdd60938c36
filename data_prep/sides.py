"""One side of a translation pair, source or translation, with what the gates look at, each found once and when asked.

A source is judged with its translation into every language and of every attempt, so sources are kept for a while.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from propcache.api import cached_property

from data_prep.languages import Language, get_language
from data_prep.spans import Span, find_spans, line_labels

# Sides that are kept: enough for a shard of usual rows, and about a hundred megabytes at the very most.
_MOST_CACHED, _MOST_CACHED_CHARACTERS = 50_000, 1000
_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_MAYBE_LINE_LABEL = re.compile(r"[A-J][.:]")


def source_side(text: str, language: Language) -> Side:
    """The side of a source text, which others of the same text and language share."""
    return _cached_side(text, language.code) if len(text) <= _MOST_CACHED_CHARACTERS else Side(text, language)


def find_plain_words(prose: str) -> list[str]:
    """Words of letters, with what an apostrophe or a hyphen joins to them."""
    return _WORD.findall(prose)


class Side:
    """A text in one language.

    Args:
        text: the text itself.
        language: what it is written in.

    ``prose`` is the text with blanks in the place of its protected spans: lengths stay, so that positions do.
    """

    def __init__(self, text: str, language: Language) -> None:
        self.text = text
        self.language = language
        self._spans = find_spans(text)
        self.prose = _outside(text, self._spans) if self._spans else text

    @cached_property
    def protected(self) -> dict[str, int]:
        """The protected substrings and how often each occurs, choice labels apart."""
        return _counted(self.text[span.start : span.end] for span in self._spans if span.kind != "choice_label")

    @cached_property
    def labels(self) -> dict[str, int]:
        """The choice labels and how often each occurs."""
        text = self.text
        labels = [text[span.start : span.end] for span in self._spans if span.kind == "choice_label"]
        return _counted(labels + line_labels(text, self._spans) if _MAYBE_LINE_LABEL.search(text) else labels)

    @cached_property
    def lines(self) -> int:
        """How many lines are not blank."""
        lines = self.text.splitlines()
        return 1 if len(lines) == 1 and self.text.strip() else sum(map(bool, map(str.strip, lines)))

    @cached_property
    def _units(self) -> list[str]:
        return self.prose.split()

    @cached_property
    def length(self) -> int:
        """The characters of the prose, with a run of white space as one."""
        return sum(map(len, self._units)) + max(0, len(self._units) - 1)

    @cached_property
    def words(self) -> list[str]:
        """The words of the prose."""
        return find_plain_words(self.prose)

    @property
    def first_word(self) -> str:
        """The first word of the prose without its case, which is enough to tell most texts apart."""
        match = _WORD.search(self.prose)
        return match[0].casefold() if match else ""

    @cached_property
    def loop(self) -> str | None:
        """What the text repeats at its end, at least four times and over at least sixteen words or characters."""
        spaced = self.language.spaced
        units = self._units if spaced else list(self.prose.strip())
        if len(units) < 16:
            return None
        last = units[-1]
        if last not in units[-2 : -2 - (8 if spaced else 24) : -1]:
            return None
        for period in range(1, 9 if spaced else 25):
            if len(units) <= period or last != units[-1 - period]:
                continue
            run = units[-period:]
            times = 1
            while times * period < len(units) and units[-(times + 1) * period : -times * period] == run:
                times += 1
            if times >= max(4, 16 // period):
                return (" " if spaced else "").join(run)
        return None


def _outside(text: str, spans: list[Span]) -> str:
    pieces: list[str] = []
    position = 0
    for span in spans:
        pieces.extend((text[position : span.start], " " * (span.end - span.start)))
        position = span.end
    pieces.append(text[position:])
    return "".join(pieces)


def _counted(pieces: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for piece in pieces:
        counts[piece] = counts.get(piece, 0) + 1
    return counts


@lru_cache(maxsize=_MOST_CACHED)
def _cached_side(text: str, code: str) -> Side:
    return Side(text, get_language(code))
