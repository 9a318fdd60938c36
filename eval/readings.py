"""What a statement says as a number: "5 + 7 = 12 apples in 3 days" comes in, 12 comes out, or why it says nothing."""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from eval.phrases import Phrases, either_word, japanese, phrases
from eval.quantities import Quantity, find_number_words, find_quantities
from eval.units import compound, convertible

_BOLD = re.compile(r"(\*\*|__)(?!\s)([^*_\n]{1,80}?)(?<!\s)\1")
_OPERATOR = re.compile(
    r"[^\w=]{0,6}(?<![\w.])[-+*×·÷/^–−x](?![\w])[^\w=]{0,6}|\s*(?:mod|modulo)\s*",
    re.IGNORECASE,
)
_EQUAL = re.compile(
    r"==?>?|[≈≒→⇒≡]|\b(?:equals|equal to|égale?|igual a|gleich|ergibt|uguale a|makes|gives)\b",
    re.IGNORECASE,
)
_FILLER = r"(?:[$€£¥≈~=\s*_(\"'-]|(?<!\w)[a-zA-Z](?!\w))*"
_COUNTER = r"[^\s、。,.\d=]{0,4}"
_GOES_ON = re.compile(r"\s?[-+*/×·÷=](?!\w*$)")  # what follows "or" is an equation of its own: "or 20 = A"
_EQUALS_UNKNOWN = re.compile(r"\s?=\s?[a-zA-Z](?!\w)")  # "20 = x"
_COMMA = re.compile(r"[,;、&\n]")
_PARENTHESIS = re.compile(r"\([^()]{0,200}\)")
_DIRECT = re.compile(
    r"(?:[^\w]|\b(?:exactly|about|approximately|around|only|just|also|the|a|an|x|y|n|is|usd|eur|us|rs|"
    r"environ|exactement|seulement|de|le|la|exactamente|aproximadamente|el|unos|genau|etwa|ungefähr|rund|"
    r"circa|esattamente|solo|il|i|le|est|es|è|ist)\b|約|およそ|ちょうど|全部で|合計で?|は|の)*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reading:
    """What was read.

    Args:
        status: ``value``; ``several``: a range or two different answers; ``unfinished``: a sum not worked out;
            ``denied``: only numbers that it is not; ``nothing``: no number at all.
        values: every value that the statement can mean, the native reading of the answer first.
        percent: the number is a percentage.
        text: the number as written.
    """

    status: Literal["value", "several", "unfinished", "denied", "nothing"]
    values: tuple[Fraction, ...] = ()
    percent: bool = False
    text: str | None = None


def read_number(statement: str, language: str, *, sentence: bool = False, words_count: bool = True) -> Reading:
    """Read a cleaned statement as one number.

    Args:
        statement: what follows "the answer is", the content of a box, or (``sentence``) a sentence that does not say
            that it is the answer, where the last number counts and not the first.
        words_count: read number words where there are no digits.
    """
    words = phrases(language)
    statement = _without_reason(after_correction(statement, words, language), words)
    quantities = find_quantities(statement, language)
    if not quantities and words_count:
        quantities = find_number_words(statement, language)
    if not quantities:
        return Reading("nothing")
    kept = [q for i, q in enumerate(quantities) if not _denied(statement, quantities, i, words)]
    if not kept:
        return Reading("denied", text=statement[quantities[0].start : quantities[-1].end])
    kept, merged = compound(statement, kept)
    alternatives = _alternatives(statement, kept, words, merged)
    if alternatives is not None:
        return alternatives
    segment, after_equal = _last_side(statement, kept)
    outside = [q for q in segment if not _in_parenthesis(statement, q)] or segment
    if not all(q.values for q in outside[:1]):
        return Reading("several", text=statement[outside[0].start : outside[0].end])
    chosen = _choose(statement, outside, words, sentence=sentence, after_equal=after_equal)
    if chosen is None:
        return Reading("several", text=statement[outside[0].start : outside[-1].end])
    position = outside.index(chosen)
    following = outside[position + 1] if position + 1 < len(outside) else None
    if following is not None and _OPERATOR.fullmatch(statement[chosen.end : following.start]):
        return Reading("unfinished", text=statement[chosen.start : following.end])
    previous = outside[position - 1] if position else None
    if previous is not None and _OPERATOR.fullmatch(statement[previous.end : chosen.start]):
        return Reading("unfinished", text=statement[previous.start : chosen.end])
    if re.match(r"\s*[=≈]\s*[?_.…]*\s*$", statement[chosen.end :]):
        return Reading("unfinished", text=statement[chosen.start : chosen.end])
    if re.search(r"±\s*$", statement[: chosen.start]) or _bounded(statement, chosen, words):
        return Reading("several", text=statement[chosen.start : chosen.end])
    values = chosen.values + tuple(
        value
        for other in kept
        if other is not chosen and convertible(statement, chosen, other)
        for value in other.values
    )
    values += merged.get(chosen.start, ())
    return Reading("value", values, chosen.percent, statement[chosen.start : chosen.end].strip())


def same(one: Quantity, other: Quantity) -> bool:
    """Whether two quantities can mean the same value."""
    percent = set(one.values) | ({v / 100 for v in one.values} if one.percent else set())
    others = set(other.values) | ({v / 100 for v in other.values} if other.percent else set())
    return bool(percent & others)


@functools.cache
def _correction_pattern(words: Phrases) -> re.Pattern[str]:
    latin = [word for word in words.corrections if not japanese(word)]
    other = [word for word in words.corrections if word not in latin]
    parts = [rf"(?:^|[.,;:!?…—–()\n-])\s*(?:{'|'.join(latin)})(?!\w)(?:[\s.,;:!…—–]|-)*(?:(?!\d)\w+['\s,:]+){{0,4}}"]
    if other:
        parts.append(rf"(?:{'|'.join(other)})[、。,.…!\s]*[^\d、。\n]{{0,8}}")
    return re.compile("|".join(rf"(?:{part})[^\w\n]{{0,4}}(?=[\d])" for part in parts), re.IGNORECASE)


def after_correction(statement: str, words: Phrases, language: str) -> str:
    """What a statement says once it has corrected itself ("20, no, 18" says 18)."""
    last = None
    for match in _correction_pattern(words).finditer(statement):
        if re.search(r"\d", statement[: match.start()]):
            last = match
    return statement[last.end() :] if last else statement


@functools.cache
def _reason_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.reasons), re.IGNORECASE)


