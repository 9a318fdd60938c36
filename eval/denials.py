"""Numbers that a statement says are not the answer: "not 20", "18 is not the right answer", 18は間違いです."""

from __future__ import annotations

import functools
import re

from eval.central import COUNTER
from eval.phrases import Phrases, either_word, japanese
from eval.quantities import Quantity

_UNIT_JAPANESE = (
    r"(?:円|ドル|ユーロ|[cmk]?[mgL]|%|度|歳|点)?"  # "18問は間違い" counts mistakes, "18円は間違い" is denied
)


@functools.cache
def _denied_patterns(words: Phrases) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    inserted = r"(?:,[^,.;:\d]{1,40},)?"  # "not, as one might think, 16"
    either = "|".join(words.denied_before)
    before = rf"(?:(?<!\w)(?:{either})|n['’]t)(?:\s+(?!\d)[\w'’]+){{0,2}}{inserted}[\s$€£¥*_\"]*$"
    after = rf"{COUNTER}(?:{'|'.join(words.denied_after)})" if words.denied_after else None
    return re.compile(before, re.IGNORECASE), re.compile(after) if after else None


@functools.cache
def _rejection_pattern(words: Phrases) -> re.Pattern[str]:
    latin = "|".join(entry for entry in words.rejections if not japanese(entry))
    other = "|".join(entry for entry in words.rejections if japanese(entry)) or "(?!)"
    return re.compile(
        rf"[\s*_\"'”»)$€£¥%]*(?:[^\W\d]+\s){{0,2}}?(?:,\s?)?(?:(?:which|that|ce qui|lo que|lo cual|il che)\s)?"
        rf"(?:{latin})(?!\w)|[*_\"」』)]*{_UNIT_JAPANESE}[*_]*(?:{other})",
        re.IGNORECASE,
    )


@functools.cache
def _disbelief_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"(?:{either_word(words.disbeliefs)})[^\d.;:!?\n]*$", re.IGNORECASE)


def is_denied(statement: str, quantities: list[Quantity], index: int, words: Phrases) -> bool:
    """Whether the statement says that the quantity with this index is not meant."""
    quantity = quantities[index]
    start = quantities[index - 1].end if index else max(0, quantity.start - 80)
    before, after = _denied_patterns(words)
    if before.search(statement[start : quantity.start]) or is_disbelieved(statement[start : quantity.start], words):
        return True
    if after is not None and after.match(statement, quantity.end):
        return True
    return is_rejected(statement, quantity, words)


def is_rejected(statement: str, quantity: Quantity, words: Phrases) -> bool:
    """Whether a clause after a quantity says that it is wrong ("18 is not the right answer")."""
    return _rejection_pattern(words).match(statement, quantity.end) is not None


def is_disbelieved(before: str, words: Phrases) -> bool:
    """Whether the words before a statement say that it does not hold ("I do not think that the answer is")."""
    return _disbelief_pattern(words).search(before) is not None
