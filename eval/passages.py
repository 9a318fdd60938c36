"""The numbers of a response and what stands around each of them: the evidence from which ``ranking`` chooses.

A cleaned text with its sentences comes in; out come the numbers, each with the names of what holds of it.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from data_prep.languages import get_language
from eval.central import in_parenthesis
from eval.clocks import Time, find_times, minutes, time_words_in_digits
from eval.conclusions import concludes
from eval.denials import is_denied
from eval.phrases import PHRASES, Phrases, phrases
from eval.quantities import Quantity, find_quantities
from eval.sentences import Sentence
from eval.spelled import spelled_out, words_in_digits
from eval.units import compound

_LONGEST = 2_000  # characters of a sentence that are read
_FEW_WORDS, _FEW_CHARACTERS = 2, 8
_CLAUSE = re.compile(r"[,;:](?=\s)|[—–(（、。：；)]|\s-\s")
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_BEFORE_OPERATOR = re.compile(r"\s?[%$€£¥]?\s?[^\W\d]{0,12}\s?[-+×*·÷/−x=]\s?[\d(]")
_BEFORE_MARK = re.compile(r"[^.;,:：、\d]{0,60}([:：,、])")
_MONEY = re.compile(r"\s?(?:[€$£¥]|euros?|dollars?|円)", re.IGNORECASE)
_JAPANESE_REASON = re.compile(r"(?:ため|から|ので|もので|おかげで|のに|ば|と|とき|うち|中)$")
_JAPANESE_EXPLANATION = re.compile(r"(?:ため|から|わけ|もの)(?:です|だ|である)?$")
_ENDS_NOT = re.compile(r"[、。\s]+$")
_NO_PAIR = re.compile(r"[\d、。\s]")
_SPACE = re.compile(r"\s")


@dataclass
class Mention:
    """One number where it stands.

    Args:
        sentence: the index of its sentence in ``Passage.sentences``.
        values: what it can mean, the native reading first, ``sizes`` without signs; ``percent``: a percent sign
            follows.
        written: as it stands in the text.
        time: for a clock time, whose ``values`` are its minutes since midnight.
        evidence: the names of what holds of it.
    """

    sentence: int
    values: tuple[Fraction, ...]
    percent: bool
    written: str
    evidence: set[str] = field(default_factory=set)
    time: Time | None = None
    sizes: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.sizes = tuple(abs(float(value)) for value in self.values)


@dataclass(frozen=True)
class Passage:
    """Sentences with their number words in digits, and the numbers in them."""

    sentences: tuple[str, ...]
    mentions: tuple[Mention, ...]


def read_passage(window: str, parts: list[Sentence], language: str, *, times: bool = False) -> Passage:
    """The sentences of a cleaned text with their numbers, or with their clock times instead."""
    texts, mentions = [], []
    for index, part in enumerate(parts):
        text = window[part.start : part.end][-_LONGEST:]
        text = (
            time_words_in_digits(text, language) if times else words_in_digits(spelled_out(text, language), language)
        )
        texts.append(text)
        for mention in _times(text, index, language) if times else _numbers(text, index, language):
            mention.evidence.add(f"role:{part.role}")
            if index == 0:
                mention.evidence.add("in first sentence")
            if index == len(parts) - 1:
                mention.evidence.add("in last sentence")
            mentions.append(mention)
    _mark_central(mentions)
    return Passage(tuple(texts), tuple(mentions))


def _numbers(text: str, index: int, language: str) -> Iterator[Mention]:
    numbers, smaller = compound(text, [number for number in find_quantities(text, language) if number.values])
    for mention, number in zip(_mentions(text, numbers, index, language), numbers, strict=True):
        if number.start in smaller:
            mention = replace(mention, values=number.values + smaller[number.start])
        yield mention


def _times(text: str, index: int, language: str) -> Iterator[Mention]:
    found = find_times(text, language)
    places = [Quantity(match.start(), match.end(), (Fraction(minutes(time)),)) for match, time in found]
    for mention, (_, time) in zip(_mentions(text, places, index, language), found, strict=True):
        yield replace(mention, time=time)


def _mentions(text: str, numbers: list[Quantity], index: int, language: str) -> Iterator[Mention]:
    if not numbers:
        return
    sentence = _Sentence(text, language)
    concluding = concludes(text, language)
    for place, number in enumerate(numbers):
        evidence = {*sentence.structure(number), *sentence.words_around(number)}
        for name, holds in (
            ("denied", is_denied(text, numbers, place, phrases(language))),
            ("first in its sentence", place == 0),
            ("last in its sentence", place == len(numbers) - 1),
            ("alone in its sentence", len(numbers) == 1),
            ("little else in its sentence", sentence.says_little),
            ("sentence concludes", concluding),
        ):
            if holds:
                evidence.add(name)
        yield Mention(index, number.values, number.percent, text[number.start : number.end].strip(), evidence)


class _Sentence:
    """A sentence parted into clauses and words, for the evidence of its numbers."""

    def __init__(self, text: str, language: str) -> None:
        self._text = text
        self._language = language
        self._spaced = get_language(language).spaced
        self._bounds = [0, *(match.end() for match in _CLAUSE.finditer(text)), len(text)]
        self._words = [(match.start(), match[0].lower()) for match in WORD.finditer(text)] if self._spaced else []
        self._opens, anywhere = _explainer_patterns(PHRASES.get(language, PHRASES["en"]))
        self._reasons = [match.start() for match in anywhere.finditer(text)]
        self._explains = _JAPANESE_EXPLANATION.search(_ENDS_NOT.sub("", text)) is not None
        self._bold = "**" in text
        # "A: 66", 66個: no more than a label and a unit.
        self.says_little = len(self._words) <= _FEW_WORDS if self._spaced else len(text.strip()) <= _FEW_CHARACTERS
        self._parentheses = "(" in text
        self._equals = "=" in text

    def _clause(self, number: Quantity) -> tuple[int, int]:
        place = bisect.bisect_right(self._bounds, number.start, hi=len(self._bounds) - 1)
        return self._bounds[place - 1], self._bounds[place]

    def structure(self, number: Quantity) -> Iterator[str]:
        """What holds of a number whatever the words around it are."""
        text = self._text
        start, end = self._clause(number)
        if start == 0:
            yield "in first clause"
        yield f"clause after {text[:start].rstrip()[-1:]}"
        head = text[max(0, number.start - 8) : number.start].rstrip(" *$€£¥(")[-1:]
        if head and head in "=≈":
            yield "after ="
        if head and head in "-+×*·÷/−x":
            yield "after operator"
        if _BEFORE_OPERATOR.match(text, number.end):
            yield "before operator"
        mark = _BEFORE_MARK.match(text, number.end)
        if mark is not None:
            yield f"before {mark[1]}"
        if self._equals:
            yield "= in its sentence"
        if self._parentheses and in_parenthesis(text, number):
            yield "in parentheses"
        if self._bold and text.count("**", 0, number.start) % 2 == 1:
            yield "bold"
        if number.percent:
            yield "percent"
        if text[number.start] in "$€£¥" or _MONEY.match(text, number.end):
            yield "money"
        if self._in_reason(number.start, start, end):
            yield "in a reason"

    def _in_reason(self, position: int, start: int, end: int) -> bool:
        """Whether the clause of a number is one of reason or a relative one, as far as its first words tell."""
        if not self._spaced:
            return self._explains or _JAPANESE_REASON.search(_ENDS_NOT.sub("", self._text[start:end])) is not None
        if self._opens.match(self._text[start:end]):
            return True
        before = bisect.bisect_left(self._reasons, position)
        # A reason that opens the sentence ends with its clause.
        return before > 0 and not (self._reasons[before - 1] <= 1 and start > 0)

    def words_around(self, number: Quantity) -> Iterator[str]:
        """The words of a number's clause by where they stand; pieces of them where no spaces part words."""
        start, end = self._clause(number)
        if not self._spaced:
            yield from _pieces_around(self._text, number, (start, end), self._language)
            return
        language = self._language
        inside = [(place, word) for place, word in self._words if start <= place < end]
        before = [word for place, word in inside if place < number.start]
        after = [word for place, word in inside if place >= number.end]
        yield from (f"{language} before:{word}" for word in before[-4:])
        yield from (f"{language} after:{word}" for word in after[:4])
        yield from (f"{language} clause:{word}" for _, word in inside)
        if inside:
            yield f"{language} opens clause:{inside[0][1]}"
            yield f"{language} ends clause:{inside[-1][1]}"
        if len(inside) > 1:
            yield f"{language} opens clause:{inside[0][1]} {inside[1][1]}"
        if self._words:
            yield f"{language} opens sentence:{self._words[0][1]}"
        following = next((word for place, word in self._words if place >= end), None)
        if following is not None:
            yield f"{language} next clause:{following}"


