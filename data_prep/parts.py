"""How several segments stand in one question and in its answer: marks on a line, or a JSON object.

Both are contracts: an answer that has lost, doubled, moved or invented a part is an error, and never repaired.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

# What stands around the number of a mark; the first pair that no text uses in this way.
_SIGNS = (("<", ">"), ("⟦", "⟧"), ("⸨", "⸩"), ("⦃", "⦄"), ("⟪", "⟫"))
_BREAK = re.compile(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")

Marks = tuple[str, str]


class PartsError(ValueError):
    """An answer that does not have the parts it should have."""


def free_marks(texts: Sequence[str]) -> Marks | None:
    """The signs around a number that can mark parts of these texts; None where each of them is in use."""
    return next((signs for signs in _SIGNS if not any(_pattern(signs).search(text) for text in texts)), None)


def mark_parts(texts: Sequence[str], marks: Marks) -> str:
    """``<1> first <2> second``: the texts, which have no line breaks, on one line."""
    opening, closing = marks
    return " ".join(f"{opening}{number}{closing} {text}" for number, text in enumerate(texts, start=1))


def read_marked(text: str, count: int, marks: Marks) -> tuple[str, ...]:
    """The parts of a marked line, stripped.

    Raises:
        PartsError: the marks are not 1 to ``count``, each once and in order; text stands before the first; a part is
            blank.
    """
    before, *rest = _pattern(marks).split(text)
    numbers, parts = rest[::2], [part.strip() for part in rest[1::2]]
    expected = [str(number) for number in range(1, count + 1)]
    if numbers != expected:
        found = ", ".join(numbers[:20]) or "none"
        raise PartsError(f"the marks are {found}{' …' if len(numbers) > 20 else ''} and not 1 to {count} in order")
    if before.strip():
        raise PartsError("text stands before the first mark")
    if blank := [number for number, part in zip(numbers, parts, strict=True) if not part]:
        raise PartsError(f"part {blank[0]} is empty")
    return tuple(parts)


def to_json(texts: Sequence[str]) -> str:
    """``{"1": "first", "2": "second"}`` on one line."""
    return json.dumps({str(number): text for number, text in enumerate(texts, start=1)}, ensure_ascii=False)


def from_json(text: str, count: int) -> tuple[str, ...]:
    """The parts in a JSON object with the keys 1 to ``count``, stripped; white space around it does not matter.

    Raises:
        PartsError: anything but such an object stands there, a key is missing, invented or doubled, a value is no
            text, is blank or has a line break.
    """
    try:
        pairs = json.loads(text.strip(), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise PartsError(f"the answer is not one JSON object and nothing else ({_first_words(error)})") from None
    if not isinstance(pairs, _Pairs):
        raise PartsError("the answer is JSON, but not an object")
    parts: dict[str, Any] = dict(pairs)
    expected = [str(number) for number in range(1, count + 1)]
    if len(parts) != len(pairs):
        raise PartsError("a key stands there twice")
    if missing := [key for key in expected if key not in parts]:
        raise PartsError(f"the key {missing[0]!r} is missing")
    if invented := [key for key in parts if key not in set(expected)]:
        raise PartsError(f"the key {invented[0][:40]!r} is not in the question")
    for key in expected:
        value = parts[key]
        if not isinstance(value, str):
            raise PartsError(f"the value of {key!r} is not a text")
        if not value.strip():
            raise PartsError(f"the value of {key!r} is empty")
        if _BREAK.search(value.strip()):
            raise PartsError(f"the value of {key!r} has a line break")
    return tuple(parts[key].strip() for key in expected)


class _Pairs(list[tuple[str, Any]]):
    """The pairs of a JSON object, doubled keys and all."""


def _pattern(marks: Marks) -> re.Pattern[str]:
    opening, closing = map(re.escape, marks)
    return re.compile(f"{opening}([0-9]+){closing}")


def _first_words(error: BaseException) -> str:
    return str(error).split(":")[0][:80]
