"""Which of several numbers in a statement is the answer: no circumstance, operand, date or difference."""

from __future__ import annotations

import functools
import re

from eval.conclusions import conclusion_words
from eval.dates import date_spans
from eval.phrases import DIRECT, Phrases, either_word, japanese, phrases
from eval.quantities import Quantity
from eval.units import same

COUNTER = r"[^\s、。,.\d=]{0,4}"  # a Japanese counter
_BOLD = re.compile(r"(\*\*|__)(?!\s)([^*_\n]{1,80}?)(?<!\s)\1")
EQUAL = re.compile(
    r"==?>?|[≈≒→⇒≡]|\b(?:equals|equal to|égale?|igual a|gleich|ergibt|uguale a|pari a|makes|gives)\b",
    re.IGNORECASE,
)
_COUNTED = r"(?:日間?|時間|分間?|週間?|か月|ヶ月|年間?|人|個|箱|枚|回|台|本|冊|匹|[ァ-ヶー]{1,6})"
_PER_JAPANESE = re.compile(
    rf"{_COUNTED}(?:で(?!す|し)|後|に(?!な)|あたり|ごと|につき|の(?=.*\d))|(?:{_COUNTED})?(?:のうち|中(?=[^\d]{{0,4}}[\d一-十]))"
)
_PLACE = re.compile(r"(?:in|en|on|over|across|during|within|dans|auf|su)\s", re.IGNORECASE)
_FROM = re.compile(r"(?<!\w)(?:from|von|desde)\s+$", re.IGNORECASE)
_IS_OF = re.compile(
    r"(?<!\w)(?:è|era|sarà|fu|es|será|fue|est|était|sera)\s(?:stat[oa]\s|quindi\s|así\s|donc\s)?d[ei]\s[*$€£¥]*$"
)
# "It falls from 80 to 60, that is by 25 %".
_CHANGES_BY = re.compile(
    r"(?<!\w)(?:that is|i\.e\.|soit|es decir|o sea|also|das heißt|cioè|ossia)\s"
    r"(?:[^\W\d]+\s){0,2}(?:by|de|d'|um|del)\s[*]*$",
    re.IGNORECASE,
)
# What something is needed for: "to buy the game for 60 euros".
_TO_BUY = re.compile(
    r"(?<!\w)(?:to (?:buy|afford|reach|get)|pour (?:acheter|s'offrir|atteindre)|para (?:comprar|alcanzar|llegar)|"
    r"per (?:comprare|raggiungere|arrivare))\s[^,.;:\d]{0,30}\s(?:at|for|of|à|de|a|da|per|por)\s[$€£¥]?$",
    re.IGNORECASE,
)
# Verbs that reach a number with a preposition: "ammonta a 70", "it falls to 4".
_REACHES = re.compile(
    r"(?<!\w)(?:amount\w*|add\w* up|com(?:es?|ing)|rises?|rose|falls?|fell|drops?(?:ped)?|goes (?:up|down)|grow\w*|"
    r"shrinks?|equal\w*|s'élèv\w+|monte\w*|tomb\w+|descend\w*|pass\w+|revien\w+|arriv\w+|équiva\w+|ammont\w+|sal\w+|"
    r"scend\w+|corrispond\w+|equival\w+|"
    r"ascien\w+|sub\w+|baj\w+|pas\w+|lleg\w+|steig\w+|sink\w+|komm\w+|beläuft sich|belaufen sich|wächst|wachsen)"
    r"\s(?:[^\W\d]+\s){0,2}(?:to|à|a|auf|up to)\s(?:about\s|circa\s|exactly\s)?[*$€£¥]*$",
    re.IGNORECASE,
)
# Between a number and another that only describes what is counted: "codes with", "codes à".
_ATTRIBUTE = re.compile(
    r"(?:\s[^\W\d]{3,}){1,3}\s(?:with|of|in|for|à|avec|de|en|mit|aus|für|con|di|a|da|per)\s[*$]*", re.IGNORECASE
)
_TOTAL = re.compile(r"in total|en total|au total|en tout|in totale|in tutto|insgesamt", re.IGNORECASE)
_LABEL = re.compile(r"(?:#|(?<!\w)n[°º]|(?<!\w)(?:nr|no)\.)\s?$", re.IGNORECASE)
_EQUALS_UNKNOWN = re.compile(r"\s?=\s?[a-zA-Z](?!\w)")  # "20 = x"
_PARENTHESIS = re.compile(r"\([^()]{0,200}\)")


