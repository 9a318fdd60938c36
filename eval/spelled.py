"""Numbers that words make: "zweiundvierzig", "two and a half", "half a million", 2時間半, "one point five".

A statement comes in; out comes the statement with such numbers in digits, which all other readers then take alike.
"""

from __future__ import annotations

import functools
import itertools
import re
from fractions import Fraction

from data_prep.languages import LANGUAGES, get_language
from data_prep.numbers import Number, find_numbers
from eval.phrases import Phrases, either_word, japanese, phrases
from eval.quantities import Quantity, find_quantities

_WITHIN = 400  # characters of a statement in which number words are looked for
_LONGEST = 2_000  # characters of a statement in which mixed numbers are looked for
# Scale words that are a number when they stand alone in the singular ("mille euros", "a thousand").
_ALONE = frozenset(
    {"hundred", "thousand", "million", "billion", "mille", "cent", "milliard", "mil", "millón", "tausend", "hundert"}
    | {"milliarde", "milione", "miliardo", "cento"}
)
_ROMAN_LETTERS = frozenset("IVXLCDM")
_COUNTER = (
    r"(?:時間|[個年日分秒倍杯本枚箱袋]|週間|か月|ヶ月|キロ(?:グラム|メートル)?|"
    r"メートル|リットル|カップ|切れ|km|kg|m|g|L)?"
)


def words_in_digits(text: str, language: str) -> str:
    """A statement with its number words in digits ("zweiundvierzig", "la moitié", 十八).

    Words that often are no number ("one", "second") count only where the text is little else.
    """
    found = _words(text[:_WITHIN], language)
    sure = [number for number in found if _is_sure(number)]
    if not sure and len(found) == 1 and len(text) <= 40:
        # "Only one is left." may say one, "Lloyd hat einen Hof." does not.
        article = language != "en" and found[0].readings[0] == 1 and not japanese(found[0].text)
        sure = found if len(text.split()) <= (2 if article else 4) else []
    for number in reversed(sure):
        text = f"{text[: number.start]}{_written(number.readings[0])}{text[number.end :]}"
    return text


def _words(text: str, language: str) -> list[Number]:
    """The number words of a text; a single Roman letter is none."""
    return [
        number
        for number in find_numbers(text, language)
        if number.form == "word" and number.readings and number.text not in _ROMAN_LETTERS
    ]


def _is_sure(number: Number) -> bool:
    if not number.vague:
        return True
    several = japanese(number.text) and (len(number.text) > 1 or number.text in "百千万億")
    return several or number.text.lower() in _ALONE


def spelled_out(text: str, language: str) -> str:
    """A cleaned statement with its mixed numbers in digits: "2 litros y medio" becomes "5/2 litros"."""
    words = phrases(language)
    if not _any_pattern(words).search(text, 0, _LONGEST):
        return text
    text = _glued(text, language, words)
    for pattern, part in _after_patterns(words):
        text = _with_parts(text, pattern, part, language, words)
    text = _halved(text, language, words)
    return _decimals(text, language, words)


@functools.cache
def _any_pattern(words: Phrases) -> re.Pattern[str]:
    entries = (
        *words.half_after, *words.quarter_after, *words.three_quarters_after, *words.half_glued, *words.half_before,
        *words.decimal_words,
    )  # fmt: skip
    return re.compile("|".join(entries), re.IGNORECASE)


@functools.cache
def _after_patterns(words: Phrases) -> tuple[tuple[re.Pattern[str], Fraction], ...]:
    parts = (
        (words.half_after, Fraction(1, 2)),
        (words.quarter_after, Fraction(1, 4)),
        (words.three_quarters_after, Fraction(3, 4)),
    )
    patterns = []
    for entries, part in parts:
        spaced = "|".join(entry for entry in entries if not japanese(entry))
        unspaced = [entry for entry in entries if japanese(entry)]
        either = [rf"(?P<unit>(?:[ -]?[^\W\d]+\.?)?) (?:{spaced})(?!\w)"] * bool(spaced)
        either += [rf"(?P<counter>{_COUNTER})(?:{entry})" for entry in unspaced]
        patterns.append((re.compile("|".join(either) or "(?!)", re.IGNORECASE), part))
    return tuple(patterns)


@functools.cache
def _multiples(language: str) -> dict[str, int]:
    """Words that multiply: scale words and dozens, with their factor."""
    entries = (get_language(language), LANGUAGES["en"])
    scales = {word: 10**power for entry in entries for word, power in entry.scale_words.items() if power >= 2}
    dozens = {
        word: 12 for entry in entries for word, value in entry.fraction_words.items() if value.lstrip("?") == "12"
    }
    return {word: factor for word, factor in (scales | dozens).items() if word not in ("noon", "cent", "cento")}


