"""Compare the numbers of a source and its translation: the form may change, the value may not."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache, lru_cache
from itertools import product

from propcache.api import cached_property

from data_prep.languages import get_language
from data_prep.number_words import KANJI_NUMERALS, TOKEN, WordNumber, find_words, lexicon
from data_prep.numbers import Number, find_numbers

# From so many words on, a translation may say numbers more often or less often ("the 400-meter hurdles", "the race"),
# so many times in all. People's translations of MGSM need two; what a small model makes of it repeats more.
_LONG, _REPEATS = 20, 2
# Digits with the separators of one number in any language; what they mean, the number grammar says.
# The first character comes first, so that text without digits is skipped at the speed of a character class.
_CHAIN, _SPACED_CHAIN = (
    re.compile(
        rf"[.\d](?:(?<=\d)\d*+(?:[.,]\d+|[{space}\u00a0\u202f\u2009\u2007]\d{{3}}(?!\d))*+"
        r"|(?<=\.)(?<![A-Za-z0-9.)\]]\.)\d+)"
    )
    for space in ("", " ")
)
_SPACED_GROUP = re.compile(r"\d \d{3}(?!\d)")
# Signs, suffixes, fractions, rare separators: what stands beside such a chain and can make it another value.
_UNSURE = re.compile(
    r"[\d．\-−－c½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅒](?:(?<=\d)(?:[．，'’_٬]\d|[{\\]|[kKMB](?![^\W\d_])|[eE][+-]?\d)"
    r"|(?<=．)(?<!\d．)\d|(?<=[−－\-])(?<![0-9A-Za-z)\]][−－\-])[.．]?\d|(?<=frac)|(?<=[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅒]))"
)
_UNSURE_KANJI = re.compile(rf"[{KANJI_NUMERALS}]\s?\d|\d\s?(?:[{KANJI_NUMERALS}割]|分の|ダース)")
_NUMERAL = re.compile(r"[\d½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅒]")
# What is cached of a source: its translations into all languages ask for it, one after the other.
_MOST_CACHED, _MOST_CACHED_CHARACTERS = 50_000, 1000
_HALF = Fraction(1, 2)


def compare_numbers(source: str, translation: str, source_language: str, target_language: str) -> list[str]:
    """What does not agree, one sentence a number; an empty list where every value is kept.

    Digits on either side need a counterpart, in digits or in words. Number words need none, for "twice" may become
    another turn of phrase; but a number word that is missing while another one appeared is a changed value. Where
    "48/2" or "70 000" can be read as one number or as two, either reading may make the sides agree.
    """
    if _agree_at_a_glance(source, translation, source_language, target_language):
        return []
    complaints: list[str] = []
    readings = list(product((True, False), repeat=2))
    lenient = len(source.split()) >= _LONG
    for (joined, fractions), (target_joined, target_fractions) in product(readings, readings):
        numbers = _source_numbers(source, source_language, joined, fractions)
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


def _source_numbers(source: str, language: str, join_spaces: bool, fractions: bool) -> list[Number]:
    if len(source) > _MOST_CACHED_CHARACTERS:
        return find_numbers(source, language, join_spaces=join_spaces, fractions=fractions)
    return _cached_numbers(source, language, join_spaces, fractions)


@lru_cache(maxsize=_MOST_CACHED // 10)
def _cached_numbers(source: str, language: str, join_spaces: bool, fractions: bool) -> list[Number]:
    return find_numbers(source, language, join_spaces=join_spaces, fractions=fractions)


def _agree_at_a_glance(source: str, translation: str, source_language: str, target_language: str) -> bool:
    """Most pairs agree and are told so without the grammar; False says nothing.

    The digits of both sides make up the same values with nothing beside them that could change one, and the number
    words of at least one side all have a counterpart on the other.
    """
    cached = len(source) <= _MOST_CACHED_CHARACTERS
    before = (_cached_glance if cached else _Glance)(source, source_language)
    after = _Glance(translation, target_language)
    if before.unsure or after.unsure:
        return False
    if not any(mine == theirs for mine in before.values for theirs in after.values):
        return False
    if not before.has_words or not after.has_words:
        return True
    return not (before.firm_words - after.words and after.firm_words - before.words)


class _Glance:
    """What can be seen of the numbers of a text at little cost.

    ``values``: the values of its chains of digits, sorted, with spaces between groups read as such or not. ``unsure``:
    something stands beside a chain that may change its value.
    """

    def __init__(self, text: str, language: str) -> None:
        self.unsure = False
        self.values: list[list[str]] = [[]]
        self._text = text.lower()
        self._language = language
        if _NUMERAL.search(text):
            self.unsure = bool(_UNSURE.search(text) or _scaled_digits(language).search(self._text))
            if not self.unsure:
                chains = [_CHAIN, _SPACED_CHAIN] if _SPACED_GROUP.search(text) else [_CHAIN]
                self.values = [sorted(_values(chain.findall(text), language)) for chain in chains]

    @cached_property
    def has_words(self) -> bool:
        """There may be number words that are certainly numbers."""
        telling = _telling_words(self._language)
        if not telling:
            return False
        words = lexicon(self._language)
        glued = any(word in self._text for word in words.thousands)
        return glued or not telling.isdisjoint(TOKEN.findall(self._text))

    @cached_property
    def _found(self) -> list[WordNumber]:
        return [number for _, _, number in find_words(self._text, self._language)]

    @cached_property
    def words(self) -> Counter[Fraction]:
        """The likeliest values of all number words."""
        return Counter(number.readings[0] for number in self._found)

    @cached_property
    def firm_words(self) -> Counter[Fraction]:
        """Those of words that are certainly numbers."""
        return Counter(number.readings[0] for number in self._found if not number.vague)


_cached_glance = lru_cache(maxsize=_MOST_CACHED)(_Glance)


def _values(chains: list[str], language: str) -> Iterator[str]:
    for chain in chains:
        if chain.isascii() and chain.isdecimal() and chain[0] != "0":
            yield chain
        else:
            yield from (_cached_chain_values if len(chain) < 40 else _chain_values)(chain, language)


def _chain_values(chain: str, language: str) -> tuple[str, ...]:
    numbers = find_numbers(chain, language)
    return tuple(number.text if number.value is None else str(number.value) for number in numbers)


_cached_chain_values = lru_cache(maxsize=_MOST_CACHED)(_chain_values)


@cache
def _telling_words(language: str) -> frozenset[str]:
    """Words that a number word which is certainly one has among its own; empty where all number words are vague."""
    words = lexicon(language)
    if not get_language(language).spaced:
        return frozenset()
    firm = [*words.small, *words.scales, *(word for word, number in words.other.items() if not number.vague)]
    homographs = {word for word in words.homographs if not words.homograph_before or words.small[word] == 1}
    return frozenset(word.split(" ")[0] for word in firm) - homographs


@cache
def _scaled_digits(language: str) -> re.Pattern[str]:
    """Digits that the word beside them multiplies: "5 million", "2 dozen", "8万"."""
    if not get_language(language).spaced:
        return _UNSURE_KANJI
    words = lexicon(language)
    factors = [word for word, power in words.scales.items() if power >= 3]
    factors += [word for word, number in words.other.items() if number.readings[0] == 12]
    return re.compile(rf"\d[\s-]?(?:{'|'.join(map(re.escape, factors))})")


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
