"""Signs in words: "4 degrees below zero" and 氷点下4度 as -4."""

from __future__ import annotations

import functools
import re

from eval.phrases import Phrases, japanese

_LONGEST = 2_000  # characters of a statement that are read
_DEGREES = r"(?:\s?(?:°\s?[CF]?|℃|degrees?|degrés?|grados?|grad[io]?)){0,2}(?:\s(?:celsius|fahrenheit|centigrad\w+))?"


def below_zero(statement: str, words: Phrases) -> str:
    """A statement with the degrees that it says are below zero as negative numbers."""
    pattern = _below_pattern(words)
    if not below_pattern(words).search(statement, 0, _LONGEST):
        return statement
    return pattern.sub(lambda match: f" -{match['after'] or match['before']}{match['unit'] or ''}", statement)


@functools.cache
def below_pattern(words: Phrases) -> re.Pattern[str]:
    """Matches the words that make degrees negative."""
    return re.compile("|".join(words.below_zero + words.below_zero_before), re.IGNORECASE)


@functools.cache
def _below_pattern(words: Phrases) -> re.Pattern[str]:
    after = "|".join(words.below_zero)
    before = "|".join(entry for entry in words.below_zero_before if japanese(entry)) or "(?!)"
    number = r"(?<![\d.,-])\d{1,4}(?:[.,]\d{1,2})?(?!\d)"
    return re.compile(
        rf"(?P<before>{number})(?P<unit>{_DEGREES})\s(?:{after})(?!\w)|(?:{before})\s?(?P<after>\d{{1,4}}(?:[.,]\d{{1,2}})?)",
        re.IGNORECASE,
    )
