"""Compare the numbers of a source and its translation: the form may change, the value may not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import product

from data_prep.languages import get_language
from data_prep.number_words import KANJI_NUMERALS, TOKEN, lexicon
from data_prep.numbers import Number, find_numbers

# From so many words on, a translation may say numbers more often or less often ("the 400-meter hurdles", "the race"),
# so many times in all. People's translations of MGSM need two; what a small model makes of it repeats more.
_LONG, _REPEATS = 20, 2
# Separators, signs, suffixes and fractions: whatever can make the same digits another value.
_NOT_PLAIN = re.compile(r"\d[.,．，'’_٬]\d|\d[{\\kKMBeE]|[.．−－\-]\d|[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅒]|frac")
_DIGITS = re.compile(r"[0-9０-９]+")
_KANJI = re.compile(f"[{KANJI_NUMERALS}半割倍]|分の")
_HALF = Fraction(1, 2)


def compare_numbers(source: str, translation: str, source_language: str, target_language: str) -> list[str]:
    """What does not agree, one sentence a number; an empty list where every value is kept.

    Digits on either side need a counterpart, in digits or in words. Number words need none, for "twice" may become
    another turn of phrase; but a number word that is missing while another one appeared is a changed value. Where
    "48/2" or "70 000" can be read as one number or as two, either reading may make the sides agree.
    """
    if _plainly_equal(source, translation, source_language, target_language):
        return []
    complaints: list[str] = []
    readings = list(product((True, False), repeat=2))
    lenient = len(source.split()) >= _LONG
    for (joined, fractions), (target_joined, target_fractions) in product(readings, readings):
        numbers = find_numbers(source, source_language, join_spaces=joined, fractions=fractions)
        found = find_numbers(translation, target_language, join_spaces=target_joined, fractions=target_fractions)
        disagreements = _compare(
            numbers, found, translation, spaced=get_language(target_language).spaced, lenient=lenient
        )
        if not disagreements:
            return []
        complaints = complaints or disagreements
        if not _can_be_read_otherwise(source) and not _can_be_read_otherwise(translation):
            break
    return complaints


def _plainly_equal(source: str, translation: str, source_language: str, target_language: str) -> bool:
    """The common case, told without the grammar: the same whole numbers in digits, and no number words at all."""
    if _NOT_PLAIN.search(source) or _NOT_PLAIN.search(translation):
        return False
    if sorted(_DIGITS.findall(source)) != sorted(_DIGITS.findall(translation)):
        return False
    return not (_has_number_words(source, source_language) or _has_number_words(translation, target_language))


def _has_number_words(text: str, language: str) -> bool:
    if not get_language(language).spaced:
        return _KANJI.search(text) is not None
    words = lexicon(language)
    return any(token in words.beginnings and token not in words.homographs for token in TOKEN.findall(text.lower()))


def _can_be_read_otherwise(text: str) -> bool:
    return any(mark in text for mark in "/⁄ \u00a0\u202f\u2009")


def _is_counter(number: Number, text: str) -> bool:
    """Japanese counts what other languages leave to an article or a pronoun: "an apple", りんご1個; "they", 2人."""
    return number.value == 1 or (number.value == 2 and text[number.end : number.end + 1] == "人")


def _compare(source: list[Number], translation: list[Number], text: str, *, spaced: bool, lenient: bool) -> list[str]:
    left = _Side(source)
    right = _Side(translation)
    for mine, theirs in (("digits", "digits"), ("digits", "word"), ("word", "digits"), ("word", "word")):
        left.match(right, mine, theirs)
    left.match_halves(right)
    right.match_halves(left)
    missing = [number for number in left.unmatched() if number.form == "digits" and not number.vague]
    added = [number for number in right.unmatched() if number.form == "digits" and not number.vague]
    if not spaced:
        added = [number for number in added if not _is_counter(number, text)]
    if lenient:
        changed = [number for number in missing if not right.has(number)]
        changed_too = [number for number in added if not left.has(number)]
        if len(missing) + len(added) <= len(changed) + len(changed_too) + _REPEATS:
            missing, added = changed, changed_too
    complaints = [f"{number.text!r} is missing or changed" for number in missing]
    complaints += [f"{number.text!r} is not in the source" for number in added]
    if complaints:
        return complaints
    lost = [number for number in left.unmatched() if number.form == "word" and not number.vague]
    gained = [number for number in right.unmatched() if number.form == "word" and not number.vague]
    if lost and gained:
        return [f"{lost[0].text!r} became {gained[0].text!r}"]
    return []


class _Side:
    """The numbers of one text, each used up by the counterpart it finds."""

    def __init__(self, numbers: list[Number]) -> None:
        self._numbers = numbers
        self._free = [True] * len(numbers)
        self._by_value: dict[tuple[str, Fraction], list[int]] = defaultdict(list)
        self._values = {value for number in numbers for value in number.readings}
        for index in range(len(numbers) - 1, -1, -1):  # popped from the end, so the first comes first
            for value in dict.fromkeys(numbers[index].readings):
                self._by_value[numbers[index].form, value].append(index)

    def has(self, number: Number) -> bool:
        """The value occurs here, whether used up or not."""
        return any(value in self._values for value in number.readings[:1])

    def unmatched(self) -> Iterator[Number]:
        return (number for number, free in zip(self._numbers, self._free, strict=True) if free)

    def match(self, other: _Side, mine: str, theirs: str) -> None:
        """Pair numbers of equal value, certain ones before vague ones, likely readings before unlikely ones."""
        for vague in (False, True):
            for index, number in enumerate(self._numbers):
                if self._free[index] and number.form == mine and number.vague == vague:
                    if number.readings:
                        self._free[index] = not other.take(theirs, number.readings)
                    else:
                        self._free[index] = not other.take_text(number.text)

    def take(self, form: str, values: Iterable[Fraction]) -> bool:
        for value in values:
            waiting = self._by_value.get((form, value), [])
            while waiting:
                index = waiting.pop()
                if self._free[index]:
                    self._free[index] = False
                    return True
        return False

    def take_text(self, text: str) -> bool:
        """Numbers too long to have a value are compared as they are written."""
        for index, number in enumerate(self._numbers):
            if self._free[index] and not number.readings and number.text == text:
                self._free[index] = False
                return True
        return False

    def match_halves(self, other: _Side) -> None:
        """ "two and a half" against "2,5": a whole number and a half stand for their sum."""
        halves = [i for i, n in enumerate(self._numbers) if _HALF in n.readings and n.form == "word"]
        for index, number in enumerate(other._numbers):
            if not halves or not other._free[index] or not number.value or (number.value - _HALF).denominator != 1:
                continue
            whole = number.value - _HALF
            if whole == 0 or self.take("digits", [whole]) or self.take("word", [whole]):
                other._free[index] = False
                self._free[halves.pop()] = False