def _pieces_around(text: str, number: Quantity, span: tuple[int, int], language: str) -> Iterator[str]:
    start, end = span
    before, after = text[start : number.start], text[number.end : end]
    clause, sentence = _ENDS_NOT.sub("", text[start:end]), _ENDS_NOT.sub("", text)
    for name, piece_of, shortest, longest in (
        ("before", lambda n: before[-n:], 2, 4),
        ("after", lambda n: after[:n], 1, 5),
        ("opens clause", lambda n: clause[:n], 2, 4),
        ("ends clause", lambda n: clause[-n:], 2, 4),
        ("ends sentence", lambda n: sentence[-n:], 2, 4),
    ):
        for length in range(shortest, longest + 1):
            piece = piece_of(length)
            if len(piece) == length and not _SPACE.search(piece):
                yield f"{language} {name}:{piece}"
    for place in range(len(clause) - 1):
        pair = clause[place : place + 2]
        if not _NO_PAIR.search(pair):
            yield f"{language} clause:{pair}"


def before_reason(text: str, language: str) -> str:
    """A sentence without the clause of reason that it ends with ("It leaves at 5, since it arrived at 4")."""
    _, anywhere = _explainer_patterns(PHRASES.get(language, PHRASES["en"]))
    reason = next((m for m in anywhere.finditer(text) if "," in text[max(0, m.start() - 20) : m.start()]), None)
    return text[: text.rfind(",", 0, reason.start())] if reason is not None else text


@functools.cache
def _explainer_patterns(words: Phrases) -> tuple[re.Pattern[str], re.Pattern[str]]:
    either = "|".join(words.explainers) or "(?!)"
    return (
        re.compile(rf"\W*(?:\w+\s)?(?:{either})(?!\w)", re.IGNORECASE),
        re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE),
    )


def _mark_central(mentions: list[Mention]) -> None:
    """Mark the first and the last number that neither reason nor parenthesis nor operator sets aside."""
    aside = {"in a reason", "in parentheses", "before operator"}
    central = [m for m in mentions if "role:main" in m.evidence and not m.evidence & aside]
    if central:
        central[0].evidence.add("first central")
        central[-1].evidence.add("last central")
        if len({mention.sizes[0] for mention in central}) == 1:
            central[0].evidence.add("only central")