def _halved(text: str, language: str, words: Phrases) -> str:
    """ "half a million" and "half a dozen" in digits, "half an hour" as 1/2 hour."""

    def replaced(match: re.Match[str]) -> str:
        word = match["what"].lower()
        if word in multiples:
            return _written(Fraction(multiples[word], 2))
        return f"1/2 {match['what']}"

    multiples = _multiples(language)
    scales = "|".join(sorted(map(re.escape, multiples), key=len, reverse=True))
    halves = "|".join(words.half_before)
    boundary = r"(?<!\w)(?<!\d )" if get_language(language).spaced else r"(?<![\d間個年日分])"
    pattern = re.compile(
        rf"{boundary}(?:{halves})\s?(?P<what>{scales}|(?:{_measures()}))(?![A-Za-zÀ-ɏ])", re.IGNORECASE
    )
    return pattern.sub(replaced, text)


@functools.cache
def _measures() -> str:
    return (
        r"hours?|miles?|cups?|lit(?:er|re)s?|pounds?|heures?|tasses?|litros?|horas?|tazas?|kilos?|stunden?|tassen?|litern?|"
        r"or[ae]|tazz[ae]|litr[oi]|chil[oi]|時間|カップ|リットル"
    )


def _glued(text: str, language: str, words: Phrases) -> str:
    """ "zweieinhalb" in digits."""

    def replaced(match: re.Match[str]) -> str:
        found = _words(match[1], language)
        return _written(found[0].readings[0] + Fraction(1, 2)) if len(found) == 1 else match[0]

    if not words.half_glued:
        return text
    return re.sub(rf"(?<!\w)([^\W\d]+?)(?:{'|'.join(words.half_glued)})(?!\w)", replaced, text, flags=re.IGNORECASE)


def _with_parts(text: str, pattern: re.Pattern[str], part: Fraction, language: str, words: Phrases) -> str:
    """The text with "two and a half hours" as "5/2 hours" and "a million and a half" as "1500000"."""
    if not pattern.search(text, 0, _LONGEST):
        return text
    multiples = _multiples(language)
    quantities = find_quantities(text[:_LONGEST], language)
    quantities += [Quantity(n.start, n.end, n.readings[:1]) for n in _words(text[:_LONGEST], language)]
    for quantity in sorted(quantities, key=lambda q: q.start, reverse=True):
        match = pattern.match(text, quantity.end)
        if match is None or not quantity.values:
            continue
        unit = (match["unit"] or "").strip(" -") or (match.groupdict().get("counter") or "")
        last = re.search(r"[^\W\d]+$", text[quantity.start : quantity.end])
        factor = multiples.get(unit.lower()) or (multiples.get(last[0].lower()) if last else None) or 1
        if factor > 1 and unit.lower() in multiples:
            value, unit = (quantity.values[0] + part) * factor, ""
        else:
            value = quantity.values[0] + part * factor
        text = f"{text[: quantity.start]}{_with_unit(value, unit)}{text[match.end() :]}"
    article = re.compile(rf"(?<!\w)(?:{'|'.join(words.articles)})\s?(?={pattern.pattern})", re.IGNORECASE)
    for match in list(article.finditer(text))[::-1]:
        tail = pattern.match(text, match.end())
        if tail is not None and tail["unit"]:
            unit = tail["unit"].strip(" -")
            factor = multiples.get(unit.lower(), 1)
            written = _with_unit((1 + part) * factor, unit if factor == 1 else "")
            text = f"{text[: match.start()]}{written}{text[tail.end() :]}"
    return text


def _with_unit(value: Fraction, unit: str) -> str:
    """Hours and minutes for hours, since either unit may be asked for."""
    if re.fullmatch(r"hours?|heures?|horas?|stunden?|or[ae]|時間", unit, re.IGNORECASE) and value.denominator > 1:
        whole, minutes = divmod(int(value * 60), 60)
        return f"{whole}{unit}{minutes}分" if japanese(unit) else f"{whole} {unit} {minutes} min"
    return f"{_written(value)} {unit}"


def _decimals(text: str, language: str, words: Phrases) -> str:
    """ "one point five" in digits."""
    joint = re.compile(rf"\s?(?:{either_word(words.decimal_words)})\s?", re.IGNORECASE)
    if not joint.search(text, 0, _LONGEST):
        return text
    numbers = _words(text[:_LONGEST], language)
    for whole, decimals in list(itertools.pairwise(numbers))[::-1]:
        between, digits = text[whole.end : decimals.start], decimals.readings[0]
        if joint.fullmatch(between) and digits.denominator == 1 and 0 <= digits < 1000:
            value = whole.readings[0] + digits / 10 ** len(str(digits))
            text = f"{text[: whole.start]}{_written(value)}{text[decimals.end :]}"
    return text


def _written(value: Fraction) -> str:
    return str(value)  # 3/2 or 1500000: the same in every language
