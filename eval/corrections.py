"""Answers that are taken back: "20, no, 18", "It is 100. Wait, the voucher applies as well: that leaves 25"."""

from __future__ import annotations

import functools
import re

from eval.phrases import DIRECT, Phrases, either_word, japanese

_DIGIT = re.compile(r"\d")
# After "actually": another number at once ("it is 20"), or one that is worked out ("I broke 6, so that leaves 24").
_ANOTHER_ANSWER = (
    rf"{DIRECT.pattern}[$€£¥]?\d[\d.,' ]*(?:[^\W\d]+\s?){{0,2}}[\s*_]*(?:[.,;:!。、]|$)"
    r"|[^.!?。\n]{0,200}?(?:=|(?<!\w)(?:so(?! (?:viel|gro|lang|alt|schwer|teuer|hoch|weit|oft))|gives?|makes?|leaves?"
    r"|donc|obtient|reste|restent|as[íi] que|queda|quedan|obtenemos|da"
    r"|also|bleiben|bleibt|ergibt|quindi|resta|restano|rimangono|si ottiene)(?!\w)|ので|から、)[^.!?。\n]{0,80}?\d"
)
_LONGEST = 2_000  # characters of a statement in which corrections are looked for
# "Ah mince, …", "Hmm, scratch that".
_SIGH = r"(?:(?:ah|oh|eh|euh|hmm?|hum|uh|um|uy|ay|ach|äh|ähm|och|mah|beh|ehm)[,!.…]*\s)?"


def strong_corrections(words: Phrases) -> tuple[str, ...]:
    """The openings that take back what was said before, whatever follows them."""
    return tuple(word for word in words.corrections if word not in words.weak_corrections)


@functools.cache
def _correction_pattern(words: Phrases) -> re.Pattern[str]:
    opening = rf"(?:^|[.,;:!?…—–()\n]|\s-)[\s*_]*{_SIGH}"
    strong = "|".join(word for word in strong_corrections(words) if not japanese(word))
    weak = "|".join(word for word in words.weak_corrections if not japanese(word))
    other = "|".join(word for word in words.corrections if japanese(word)) or "(?!)"
    soft = "|".join(word for word in words.soft_corrections if not japanese(word)) or "(?!)"
    soft_other = "|".join(word for word in words.soft_corrections if japanese(word)) or "(?!)"
    # "Sorry for the 20 mistakes" and "no apples" correct nothing.
    after_strong = r"(?!\w)(?!\s(?:for|about|if|pour|si|por|für|per|se|che)(?!\w))"
    after_weak = r"(?!\w)(?=\s*[,;:!.…—–]|\s+[*_$€£(]*-?\d)"
    if "no" in words.denied_before:
        after_weak = r"(?!\w)(?=\s*[,;:!.…—–])"  # "es 16, no 18"
    return re.compile(
        rf"{opening}(?:(?:{strong}){after_strong}|(?:{weak}){after_weak})[\s.,;:!…—–*_-]*|(?:{other})[、。,.…!\s]*"
        rf"|(?:{opening}(?:{soft})(?!\w)|(?:{soft_other}))[\s,:、*_]*(?={_ANOTHER_ANSWER})",
        re.IGNORECASE,
    )


def after_correction(statement: str, words: Phrases) -> str | None:
    """What follows the last words that take back a number before them; None where nothing is taken back.

    A doubt that ends where it began ("wait, let me check: … yes, that is right") takes nothing back.
    """
    last = None
    for match in _correction_pattern(words).finditer(statement[:_LONGEST]):
        if _DIGIT.search(statement[: match.start()]) and _DIGIT.search(statement[match.end() :]):
            last = match
    if last is None or _confirmation_pattern(words).search(statement, last.end()):
        return None
    return statement[last.end() :]


def opens_with_correction(statement: str, words: Phrases) -> re.Match[str] | None:
    """The words at the start of a statement that take back what stood before it."""
    return _correction_pattern(words).match(statement)


@functools.cache
def _confirmation_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.confirmations), re.IGNORECASE)


@functools.cache
def _retraction_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"\W*(?:.{{0,40}}?[\s、])?(?:{'|'.join(words.retractions)})", re.IGNORECASE | re.DOTALL)


def retracted(rest: str, words: Phrases) -> bool:
    """Whether what follows a statement says that it is wrong."""
    return _retraction_pattern(words).match(rest) is not None
