"""The number grammar of each language: every number in a text with its place and what it may mean there.

``70 000``, ``70.000``, ``12'000``, ``１８``, ``8万``, ``2/3``, ``10分の3``, ``½``, ``5 million``, "twenty-five",
"la moitié", "dreimal". Separators follow the language of the text; what another convention would read is kept apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Literal

from data_prep.languages import Language, get_language
from data_prep.number_words import KANJI_NUMERALS, find_words, lexicon, read_kanji, read_roman

# One character for another, so that positions stay: full-width forms, the real minus.
_WIDTH = {ord("０") + digit: str(digit) for digit in range(10)} | {
    ord(wide): narrow for wide, narrow in zip("，．％／－−＋￥＄：", ",.%/--+¥$:", strict=True)
}
_SPACE = " \u00a0\u202f\u2009\u2007"
# Digits with whatever may stand inside a number; what it means is decided afterwards. {,} and \, are LaTeX.
_CHAIN = re.compile(rf"\d+(?:(?:[.,'’_٬{_SPACE}]|\{{,\}}|\\[,;! ]|~)\d+)*+")
_PIECE = re.compile(r"(\d+)(\D*)")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s?\{\s?(\d{1,30})\s?\}\s?\{\s?(\d{1,30})\s?\}")
_VULGAR = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5),
    "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅒": (1, 10),
}  # fmt: skip
_DOZEN_VALUE = "12"  # of a dozen in ``Language.fraction_words``
_START = re.compile(rf"(?<![A-Za-z0-9.)\]])\.(?=\d)|\d|[{''.join(_VULGAR)}]|\\[dt]?frac")
_DIGITS = re.compile(r"\d+")
_EXPONENT = re.compile(r"[eE]([+-]?\d{1,3})(?![\w.])")
_SUFFIX = re.compile(r"[kKMB](?![^\W\d_])")
_SUFFIXES = {"k": 3, "K": 3, "M": 6, "B": 9}
_SLASH = re.compile(r"\s?[/⁄]\s?(\d{1,30})(?![\d/⁄]|[.,]\d)")
_MIXED = re.compile(
    rf"[{_SPACE}](?:and |y |et |e |und )?(?:(\d{{1,9}})[/⁄](\d{{1,9}})(?![\d/⁄])|([{''.join(_VULGAR)}]))"
)
# "3 pm", "3:30 p.m.", and the 1 of "1 to 4 PM"
_CLOCK = r"(?::\d\d)?\s?(?:(?:-|–|to|and|until)\s?\d{1,2}(?::\d\d)?\s?)?"
_AFTERNOON = re.compile(_CLOCK + r"p\.?\s?m\b", re.IGNORECASE)
_MORNING = re.compile(_CLOCK + r"a\.?\s?m\b", re.IGNORECASE)
_KANJI_FRACTION = re.compile(rf"分の(?:(\d{{1,15}})|([{KANJI_NUMERALS}]{{1,10}}))")
_KANJI_RUN = re.compile(rf"[{KANJI_NUMERALS}]+")
_ROMAN_TOKEN = re.compile(r"(?<![^\W\d_])[IVXLCDM]{1,15}(?![A-ZÀ-Þa-df-zß-ý])")
_DOZEN = "ダース"
_MOST_DIGITS = 400

Form = Literal["digits", "word"]


@dataclass(frozen=True)
class Number:
    """A number at ``text[start:end]`` (sign included, percent sign and unit not).

    Args:
        readings: what it can mean in the language of the text, the likeliest first. Empty for more than 400 digits.
        foreign_readings: what a reader used to other separators would take it for (German "1.500" as 1.5).
        form: written with digits, or as a word or a numeral of letters.
        percent: a percent sign or word follows; the readings are the number as written, then its hundredth.
        vague: a word that often is no number ("one", "second"), or digits inside a name ("MP3").
    """

    start: int
    end: int
    text: str
    readings: tuple[Fraction, ...]
    foreign_readings: tuple[Fraction, ...] = ()
    form: Form = "digits"
    percent: bool = False
    vague: bool = False

    @property
    def value(self) -> Fraction | None:
        """The likeliest reading."""
        return self.readings[0] if self.readings else None


def find_numbers(text: str, language: str, *, join_spaces: bool = True, fractions: bool = True) -> list[Number]:
    """All numbers of a text in the order of their appearance, none overlapping.

    Args:
        text: any string.
        language: the code of the language whose separators and words count; it must be registered.
        join_spaces: read "70 000" as one number, not two.
        fractions: read "3/4" as one number, not two.
    """
    entry = get_language(language)
    narrow = text.translate(_WIDTH)
    numbers: list[Number] = []
    if _START.search(narrow):
        numbers.extend(_digit_numbers(narrow, text, entry, join_spaces, fractions))
    numbers.extend(_lettered_numbers(narrow, text, entry))
    return _without_overlaps(numbers)


def find_number_words(text: str, language: str) -> list[Number]:
    """The numbers of a text that are written in letters, without the scale words of those in digits ("3 million").

    Several times as fast as ``find_numbers`` where a text has many digits.
    """
    entry = get_language(language)
    narrow = text.translate(_WIDTH)
    numbers = _without_overlaps(list(_lettered_numbers(narrow, text, entry)))
    return [number for number in numbers if not _scales_digits(narrow, number, entry)]


def _scales_digits(narrow: str, number: Number, entry: Language) -> bool:
    before, word = narrow[max(0, number.start - 2) : number.start], number.text.lower()
    dozen = entry.fraction_words.get(word, "").lstrip("?") == _DOZEN_VALUE
    scales = dozen or (word if entry.spaced else word[0]) in entry.scale_words
    return scales and before.rstrip(" -")[-1:].isdecimal()


def _lettered_numbers(narrow: str, text: str, entry: Language) -> Iterator[Number]:
    if not entry.spaced:
        yield from _kanji_numbers(narrow, text, entry)
        return
    lowered = narrow.lower()
    if len(lowered) == len(narrow):  # "İ" grows; positions would not fit then
        yield from _word_numbers(lowered, text, entry)
    yield from _roman_numbers(narrow, text)


def _without_overlaps(numbers: list[Number]) -> list[Number]:
    kept: list[Number] = []
    for number in sorted(numbers, key=lambda n: (n.start, n.form == "word", -n.end)):
        if not kept or number.start >= kept[-1].end:
            kept.append(number)
    return kept


def _digit_numbers(narrow: str, text: str, entry: Language, join_spaces: bool, fractions: bool) -> Iterator[Number]:
    position = 0
    while (match := _START.search(narrow, position)) is not None:
        start = match.start()
        for number in _numbers_at(narrow, start, entry, join_spaces, fractions):
            number = _with_surroundings(narrow, text, number, entry)
            position = number.end
            yield number
        position = max(position, match.end())


def _numbers_at(narrow: str, start: int, entry: Language, join_spaces: bool, fractions: bool) -> Iterator[Number]:
    """The number or, for a chain such as ``1.2.3``, the numbers that begin at a digit."""
    if narrow[start] in _VULGAR:
        yield Number(start, start + 1, "", (Fraction(*_VULGAR[narrow[start]]),))
        return
    if narrow[start] == ".":  # .75
        digits = _DIGITS.match(narrow, start + 1)
        if digits is not None:
            yield Number(start, digits.end(), "", _value("0", digits[0]))
        return
    latex = _LATEX_FRACTION.match(narrow, start)
    if latex is not None:
        if int(latex[2]):
            yield Number(start, latex.end(), "", (Fraction(int(latex[1]), int(latex[2])),))
        return
    chain = _CHAIN.match(narrow, start)
    if chain is None:
        return
    pieces = [(m.start(1), m.end(1), _separator(m[2])) for m in _PIECE.finditer(narrow, start, chain.end())]
    index = 0
    while index < len(pieces):
        taken, readings, foreign = _interpret(narrow, pieces, index, entry, join_spaces)
        end = pieces[index + taken - 1][1]
        number = Number(pieces[index][0], end, "", readings, foreign)
        index += taken
        if fractions and readings and readings[0].denominator == 1:
            fraction = _fraction(narrow, number, last=index == len(pieces))
            if fraction is not None:
                yield fraction
                return
        yield number


def _separator(between: str) -> str:
    return " " if between in ("{,}", "\\,", "\\;", "\\!", "\\ ", "~") else between


def _interpret(
    narrow: str, pieces: list[tuple[int, int, str]], index: int, entry: Language, join_spaces: bool
) -> tuple[int, tuple[Fraction, ...], tuple[Fraction, ...]]:
    """How many pieces the number at ``index`` takes, its readings, and its readings in other conventions."""
    start, end, separator = pieces[index]
    size = end - start
    groups = 1
    before = pieces[index - 1][2] if index else ""
    spaced = separator != "" and separator in _SPACE
    groupable = before not in (".", ",") and join_spaces if spaced else separator != before
    if size <= 3 and narrow[start] != "0" and groupable:
        while (
            index + groups < len(pieces)
            and pieces[index + groups - 1][2] == separator
            and pieces[index + groups][1] - pieces[index + groups][0] == 3
        ):
            groups += 1
        if index + groups < len(pieces) and pieces[index + groups - 1][2] == separator and not spaced:
            groups = 1  # "1.234.5": the last group is too short, so these were no groups
    last = index + groups - 1
    whole = "".join(narrow[s:e] for s, e, _ in pieces[index : last + 1])
    decimal = pieces[last][2]
    follows = last + 1 < len(pieces)
    tail = narrow[pieces[last + 1][0] : pieces[last + 1][1]] if follows else ""
    repeated = before == decimal or (last + 2 < len(pieces) and pieces[last + 1][2] == decimal)  # 1.2.3 or 12.05.2024
    if groups > 1:
        if follows and decimal in ".,'" and decimal != separator and not repeated:
            return groups + 1, _value(whole, tail), ()
        grouped = _value(whole)
        if groups > 2 or separator not in ".,":
            return groups, grouped, ()
        second = pieces[index + 1]
        decimals = _value(narrow[start:end], narrow[second[0] : second[1]])
        if entry.both_conventions:
            return groups, (grouped + decimals if separator in entry.group_separators else decimals + grouped), ()
        return (groups, decimals, grouped) if separator == entry.decimal_separator else (groups, grouped, decimals)
    if not follows or decimal not in ".," or repeated:
        return 1, _value(whole), ()
    if decimal == "," and entry.decimal_separator == "." and not entry.both_conventions:
        return 1, _value(whole), ()  # "3,5" in English is a list
    return 2, _value(whole, tail), ()


def _value(whole: str, decimals: str = "") -> tuple[Fraction, ...]:
    if len(whole) + len(decimals) > _MOST_DIGITS:
        return ()
    return (Fraction(int(whole + decimals), 10 ** len(decimals)),)


def _fraction(narrow: str, number: Number, last: bool) -> Number | None:
    """``3/4``, ``2 1/2``, ``2½``; a date such as ``3/4/2024`` is none."""
    whole = number.readings[0]
    if number.end < len(narrow) and narrow[number.end] in _VULGAR:
        value = whole + Fraction(*_VULGAR[narrow[number.end]])
        return replace(number, end=number.end + 1, readings=(value,), foreign_readings=())
    mixed = _MIXED.match(narrow, number.end)
    if mixed is not None:
        numerator, denominator = (int(mixed[1]), int(mixed[2])) if mixed[1] else _VULGAR[mixed[3]]
        if denominator and numerator < denominator:
            return replace(
                number, end=mixed.end(), readings=(whole + Fraction(numerator, denominator),), foreign_readings=()
            )
    if not last or narrow[number.start - 1 : number.start] in ("/", "⁄"):
        return None
    slash = _SLASH.match(narrow, number.end)
    if slash is None or int(slash[1]) == 0:
        return None
    return replace(number, end=slash.end(), readings=(whole / int(slash[1]),), foreign_readings=())


def _with_surroundings(narrow: str, text: str, number: Number, entry: Language) -> Number:
    """Exponent, scale, sign, percent and time of day, read from what stands beside the number."""
    before = narrow[max(0, number.start - 40) : number.start]
    number = _scaled(narrow, number, entry)
    readings = number.readings
    after = narrow[number.end : number.end + 32].lower()
    if readings and readings[0].denominator == 1 and 1 <= readings[0] <= 12:
        hour = readings[0]
        if _AFTERNOON.match(narrow, number.end) or before.endswith("午後"):
            readings += (hour % 12 + 12,)
        elif hour == 12 and (_MORNING.match(narrow, number.end) or before.endswith("午前")):
            readings += (Fraction(0),)
    if after[:1] == "s" and not after[1:2].isalpha() and len(readings) == 1 and 1000 <= readings[0] < 3000:
        readings += (readings[0] % 100,)  # the 1990s
    percent = after.lstrip(_SPACE).startswith(("%", *entry.percent_words, "\\%"))
    start = number.start
    if _is_negative_sign(narrow, start):
        start -= 1
        readings = tuple(-value for value in readings)
    elif _has_negative_word(before, after, entry):
        readings += tuple(-value for value in readings)
    if percent:
        readings += tuple(value / 100 for value in readings)
    elif not entry.spaced and after[:1] == "割":
        percent = True
        readings = (*(value * 10 for value in readings), *(value / 10 for value in readings), *readings)
    vague = before[-1:].isascii() and before[-1:].isalpha() and start == number.start
    vague = vague or (before[-1:] == ":" and narrow[number.start : number.end] == "00")  # full hours
    written = text[start : number.end]
    return Number(start, number.end, written, readings, number.foreign_readings, percent=percent, vague=vague)


def _has_negative_word(before: str, after: str, entry: Language) -> bool:
    """Of "minus 5", "5 degrees below zero"; it may be a subtraction, so this only adds a reading."""
    if before.rstrip().lower().endswith(entry.negative_words):
        return True
    return any(" " in word and word in after for word in entry.negative_words)


def _is_negative_sign(narrow: str, start: int) -> bool:
    """The hyphen before a number is a minus unless something to subtract from, or a word, stands before it."""
    if narrow[start - 1 : start] != "-" or not start:
        return False
    before = narrow[max(0, start - 4) : start - 1]
    if not before:
        return True
    last = before[-1]
    if last.isspace():
        previous = before.rstrip()[-1:]
        return not (previous.isdigit() or previous in (")", "]", "%", "x", "n", "y"))
    return last in "([{=:,;<>*/+^|\"'“«„‚$€£¥~≈、。（「" or (last.isalpha() and last > "\u2e80")


def _scaled(narrow: str, number: Number, entry: Language) -> Number:
    if not number.readings:
        return number
    exponent = _EXPONENT.match(narrow, number.end)
    if exponent is not None:
        power = Fraction(10) ** int(exponent[1])
        return replace(number, end=exponent.end(), readings=tuple(value * power for value in number.readings))
    if not entry.spaced:
        return _with_kanji(narrow, number)
    suffix = _SUFFIX.match(narrow, number.end)
    if suffix is not None:
        scaled = tuple(value * 10 ** _SUFFIXES[suffix[0]] for value in number.readings)
        return replace(number, readings=scaled + number.readings)
    scale = _scale_pattern(entry.code).match(narrow, number.end)
    if scale is None:
        return number
    word = scale[1].lower()
    if word not in entry.scale_words:  # "3 dozen"
        return replace(
            number, end=scale.end(), readings=(*(value * 12 for value in number.readings), *number.readings)
        )
    power = Fraction(10) ** entry.scale_words[word]
    return replace(
        number,
        end=scale.end(),
        readings=tuple(value * power for value in number.readings),
        foreign_readings=tuple(value * power for value in number.foreign_readings),
    )


@cache
def _scale_pattern(code: str) -> re.Pattern[str]:
    words = lexicon(code)
    scales = [word for word, power in words.scales.items() if power >= 3]
    dozens = [word for word, number in words.other.items() if number.readings[0] == 12 and not number.vague]
    joined = "|".join(sorted(scales + dozens, key=len, reverse=True))
    return re.compile(rf"[{_SPACE}-]?({joined})(?![^\W\d_])", re.IGNORECASE)


def _with_kanji(narrow: str, number: Number) -> Number:
    """``8万``, ``1億2000万``, ``10分の3``, ``3ダース``."""
    value = number.readings[0]
    if narrow[number.end : number.end + 1] in tuple("十百千万億兆"):
        compound = read_kanji(narrow, number.end, value)
        if compound is not None:
            return replace(number, end=compound[1], readings=(compound[0],), foreign_readings=())
    if narrow.startswith(_DOZEN, number.end):
        readings = (*(v * 12 for v in number.readings), *number.readings)
        return replace(number, end=number.end + len(_DOZEN), readings=readings, foreign_readings=())
    fraction = _KANJI_FRACTION.match(narrow, number.end)
    if fraction is not None and value:
        parsed = read_kanji(fraction[2], 0) if fraction[2] else (Fraction(fraction[1]), 0)
        if parsed is not None:
            return replace(number, end=fraction.end(), readings=(parsed[0] / value,), foreign_readings=())
    return number


def _word_numbers(lowered: str, text: str, entry: Language) -> Iterator[Number]:
    for start, end, word in find_words(lowered, entry.code):
        following = lowered[end : end + 24].lstrip(_SPACE)
        percent = following.startswith(("%", *entry.percent_words))
        if lowered[max(0, start - 8) : end].endswith(tuple(p for p in entry.percent_words if " " in p)):
            continue  # the "cent" of "pour cent"
        readings = word.readings + (tuple(value / 100 for value in word.readings) if percent else ())
        yield Number(start, end, text[start:end], readings, form="word", percent=percent, vague=word.vague)


def _roman_numbers(narrow: str, text: str) -> Iterator[Number]:
    for match in _ROMAN_TOKEN.finditer(narrow):
        value = read_roman(match[0])
        if value:
            readings = (Fraction(value),)
            yield Number(
                match.start(), match.end(), text[match.start() : match.end()], readings, form="word", vague=True
            )


def _kanji_numbers(narrow: str, text: str, entry: Language) -> Iterator[Number]:
    """Kanji numerals and counting words; a single kanji is often part of another word, so all of them are vague."""
    words = lexicon(entry.code).other
    if words:
        pattern = _counting_pattern(entry.code)
        for match in pattern.finditer(narrow):
            number = words[match[0]]
            readings = number.readings
            yield Number(
                match.start(), match.end(), text[match.start() : match.end()], readings, form="word", vague=True
            )
    for match in _KANJI_RUN.finditer(narrow):
        position = match.start()
        while position < match.end() and (parsed := read_kanji(narrow, position)) is not None:
            value, end = parsed
            fraction = _KANJI_FRACTION.match(narrow, end)
            if fraction is not None and value:
                over = read_kanji(fraction[2], 0) if fraction[2] else (Fraction(fraction[1]), 0)
                if over is not None:
                    value, end = over[0] / value, fraction.end()
            readings = (value, value * 10, value / 10) if narrow[end : end + 1] == "割" else (value,)
            if narrow.startswith(_DOZEN, end):
                readings, end = (value * 12, value), end + len(_DOZEN)
            yield Number(position, end, text[position:end], readings, form="word", vague=True)
            position = end


@cache
def _counting_pattern(code: str) -> re.Pattern[str]:
    return re.compile("|".join(sorted(map(re.escape, lexicon(code).other), key=len, reverse=True)))
