"""Conclusions: "So she has 12", "Donc …", したがって."""

from __future__ import annotations

import functools
import re

from data_prep.languages import LANGUAGES
from eval.phrases import either_word

# What may stand before the first word of a sentence.
DRESS = r"[\s*_#>(\[「『【✓✔✅☑️•~-]*"
_DIGIT = re.compile(r"\d")


def conclusion_words(language: str) -> tuple[str, ...]:
    """The words that open a conclusion in the language or in English."""
    return (*LANGUAGES[language].conclusion_words, *LANGUAGES["en"].conclusion_words)


def concludes(sentence: str, language: str) -> bool:
    """Whether a sentence opens as a conclusion ("So …", "Donc …", "したがって…")."""
    return conclusion_pattern(language).match(sentence) is not None


@functools.cache
def conclusion_pattern(language: str) -> re.Pattern[str]:
    """Matches a sentence that opens as a conclusion."""
    return re.compile(rf"{DRESS}(?:{either_word(conclusion_words(language))})", re.IGNORECASE)


def goes_on_to_conclude(statement: str, language: str) -> bool:
    """Whether a statement with a number draws a conclusion with another from it ("96 pages, so 24 are left")."""
    number = _DIGIT.search(statement)
    return number is not None and inner_conclusion(language).search(statement, number.end()) is not None


@functools.cache
def inner_conclusion(language: str) -> re.Pattern[str]:
    """Matches a word that concludes with a number after it."""
    return re.compile(rf"(?:{either_word(conclusion_words(language))})\D{{0,60}}\d", re.IGNORECASE)
