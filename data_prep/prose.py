"""Tell language from notation: whether a piece of text has words that a reader reads, or only symbols."""

from __future__ import annotations

import re
from collections.abc import Iterable

from data_prep.spans import Span

_TOKEN = re.compile(r"\S+")
_WORD = re.compile(r"[^\W\d_]{2,}(?:['’\-/.&][^\W\d_]+)*")
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_CALL = re.compile(r"\w\((?!e?s\)|n\)|en\)|r\)|in\))")
_PUNCTUATION = "\"'.,;:!?()[]{}*_~#«»„“”‘’…—–-/|<>+=^%$€£¥&@`\\"
_BEYOND_LATIN = re.compile(r"[\u0370-\u1fff\u2e80-\U000fffff]")
# International symbols and function names; a line of only these and numbers is the same in every language.
_NOTATION = frozenset(
    [
        *["sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "gcd", "lcm", "lim", "det", "sqrt", "arctan"],
        *["mm", "cm", "dm", "km", "mg", "kg", "ml", "cl", "dl", "kb", "mb", "gb", "tb", "hz", "khz", "mhz", "ghz"],
        *["ms", "ns", "kw", "kwh", "mol", "pi", "usd", "eur", "gbp", "jpy", "kj", "kcal", "mph", "nan", "rad"],
    ]
)


def has_words(text: str, start: int, end: int, spans: Iterable[Span] = ()) -> bool:
    """Whether ``text[start:end]`` outside ``spans`` (ordered, inside the range) has a word of some language."""
    position = start
    for gap_end, resume in [*((span.start, span.end) for span in spans), (end, end)]:
        for token in _TOKEN.finditer(text, position, gap_end):
            if _is_word(token[0]):
                return True
        position = resume
    return False


def _is_word(token: str) -> bool:
    if token.isalpha() and token.isascii():
        return len(token) > 1 and token.lower() not in _NOTATION and not (len(token) == 2 and token.isupper())
    if _has_foreign_letter(token):
        return True
    core = token.strip(_PUNCTUATION)
    if len(core) > 60 and core.isascii():  # encoded data
        return False
    if _WORD.fullmatch(core):
        return core.lower() not in _NOTATION and not (len(core) == 2 and core.isupper())
    if any(mark in core for mark in ("_", "=", "\\", "{", "}", "<", ">", "()", "::")) or _CALL.search(core):
        return False
    return any(run.lower() not in _NOTATION for run in _LETTERS.findall(core))


def _has_foreign_letter(token: str) -> bool:
    """A letter of a script other than Latin, a lone Greek one not counted: ``π`` is notation, ``είναι`` is a word."""
    letters = [match for match in _BEYOND_LATIN.findall(token[:200]) if match.isalpha()]
    return len(letters) > 1 or (bool(letters) and not "\u0370" <= letters[0] <= "\u03ff")
