"""Quantities in digits: text in one of our languages in, numbers with their possible values out.

Separators of the language, fractions, powers, percent, scale words (万, million); ``spelled`` reads words.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fractions import Fraction

from data_prep.languages import LANGUAGES, get_language

_MOST_DIGITS = 60  # longer runs of digits are no answer that anyone gives, and cost time to compare
_MOST_POWER = 60

_NUMBER = r"""
    (?: \d{1,3}(?:[ ']\d{3})+(?!\d)(?:[.,]\d+(?![.,]?\d))?
      | \d{1,3}(?:,\d{3}){2,}(?!\d)(?:\.\d+)?
      | \d{1,3}(?:\.\d{3}){2,}(?!\d)(?:,\d+)?
      | \d{1,3}(?:,\d{3})+\.\d+
      | \d{1,3}(?:\.\d{3})+,\d+
      | \d+[.,]\d+(?![.,]?\d)
      | \d+
      | (?<!\d)[.]\d+ )"""
_TOKEN = re.compile(
    rf"""(?P<clock>(?<![A-Za-z0-9_.,])\d{{1,2}}(?::|\s?(?:[hH]|時)\s?)\d{{2}}(?:分|(?!\d))(?!:\d))
    | (?P<ratio>(?<![A-Za-z0-9_.,])\d+(?:(?::\d+)+|(?:\s:\s\d+)+(?!\s[^\W\d]{{3}})))
    | (?:(?<![A-Za-zÀ-ɏ_0-9])|(?<=\d[mgL])|(?<=\dk[mg]))(?<!\^)
      (?P<sign>(?:(?<![\w)\]%°$])|(?<=[ぁ-ん])|(?<=[\s(:=]\$)|(?<=\A\$))[-–+](?=[$€£¥]?\s?[\d.])|(?<![\w)\]%°$])(?<![\w)\]%°$]\s)[-+]\s(?=[$€£¥]?[\d.]))?
      (?P<currency>[$€£¥]\s?)?
      (?: (?P<whole>\d{{1,6}})\s{{1,2}}(?P<top>\d{{1,6}})/(?P<bottom>\d{{1,6}})(?![\d/])
        | (?P<whole_and>\d{{1,6}})\s(?:and|et|y|e|und)\s
          (?P<top_and>\d{{1,3}})/(?P<bottom_and>\d{{1,3}})(?=\s?[^\W\d_]{{2}})
        | (?P<a>{_NUMBER})
          (?: \s?/\s?(?P<b>\d+(?:[.,]\d+)?)(?!\s?[\d/])
            | (?:\s?\^\s?|\*\*(?=\d))\{{?\s?(?P<power>-?\d{{1,4}})\s?\}}?
            | \s?[×x*·]\s?10(?:\s?\^\s?|\*\*(?=\d))\{{?\s?(?P<ten>-?\d{{1,4}})\s?\}}?
            | [eE](?P<exponent>[+-]?\d{{1,3}})(?![\w.])
          )?
      )""",
    re.VERBOSE,
)
_PERCENT = re.compile(
    r"\s?(?:%|percent\b|per cent\b|pour cent\b|por ciento\b|prozent\b|per cento\b|パーセント|percento\b|pct\b)",
    re.IGNORECASE,
)
# "Minus" after a number subtracts; the Romance words do so more often, and mean "less" too.
_MINUS_WORD = re.compile(
    r"(?:(?:(?<!\d)(?<!\d\s)(?<!\w)(?:minus|negative)|(?:^|[=:]\s?|\b(?:est|était|de|d'|à|fait|faisait|indique|marque|atteint|"
    r"vaut|vale|gleich|es|son|era|eran|hay|hace|hacía|marca|marcaba|a|è|era|di|sono|erano|fa|faceva|segna|segnava)\s+)(?:moins|menos|meno))\s|マイナス)$",
    re.IGNORECASE,
)
_MINUTES = re.compile(r"\s?min(?:utes?|uten|utos?|uti)?\b", re.IGNORECASE)
_LASTS = re.compile(
    r"(?<!\w)(?:dur\w+|pendant|mettent?|mett\w+|mis|faut|fallu|prend|pris)\s(?:[^\W\d]+\s)?$", re.IGNORECASE
)
_DOZEN = re.compile(r"\s(?:dozen|douzaines?|docenas?|dutzend|dozzin[ae])(?!\w)", re.IGNORECASE)
_TENTHS = re.compile(r"割(?![るりっれろら])(?:(?P<hundredths>\d)分)?")  # 3割5分 is 35 %
_MINUS_ENDS = frozenset({"s ", "S ", "o ", "O ", "e ", "E ", "ナス"})
_SHORT_SCALE = {
    "k": 3,
    "K": 3,
    "M": 6,
    "Mio": 6,
    "Mio.": 6,
    "Mrd": 9,
    "Mrd.": 9,
    "Mio,": 6,
    "bn": 9,
}
_JAPANESE_SCALE = {"千": 3, "万": 4, "億": 8, "兆": 12}
_JAPANESE_DIGITS = re.compile(r"\d{1,3}(?:,\d{3})+|\d{1,12}")
_PARTS = re.compile(r"分の(\d{1,9})")


@dataclass(frozen=True)
class Quantity:
    """A number in a text.

    Args:
        start, end: its span in the text it was found in, unit not included.
        values: what it can mean, the native reading first; empty for a clock time with minutes or a ratio, which is a
            quantity but no number.
        percent: a percent sign or word follows.
    """

    start: int
    end: int
    values: tuple[Fraction, ...]
    percent: bool = False


def find_quantities(text: str, language: str) -> list[Quantity]:
    """All quantities of a cleaned text in reading order, in time linear in its length."""
    found: list[Quantity] = []
    position = 0
    while (match := _TOKEN.search(text, position)) is not None:
        quantity = _quantity(match, text, language)
        found.append(quantity)
        position = max(quantity.end, match.end())
    return found


def minus_before(text: str, start: int) -> bool:
    """Whether a word before the number at ``start`` makes it negative ("minus five", "moins 5")."""
    if text[max(0, start - 2) : start] not in _MINUS_ENDS:
        return False
    return _MINUS_WORD.search(text[max(0, start - 24) : start]) is not None


def _quantity(match: re.Match[str], text: str, language: str) -> Quantity:
    start, end = match.span()
    if match["clock"]:
        hours, minutes = re.findall(r"\d+", match["clock"])
        lasts = _MINUTES.match(text, end) or _LASTS.search(text[max(0, start - 24) : start])
        if lasts and ":" not in match["clock"] and "時" not in match["clock"]:  # "3 h 20 min", "dure 2 h 30"
            total = int(hours) * 60 + int(minutes)
            return Quantity(start, end, (Fraction(total, 60), Fraction(total)))
        return Quantity(start, end, (Fraction(int(hours)),) if int(minutes) == 0 else ())
    if match["ratio"]:
        return Quantity(start, end, ())
    values = _values(match, language)
    values, end = _scaled(values, text, end, language)
    if (match["sign"] and match["sign"].strip() in "-–") or minus_before(text, start):
        values = tuple(-value for value in values)
    if (tenths := _TENTHS.match(text, end)) is not None:
        values = tuple(value * 10 + int(tenths["hundredths"] or 0) for value in values)
        return Quantity(start, tenths.end(), values, percent=True)
    if _DOZEN.match(text, end):
        values = (*(value * 12 for value in values), *values)
    percent = _PERCENT.match(text, end)
    return Quantity(start, percent.end() if percent else end, values, percent is not None)


def _values(match: re.Match[str], language: str) -> tuple[Fraction, ...]:
    if match["whole"] or match["whole_and"]:
        name = "" if match["whole"] else "_and"
        bottom = int(match[f"bottom{name}"])
        return (int(match[f"whole{name}"]) + Fraction(int(match[f"top{name}"]), bottom),) if bottom else ()
    values = read_digits(match["a"], language)
    if match["b"]:
        below = read_digits(match["b"], language)
        return tuple(value / below[0] for value in values if below and below[0])
    if match["power"]:
        power = int(match["power"])
        if abs(power) > _MOST_POWER or (power < 0 and 0 in values) or any(abs(v) > 10**6 for v in values):
            return ()
        return tuple(value**power for value in values)
    exponent = match["ten"] or match["exponent"]
    if exponent:
        return tuple(v * Fraction(10) ** int(exponent) for v in values) if abs(int(exponent)) <= _MOST_POWER else ()
    return values


def read_digits(written: str, language: str) -> tuple[Fraction, ...]:
    """The values of digits with separators (``70.000``, ``3,5``, ``1'234.50``); empty when absurdly long.

    One separator before exactly three digits is read as the language has it. Spanish uses both conventions. A point
    that groups may also be a careless decimal point, but not when zeros end it: nobody writes 70.000 for 70.
    """
    if len(written) > _MOST_DIGITS:
        return ()
    text = re.sub(r"[ ']", "", written)
    points, commas = text.count("."), text.count(",")
    if points and commas:  # the last one is the decimal separator
        decimal = "." if text.rfind(".") > text.rfind(",") else ","
        return (_decimal(text.replace("," if decimal == "." else ".", ""), decimal),)
    if points + commas == 0:
        return (Fraction(int(text)),)
    separator = "." if points else ","
    if points + commas > 1:
        return (Fraction(int(text.replace(separator, ""))),)
    before, _, after = text.partition(separator)
    as_decimal = _decimal(text, separator)
    if len(after) != 3 or not before or len(before) > 3 or before.startswith("0") or text != written:
        return (as_decimal,)
    as_group = Fraction(int(before + after))
    entry = get_language(language)
    if separator == entry.decimal_separator:
        return (as_decimal, as_group) if entry.both_conventions else (as_decimal,)
    if separator == "," or after.endswith("0"):
        return (as_group,)
    return (as_group, as_decimal)


def _decimal(text: str, separator: str) -> Fraction:
    before, _, after = text.partition(separator)
    return Fraction(int((before or "0") + after), 10 ** len(after))


@functools.cache
def _scale_pattern(language: str) -> tuple[re.Pattern[str], dict[str, int]]:
    # Below a thousand the words are also coins and units ("50 cents").
    words = {**LANGUAGES["en"].scale_words, **LANGUAGES[language].scale_words}
    powers = {word: power for word, power in words.items() if power >= 3 and word not in _JAPANESE_SCALE}
    alternatives = "|".join(sorted(map(re.escape, powers), key=len, reverse=True))
    return re.compile(
        rf"\s?-?(?:(?P<word>{alternatives})|(?P<short>k|K|M|bn|Mio\.?|Mrd\.?))(?![\w])",
        re.IGNORECASE,
    ), powers


def _scaled(values: tuple[Fraction, ...], text: str, end: int, language: str) -> tuple[tuple[Fraction, ...], int]:
    """Multiply by the scale words that follow: ``7万5千``, ``1.5 million``, ``70k``; divide ``3`` by ``4分の``."""
    parts = _PARTS.match(text, end)
    if parts is not None and values and values[0]:
        return (int(parts[1]) / values[0],), parts.end()
    if end < len(text) and text[end] in _JAPANESE_SCALE and values:
        return _japanese(values[0], text, end)
    pattern, powers = _scale_pattern(language)
    match = pattern.match(text, end)
    if match is None:
        return values, end
    if match["word"]:
        power = powers[match["word"].lower()]
    elif match["short"] in _SHORT_SCALE and (match["short"] not in "kKM" or match.start("short") == end):
        power = _SHORT_SCALE[match["short"]]
    else:
        return values, end
    return tuple(value * 10**power for value in values), match.end()


def _japanese(first: Fraction, text: str, end: int) -> tuple[tuple[Fraction, ...], int]:
    total, current, number = Fraction(0), Fraction(0), first
    for _ in range(12):  # no number has more parts
        scale = _JAPANESE_SCALE.get(text[end : end + 1])
        if scale == 3:
            current, number, end = current + number * 1000, Fraction(0), end + 1
        elif scale is not None:
            total, current, number, end = (
                total + (current + number) * 10**scale,
                Fraction(0),
                Fraction(0),
                end + 1,
            )
        else:
            break
        following = _JAPANESE_DIGITS.match(text, end)
        if following is None:
            if scale == 3 and text[end : end + 1] in _JAPANESE_SCALE:
                continue  # 2千万
            break
        number, end = Fraction(int(following[0].replace(",", ""))), following.end()
    return (total + current + number,), end