def _without_reason(statement: str, words: Phrases) -> str:
    """The statement without the reason or part that it ends with ("18, because …", "24 pupils, of whom 10 …")."""
    for match in _reason_pattern(words).finditer(statement):
        clause = statement[match.end() :]
        if re.search(r"\d", statement[: match.start()]) and ("=" not in clause or "=" in statement[: match.start()]):
            return statement[: match.start()]
    return statement


@functools.cache
def _denied_patterns(words: Phrases) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    before = rf"(?:(?<!\w)(?:{'|'.join(words.denied_before)})|n['’]t)(?:\s+(?!\d)[\w'’]+){{0,2}}[\s$€£¥*_\"]*$"
    after = rf"{_COUNTER}(?:{'|'.join(words.denied_after)})" if words.denied_after else None
    return re.compile(before, re.IGNORECASE), re.compile(after) if after else None


def _denied(statement: str, quantities: list[Quantity], index: int, words: Phrases) -> bool:
    quantity = quantities[index]
    start = quantities[index - 1].end if index else max(0, quantity.start - 80)
    before, after = _denied_patterns(words)
    if before.search(statement[start : quantity.start]):
        return True
    return after is not None and after.match(statement, quantity.end) is not None


@functools.cache
def _between_patterns(words: Phrases) -> tuple[re.Pattern[str], ...]:
    def alternatives(entries: tuple[str, ...]) -> tuple[str, str]:
        latin = [word for word in entries if not japanese(word)]
        other = [word for word in entries if word not in latin]
        return "|".join(latin) or "(?!)", "|".join(other) or "(?!)"

    either, either_ja = alternatives(words.alternatives)
    both, both_ja = alternatives(words.additions)
    to, to_ja = alternatives(tuple(word for word in words.range_to if word not in words.additions))
    unit = r"(?:\s?[^\W\d]+\.?){0,2}"
    either_pattern = rf".{{0,60}}?(?<!\w)(?:{either})(?:\s(?:{either}))?(?!\w){_FILLER}|{_COUNTER}(?:{either_ja})、?"
    joint = rf"(?:,?\s*(?<!\w)(?:{both})(?!\w)|[,;、&]|[,;]?\s*\n\s*[-*•]?)"
    both_pattern = rf"\s?[$€£¥°%]?{unit}\s*{joint}{_FILLER}|{_COUNTER}(?:{both_ja})"
    range_pattern = (
        rf"\s?[$€£¥°%]?{unit}\s*(?:-|–|—|~|〜|～|\.\.\.?|…|(?<!\w)(?:{to})(?!\w))\s*[$€£¥]?\s?|{_COUNTER}(?:{to_ja})"
    )
    start_pattern = rf"(?:(?<!\w)(?:{'|'.join(words.range_from) or '(?!)'}))[\s$€£¥*]*$"
    return tuple(
        re.compile(p, re.IGNORECASE | re.DOTALL) for p in (either_pattern, both_pattern, range_pattern, start_pattern)
    )


