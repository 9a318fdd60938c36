"""Numbers that only set an answer beside something else: "$540. That is $60 more than last year".

A difference that is worked out from two numbers before it is a result ("12 and 5: that is 7 more"); one whose other
side was never named is a remark on the number before it.
"""

from __future__ import annotations

import functools
import itertools
import re

from eval.phrases import DIRECT, Phrases, either_word, japanese, phrases
from eval.quantities import Quantity, find_quantities

_DIGIT = re.compile(r"\d")
# A clause at the end with a number that is only supposed: "she pays 35 and gets 5 back if she gives two twenties".
_SUPPOSED = re.compile(
    r",?\s(?:and|et|und|y|e)\s[^,.;:=\d]{0,40}\d[^,.;:=]{0,40},?\s(?:if|falls|wenn|si|se)\s[^,.;:=]+[.!]?\s*$",
    re.IGNORECASE,
)
_LONGEST = 600  # characters before a difference in which the numbers that it may come from are looked for
_ROUNDED = (0.8, 1.25)  # a number and the same rounded are no further apart
_MOST = 24  # of those numbers, the last ones


@functools.cache
def _pointing_pattern(words: Phrases) -> re.Pattern[str]:
    """The start of a sentence that goes on about what was said before it ("That is $")."""
    return re.compile(rf"[\s*_(（>•–-]*(?:{either_word(words.pointers)})[^\d.:;!?=]{{0,25}}", re.IGNORECASE)


@functools.cache
def _difference_pattern(words: Phrases) -> re.Pattern[str]:
    latin = "|".join(word for word in words.comparisons if not japanese(word))
    return re.compile(rf"\s?(?:{latin})(?!\w)", re.IGNORECASE)


@functools.cache
def _added_pattern(words: Phrases) -> re.Pattern[str]:
    """The start of a clause that says what was said before it in another way (", that is")."""
    openings = either_word((*words.restaters, *words.pointers, *words.but))
    return re.compile(rf"[,;:—–(]\s?(?:(?:{openings})[\s,:]*)?(?=[^\W\d]|[$€£¥\d])", re.IGNORECASE)


def only_compares(text: str, start: int, end: int, language: str) -> bool:
    """Whether the sentence at ``text[start:end]`` only says how far the number before it is from another amount."""
    words = phrases(language)
    opening = _pointing_pattern(words).match(text, start, end)
    if opening is None or not _DIGIT.search(text, max(0, start - _LONGEST), start):
        return False
    sentence = text[start:end]
    found = find_quantities(sentence, language)
    if not found or found[0].start > opening.end() - start or not _differs(sentence, found[0], words):
        return False
    return not _worked_out(found[0], find_quantities(text[max(0, start - _LONGEST) : start], language))


def without_comparison(statement: str, language: str) -> str:
    """The statement without a clause that only compares ("1,250 dollars, that is 50 more than at first")."""
    words = phrases(language)
    if not _any_comparison(words).search(statement):
        return statement
    quantities = find_quantities(statement, language)
    for before, quantity in itertools.pairwise(quantities):
        if not _differs(statement, quantity, words):
            continue
        opening = next(_added_pattern(words).finditer(statement, before.end, quantity.start + 1), None)
        if opening is None or not DIRECT.fullmatch(statement, opening.end(), quantity.start):
            continue
        if not _worked_out(quantity, [q for q in quantities if q.start < quantity.start]):
            return statement[: opening.start()]
    return statement


def without_rate(statement: str, language: str) -> str:
    """The statement without a clause that says its number in other terms ("14,600 a month, or roughly 487 a day").

    "6.7, or about 7" is rounded, and stays.
    """
    words = phrases(language)
    supposed = _SUPPOSED.search(statement)
    if supposed is not None and _DIGIT.search(statement, 0, supposed.start()):
        statement = statement[: supposed.start()]
    match = _rate_pattern(words).search(statement)
    if match is None:
        share = _share_pattern(words).search(statement)
        return statement[: share.start()] if share and _DIGIT.search(statement, 0, share.start()) else statement
    before = [q for q in find_quantities(statement[: match.start()], language) if q.values]
    after = [q for q in find_quantities(statement[match.end() :], language) if q.values]
    if not before or not after or not before[-1].values[0]:
        return statement
    ratio = after[0].values[0] / before[-1].values[0]
    return statement if _ROUNDED[0] < ratio < _ROUNDED[1] else statement[: match.start()]


@functools.cache
def _rate_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"[,;(—–]\s?(?:{either_word(words.rates, ends=False)})", re.IGNORECASE)


@functools.cache
def _share_pattern(words: Phrases) -> re.Pattern[str]:
    """A clause that says a share of another number: ", i.e. 49 % off the original $100"."""
    openings = either_word((*words.restaters, *words.pointers), ends=False)
    return re.compile(
        rf"[,;(—–]\s?(?:{openings})[^\d.;=]{{0,20}}\d[\d.,]*\s?%[^.;=]*?\d[^.;=]*[.!]?\s*$", re.IGNORECASE
    )


@functools.cache
def _any_comparison(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"\d.{{0,12}}?\s?(?:{'|'.join(words.comparison_words)})", re.IGNORECASE | re.DOTALL)


def _differs(statement: str, quantity: Quantity, words: Phrases) -> bool:
    """Whether a number says how much more or less something is."""
    if re.search(r"(?:より|比べて?|比べると)も?、?\s?$", statement[max(0, quantity.start - 8) : quantity.start]):
        return True
    return _difference_pattern(words).match(statement, quantity.end) is not None


def _worked_out(difference: Quantity, before: list[Quantity]) -> bool:
    """Whether two numbers before it are that far, that many times or percent apart, or it was said already."""
    values = [q.values[0] for q in before[-_MOST:] if q.values]
    wanted = set(difference.values)
    if wanted & set(values):
        return True
    for a, b in itertools.permutations(values, 2):
        if abs(a - b) in wanted or (b and a / b in wanted):
            return True
        if difference.percent and b and any(abs(abs(a - b) / b * 100 - value) < 1 for value in wanted):
            return True
    return False