def in_parenthesis(statement: str, quantity: Quantity) -> bool:
    """Whether a quantity stands in parentheses."""
    around = statement[max(0, quantity.start - 200) : quantity.end + 200]
    shift = max(0, quantity.start - 200)
    return any(
        m.start() + shift < quantity.start and quantity.end <= m.end() + shift for m in _PARENTHESIS.finditer(around)
    )


def last_side(statement: str, kept: list[Quantity]) -> tuple[list[Quantity], bool]:
    """The quantities after the last equals sign that has any."""
    if _EQUALS_UNKNOWN.match(statement, kept[-1].end):
        return kept[-1:], True
    last = None
    aside = [m.span() for m in _PARENTHESIS.finditer(statement)] if "(" in statement else []
    for match in EQUAL.finditer(statement, 0, kept[-1].start):
        # "9 boxes (check: 9 × 8 = 72)"
        if not any(start < match.start() < end and kept[0].end <= start for start, end in aside):
            last = match
    if last is None:
        return kept, False
    return [q for q in kept if q.start >= last.end()], True


def _concluded(statement: str, quantities: list[Quantity], language: str) -> list[Quantity]:
    """The quantities after the last "so" of a sentence that has numbers after it."""
    words = phrases(language)
    for match in reversed(list(_conclusion_pattern(language).finditer(statement))):
        after = [q for q in quantities if q.start >= match.end()]
        if not after or (_TOTAL.fullmatch(match[0]) and all(circumstance(statement, q, words) for q in after)):
            continue  # "540 meters in total over the 3 days"
        return after
    return quantities


@functools.cache
def _conclusion_pattern(language: str) -> re.Pattern[str]:
    amounting = either_word(phrases(language).amounting)
    return re.compile(rf"{either_word(conclusion_words(language))}|ので、|[,;:—–]\s(?:{amounting})", re.IGNORECASE)


def choose(
    statement: str,
    quantities: list[Quantity],
    language: str,
    *,
    sentence: bool,
    after_equal: bool,
) -> Quantity:
    """The one quantity of several that is the answer.

    Args:
        quantities: those after the last equals sign of the statement, where ``after_equal``.
        sentence: the last number counts, in the last clause that draws a conclusion; else the first one.
    """
    words = phrases(language)
    if len(quantities) == 1:
        return quantities[0]
    bold = [q for q in quantities if any(m.start() <= q.start < m.end() for m in _BOLD.finditer(statement))]
    if bold and all(same(bold[0], other) for other in bold[1:]):
        return bold[0]
    first, last = quantities[0], quantities[-1]
    if len(quantities) > 2 and _restated_pattern(words).search(statement, quantities[-2].end, last.start):
        return last  # "36 on Monday and 48 on Tuesday, that is 84"
    if after_equal:
        if same(quantities[-2], first) and _ATTRIBUTE.fullmatch(statement, quantities[-2].end, last.start):
            return first  # "3^5 = 243, so there are 243 codes with 5 places"
        return last if _conclusions(words).search(statement, first.end, last.start) else first
    if not sentence and DIRECT.fullmatch(statement[: first.start]) and not _counted_per(statement, first):
        return first
    if sentence:
        quantities = _concluded(statement, quantities, language)
    central = [q for q in quantities if not circumstance(statement, q, words)]
    if len(central) > 1 and _purpose_pattern(words).search(statement[: central[-1].start]):
        return central[-2]
    if not central and not sentence:
        return first  # "the total is thus 100 kg for the 25 boxes"
    return (central or quantities)[-1]