def _alternatives(
    statement: str,
    kept: list[Quantity],
    words: Phrases,
    merged: dict[int, tuple[Fraction, ...]],
) -> Reading | None:
    """A reading where the statement gives a range or two answers; None where it does not."""
    either, both, to, start = _between_patterns(words)
    paired = any(len(re.findall(rf"(?i)(?<!\w){word}(?!\w)", statement)) > 1 for word in words.paired)
    for one, other in itertools.pairwise(kept):
        gap = statement[one.end : other.start]
        if len(gap) > 80:
            continue
        written = statement[one.start : other.end]
        different = not same(one, other) and not convertible(statement, one, other)
        if different and (paired or either.fullmatch(gap)) and not _GOES_ON.match(statement, other.end):
            return Reading("several", text=written)
        if _in_parenthesis(statement, other):
            continue
        joined = both.fullmatch(gap) is not None
        if to.fullmatch(gap) and not _worked_out(statement, other, kept):
            return Reading("several", text=written)
        if joined and not _COMMA.search(gap) and start.search(statement[: one.start]):
            return Reading("several", text=written)
        if different and joined and not _worked_out(statement, other, kept):
            return Reading("several", text=written)
    return None


def _worked_out(statement: str, quantity: Quantity, kept: list[Quantity]) -> bool:
    """Whether an equals sign with a number after it follows: what looked like a range was an operation."""
    later = [q for q in kept if q.start > quantity.start]
    return bool(later) and _EQUAL.search(statement, quantity.end, later[-1].start) is not None


def _last_side(statement: str, kept: list[Quantity]) -> tuple[list[Quantity], bool]:
    """The quantities after the last equals sign that has any."""
    if _EQUALS_UNKNOWN.match(statement, kept[-1].end):
        return kept[-1:], True
    last = None
    for match in _EQUAL.finditer(statement, 0, kept[-1].start):
        last = match
    if last is None:
        return kept, False
    return [q for q in kept if q.start >= last.end()], True


def _in_parenthesis(statement: str, quantity: Quantity) -> bool:
    around = statement[max(0, quantity.start - 200) : quantity.end + 200]
    shift = max(0, quantity.start - 200)
    return any(
        m.start() + shift < quantity.start and quantity.end <= m.end() + shift for m in _PARENTHESIS.finditer(around)
    )


def _choose(
    statement: str,
    quantities: list[Quantity],
    words: Phrases,
    *,
    sentence: bool,
    after_equal: bool,
) -> Quantity | None:
    """The one quantity of several that is the answer."""
    if len(quantities) == 1:
        return quantities[0]
    bold = [q for q in quantities if any(m.start() <= q.start < m.end() for m in _BOLD.finditer(statement))]
    if bold and all(same(bold[0], other) for other in bold[1:]):
        return bold[0]
    first, last = quantities[0], quantities[-1]
    if after_equal:
        concluded = re.search(_conclusions(words), statement[first.end : last.start]) is not None
        return last if concluded else first
    if not sentence and _DIRECT.fullmatch(statement[: first.start]):
        return first
    central = [q for q in quantities if not _circumstance(statement, q, words)]
    return (central or quantities)[-1]


@functools.cache
def _conclusions(words: Phrases) -> re.Pattern[str]:
    latin = [re.escape(word) for word in words.but if not japanese(word)]
    return re.compile(
        rf"(?<!\w)(?:{'|'.join(latin)})(?!\w)|ので|だから|よって|したがって",
        re.IGNORECASE,
    )


@functools.cache
def _circumstance_pattern(words: Phrases) -> re.Pattern[str]:
    latin = [word for word in words.asides if not japanese(word)]
    return re.compile(
        rf"(?<!\w)(?:{'|'.join(latin)})(?:\s(?:the|les?|las?|los|den|die|der|i|gli|le|these|those))?\s[*$€£¥]*$",
        re.IGNORECASE,
    )


def _circumstance(statement: str, quantity: Quantity, words: Phrases) -> bool:
    """Whether a number only says when, where or for whom ("in 3 days", "3日で")."""
    if _circumstance_pattern(words).search(statement[max(0, quantity.start - 30) : quantity.start]):
        return True
    return (
        re.match(
            r"(?:日間?|時間|分間?|週間?|か月|ヶ月|年間?|人|個|箱|枚|回|台)(?:で|後|に|あたり|ごと|の(?=.*\d))",
            statement[quantity.end :],
        )
        is not None
    )


@functools.cache
def _bound_pattern(words: Phrases) -> re.Pattern[str]:
    latin = [word for word in words.bounds if not japanese(word)]
    return re.compile(rf"(?:(?<!\w)(?:{'|'.join(latin)})|[<>≤≥]=?)[\s$€£¥*]*$", re.IGNORECASE)


def _bounded(statement: str, quantity: Quantity, words: Phrases) -> bool:
    if _bound_pattern(words).search(statement[max(0, quantity.start - 30) : quantity.start]):
        return True
    other = [word for word in words.bounds if japanese(word)]
    return bool(other) and re.match(rf"{_COUNTER}(?:{'|'.join(other)})", statement[quantity.end :]) is not None
