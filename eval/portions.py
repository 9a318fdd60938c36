"""Fractions of a whole in words: "a third of the pupils", "las tres cuartas partes", "eine Dreiviertelstunde".

A statement comes in; out comes the statement with such fractions in digits ("1/3 of the pupils").
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction

from data_prep.languages import get_language
from data_prep.number_words import lexicon
from eval.phrases import japanese, phrases

_WORD = re.compile(r"[^\W\d_]+")
_PLURAL = {"en": "s", "fr": "s", "es": "s", "de": "n", "it": "i"}  # "three quarters" is read as it is
_GLUED = re.compile(
    r"(?<!\w)(?P<three>drei ?)?viertel"
    r"(?P<unit>stunden?|litern?|kilo(?:gramm|meter)?|pfund|jahre?|meilen?|tassen?)?(?!\w)",
    re.IGNORECASE,
)


# What "one … in four" may count.
_CASES = r"chances?|cas|cases?|fois|volt[ae]|mal|casos?|casi|vez|veces|times?|probabilità|possibilità|fällen?|fall"
_OUT_OF = r"in(?: every)?|out of|of every|su|sur|von|de cada|von je|entre"


def portions_in_digits(text: str, language: str) -> str:
    """A statement without digits with its fractions of a whole in digits; "a quarter" alone is a coin."""
    if not get_language(language).spaced:
        return text
    pattern, parts = _portion_patterns(language)
    words = set(_WORD.findall(text.lower()))  # looked up in no time, where the patterns are slow
    if parts is not None and not words.isdisjoint(_ordinals(language)):
        text = parts.sub(functools.partial(_part, language=language), text)
    if words.isdisjoint(_portions(language)):
        return text
    return pattern.sub(functools.partial(_portion, language=language), text)


@functools.cache
def _portions(language: str) -> dict[str, Fraction]:
    """Fraction nouns in the singular, English ones included, with their value."""
    codes = (language, "en")
    return {
        word: number.readings[0]
        for code in codes
        for word, number in lexicon(code).other.items()
        if number.vague
        and number.readings[0].denominator > 1
        and number.readings[0].numerator == 1
        and not word.endswith(_PLURAL.get(code, "s"))
    }


@functools.cache
def _portion_patterns(language: str) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    words = phrases(language)
    nouns = "|".join(sorted(map(re.escape, _portions(language)), key=len, reverse=True))
    articles = "|".join(article for article in words.articles if article)
    links = "|".join(words.portion_links)
    one = rf"(?:(?:{articles}|one|le|la|el|il|das|exactly|exactement|genau|just|only)\s)?"
    portion = re.compile(rf"(?<!\w){one}(?P<noun>{nouns})(?=\s(?:{links})(?!\w)|\s(?:{links})(?<='))", re.IGNORECASE)
    if not words.parts:
        return portion, None
    counts = "|".join(re.escape(word) for word, value in lexicon(language).small.items() if 1 <= value <= 19)
    ordinals = "|".join(map(re.escape, _ordinals(language)))
    return portion, re.compile(
        rf"(?<!\w)(?:(?P<count>{counts})\s)?(?P<ordinal>{ordinals})\s(?:{'|'.join(words.parts)})(?!\w)", re.IGNORECASE
    )


@functools.cache
def _ordinals(language: str) -> dict[str, int]:
    """Ordinals in all their forms ("cuarta", "cuartas") with their value, third to hundredth."""
    ordinals = {}
    for word, number in lexicon(language).other.items():
        value = number.readings[-1]
        below = number.readings[0].denominator
        value = Fraction(below) if below > 2 and number.readings[0].numerator == 1 else value
        if number.vague and value.denominator == 1 and 3 <= value <= 100 and " " not in word:
            ordinals[word] = int(value)
            if word[-1] in "aeo" and language == "es":
                ordinals[word + "s"] = int(value)
    return ordinals


def _portion(match: re.Match[str], language: str) -> str:
    return f" {_portions(language)[match['noun'].lower()]} "


def _part(match: re.Match[str], language: str) -> str:
    count = lexicon(language).small[match["count"].lower()] if match["count"] else 1
    return f" {count}/{_ordinals(language)[match['ordinal'].lower()]} "


def half_in_digits(text: str, language: str) -> str:
    """A statement without any number with the half of a thing in it as one ("half a pizza")."""
    pattern = _half_pattern(language)
    return pattern.sub("1/2 ", text, count=1) if pattern is not None else text


@functools.cache
def _half_pattern(language: str) -> re.Pattern[str] | None:
    halves = "|".join(word for word in phrases(language).whole_halves if not japanese(word))
    return (
        re.compile(rf"(?<!\w)(?<!\bla )(?:{halves})(?:\s|(?<=[-']))(?=[^\W\d_]{{3}})", re.IGNORECASE)
        if halves
        else None
    )


@functools.cache
def _out_of_pattern(language: str) -> re.Pattern[str]:
    number = rf"\d{{1,4}}|(?:{small_words(language)})(?!\w)"
    return re.compile(
        rf"(?<![\w.,/])(?P<part>{number})(?:\s(?:(?:{_CASES})\s)?(?:{_OUT_OF})\s"
        rf"(?P<whole>{number})|回に(?P<once>\d{{1,4}})回)(?![\d/%])(?!\s?%)",
        re.IGNORECASE,
    )


def out_of_in_digits(text: str, language: str) -> str:
    """A statement that is to say a fraction with "1 in 4", "una su quattro" and 4回に1回 as 1/4."""

    def fraction(match: re.Match[str]) -> str:
        part, whole = (small_number(match[name] or "", language) for name in ("part", "whole"))
        if match["once"]:
            part, whole = int(match["once"]), part
        return f" {part}/{whole} " if part and whole and part <= whole else match[0]

    return _out_of_pattern(language).sub(fraction, text[:2_000]) + text[2_000:]


@functools.cache
def small_words(language: str) -> str:
    """Alternatives of a pattern for the numbers one to twenty in words, English ones included."""
    small = {word for code in {language, "en"} for word, value in lexicon(code).small.items() if 1 <= value <= 20}
    return "|".join(sorted(map(re.escape, small), key=len, reverse=True)) or "(?!)"


def small_number(written: str, language: str) -> int:
    """The value of digits or of a small number in words; 0 for anything else."""
    if written.isdecimal():
        return int(written)
    return next((v for code in (language, "en") if (v := lexicon(code).small.get(written.lower()))), 0)


def with_glued_portions(text: str, language: str) -> str:
    """A statement with "Dreiviertelstunde" as "0 Stunde 45 min" and "Dreiviertelliter" as "3/4 liter"."""
    if not phrases(language).glued_portions:
        return text
    return _GLUED.sub(_glued, text)


def _glued(match: re.Match[str]) -> str:
    if not match["three"] and not match["unit"]:
        return match[0]
    value, unit = Fraction(3 if match["three"] else 1, 4), match["unit"] or ""
    if unit.lower().startswith("stunde"):
        return f" 0 {unit} {int(value * 60)} min"
    return f" {value} {unit}"