@functools.cache
def _restated_pattern(words: Phrases) -> re.Pattern[str]:
    """What ends before a number that says those before it together."""
    restaters = either_word(tuple(word for word in words.restaters if word != "or"), ends=False)
    return re.compile(rf"[,;:(—–]\s?(?:{restaters})[\s,:]*{DIRECT.pattern}$", re.IGNORECASE)


@functools.cache
def _purpose_pattern(words: Phrases) -> re.Pattern[str]:
    """Before the last number of "it takes him 4 hours to drive 240 miles"."""
    return re.compile(
        rf"(?<!\w)(?:{'|'.join(words.takes)})(?!\w)[^.;]{{0,40}}\d[^.;\d]{{0,20}}"
        rf"\s(?:{'|'.join(words.purpose)})\s(?:\w+\s){{0,2}}[$€£¥]?$",
        re.IGNORECASE,
    )


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


def circumstance(statement: str, quantity: Quantity, words: Phrases) -> bool:
    """Whether a number only says when, where, for whom or by how much more ("in 3 days", "3日で", "4 more than")."""
    before = statement[max(0, quantity.start - 30) : quantity.start]
    if quantity.values and quantity.values[0] < 0:
        return _FROM.search(before) is not None
    if _LABEL.search(before):
        return True
    aside = _circumstance_pattern(words).search(before)
    money = statement[quantity.start] in "$€£¥"  # "brings in $18"
    if aside and _IS_OF.search(before, 0, aside.end()):
        aside = None  # "il guadagno è di 70 euro"
    if aside and (_REACHES.search(before) or (quantity.percent and _CHANGES_BY.search(before))):
        aside = None
    if _TO_BUY.search(statement[max(0, quantity.start - 60) : quantity.start]):
        return True
    if aside and not (money and _PLACE.match(aside[0])):
        return True
    if _comparison_pattern(words).match(statement, quantity.end) or before.endswith("より"):
        return True
    return _counted_per(statement, quantity)


@functools.cache
def _comparison_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"\s?(?:{'|'.join(words.comparisons)})(?!\w)", re.IGNORECASE)


def _counted_per(statement: str, quantity: Quantity) -> bool:
    """Whether a Japanese counter and particle make a number a circumstance (3日で, 1人あたり, 30人のうち)."""
    return _PER_JAPANESE.match(statement, quantity.end) is not None


@functools.cache
def _bound_patterns(words: Phrases) -> tuple[re.Pattern[str], re.Pattern[str]]:
    latin = "|".join(word for word in words.bounds if not japanese(word))
    other = "|".join(word for word in words.bounds if japanese(word)) or "(?!)"
    vague = "|".join(words.vague_after)
    return (
        re.compile(rf"(?:(?<!\w)(?:{latin})|[<>≤≥]=?)[\s$€£¥*]*$", re.IGNORECASE),
        re.compile(rf"{COUNTER}(?:{other})|\s?[$€£¥]?\s?(?:{vague})(?!\w)", re.IGNORECASE),
    )


def bounded(statement: str, quantity: Quantity, words: Phrases) -> bool:
    """Whether a number is only a bound of the answer ("more than 18", 18未満)."""
    before, after = _bound_patterns(words)
    if before.search(statement[max(0, quantity.start - 30) : quantity.start]):
        return True
    return after.match(statement, quantity.end) is not None


def without_dates(statement: str, quantities: list[Quantity], language: str) -> list[Quantity]:
    """The quantities that are no part of a date, unless there are no others."""
    if len(quantities) < 2:
        return quantities
    dates = date_spans(statement, language)
    quantities = [q for q in quantities if not any(s <= q.start < e for s, e in dates)] if dates else quantities
    return [q for q in quantities if q.values or not _repeats_minutes(statement, q, quantities)]


def _repeats_minutes(statement: str, clock: Quantity, quantities: list[Quantity]) -> bool:
    """Whether "1 h 30" only says again what "90 minutes" says."""
    parts = re.findall(r"\d+", statement[clock.start : clock.end])
    minutes = int(parts[0]) * 60 + int(parts[1]) if len(parts) == 2 else None
    return any(
        q.values[:1] == (minutes,) and re.match(r"\s?(?:min|分)", statement[q.end :], re.IGNORECASE)
        for q in quantities
    )
