"""What the sample asks: every template with its category, its word slots and all number tuples it allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Numbers = dict[str, int | float]


@dataclass(frozen=True)
class Template:
    """One kind of problem.

    Args:
        name: the message id in the Fluent files.
        category: math, code or chat.
        numbers: yields every number tuple the template allows; ``r`` is the result.
        words: the slots filled from ``words.yaml`` (``other`` is a second name, ``next`` follows ``day``/``month``).
        steps: calculations in the chain (math).
        held_out: never in the training split.
    """

    name: str
    category: str
    numbers: Callable[[], Iterator[Numbers]]
    words: tuple[str, ...] = ()
    steps: int = 0
    held_out: bool = False


def _add(a_range: range, b_range: range) -> Iterator[Numbers]:
    return ({"a": a, "b": b, "r": a + b} for a in a_range for b in b_range)


def _subtract(a_range: range, b_range: range) -> Iterator[Numbers]:
    return ({"a": a, "b": b, "r": a - b} for a in a_range for b in b_range if a - b >= 2)


def _multiply(a_range: range, b_range: range) -> Iterator[Numbers]:
    return ({"a": a, "b": b, "r": a * b} for a in a_range for b in b_range)


def _multiply_halves() -> Iterator[Numbers]:
    for doubled in range(1, 6, 2):
        for b in range(2, 6):
            r = doubled * b / 2
            yield {"a": doubled / 2, "b": b, "r": int(r) if r.is_integer() else r}


def _divide(r_range: range, b_range: range) -> Iterator[Numbers]:
    return ({"a": r * b, "b": b, "r": r} for r in r_range for b in b_range)


def _add_then_subtract() -> Iterator[Numbers]:
    for a in range(3, 13):
        for b in range(2, 6):
            for c in range(2, min(6, a + b - 1)):
                yield {"a": a, "b": b, "c": c, "s": a + b, "r": a + b - c}


def _multiply_then_add(a_range: range, b_range: range, c_range: range) -> Iterator[Numbers]:
    for a in a_range:
        for b in b_range:
            for c in c_range:
                yield {"a": a, "b": b, "c": c, "s": a * b, "r": a * b + c}


def _multiply_then_subtract(a_range: range, b_range: range, c_range: range) -> Iterator[Numbers]:
    for a in a_range:
        for b in b_range:
            for c in c_range:
                if a * b - c >= 2:
                    yield {"a": a, "b": b, "c": c, "s": a * b, "r": a * b - c}


def _change() -> Iterator[Numbers]:
    for a in range(2, 6):
        for b in range(2, 6):
            for c in (20, 50):
                if c - a * b >= 2:
                    yield {"a": a, "b": b, "c": c, "s": a * b, "r": c - a * b}


def _twice_and_once() -> Iterator[Numbers]:
    return ({"a": a, "s": 2 * a, "r": 3 * a} for a in range(2, 10))


def _more_than_and_both() -> Iterator[Numbers]:
    return ({"a": a, "b": b, "s": a + b, "r": 2 * a + b} for a in range(3, 10) for b in range(2, 6))


def _add_then_divide() -> Iterator[Numbers]:
    for c in range(2, 6):
        for r in range(2, 7):
            for a in range(2, min(6, c * r - 1)):
                yield {"a": a, "b": c * r - a, "c": c, "s": c * r, "r": r}


def _add_three() -> Iterator[Numbers]:
    for a in range(5, 13):
        for b in range(2, 6):
            for c in range(2, 6):
                yield {"a": a, "b": b, "c": c, "s": a + b, "r": a + b + c}


def _subtract_then_divide() -> Iterator[Numbers]:
    for c in range(2, 6):
        for r in range(2, 7):
            for b in range(2, 6):
                yield {"a": b + c * r, "b": b, "c": c, "s": c * r, "r": r}


def _from_to() -> Iterator[Numbers]:
    return ({"a": a, "b": b, "r": b + 1} for a in range(10) for b in range(10, 41))


def _up_to(limit: int) -> Callable[[], Iterator[Numbers]]:
    return lambda: ({"a": a} for a in range(2, limit))


def _none() -> Iterator[Numbers]:
    yield {}


TEMPLATES: tuple[Template, ...] = (
    Template("buy-more", "math", lambda: _add(range(3, 16), range(2, 6)), ("name", "item"), steps=1),
    Template("give-away", "math", lambda: _subtract(range(4, 21), range(2, 6)), ("name", "item"), steps=1),
    Template("boxes", "math", lambda: _multiply(range(2, 10), range(2, 10)), ("item",), steps=1),
    Template("share", "math", lambda: _divide(range(1, 10), range(2, 6)), ("name", "item"), steps=1),
    Template("age", "math", lambda: _subtract(range(8, 21), range(2, 6)), ("name", "other"), steps=1),
    Template("printer", "math", lambda: _multiply(range(2, 10), range(2, 10)), steps=1),
    Template("tickets", "math", lambda: _multiply(range(2, 10), range(2, 10)), steps=1),
    Template("bus", "math", lambda: _subtract(range(8, 21), range(2, 6)), steps=1),
    Template("bottles", "math", _multiply_halves, steps=1),
    Template("ribbons", "math", _multiply_halves, steps=1),
    Template("pages", "math", lambda: _add(range(5, 16), range(2, 6)), ("name",), steps=1),
    Template("buy-and-give", "math", _add_then_subtract, ("name", "item"), steps=2),
    Template(
        "bags-and-loose",
        "math",
        lambda: _multiply_then_add(range(2, 7), range(2, 7), range(2, 6)),
        ("name", "item"),
        steps=2,
    ),
    Template("change", "math", _change, ("name",), steps=2),
    Template("twice-as-many", "math", _twice_and_once, ("name", "item"), steps=2),
    Template("together", "math", _more_than_and_both, ("name", "other", "item"), steps=2),
    Template(
        "wages", "math", lambda: _multiply_then_subtract(range(3, 9), range(2, 7), range(2, 6)), ("name",), steps=2
    ),
    Template("garden", "math", lambda: _multiply_then_subtract(range(2, 7), range(3, 8), range(2, 6)), steps=2),
    Template("groups", "math", _add_then_divide, steps=2),
    Template("trip", "math", _add_three, ("name",), steps=2),
    Template("share-the-rest", "math", _subtract_then_divide, ("name", "item"), steps=2),
    Template("baker", "math", lambda: _subtract(range(8, 21), range(2, 6)), steps=1, held_out=True),
    Template("farm", "math", lambda: _add(range(5, 16), range(2, 6)), steps=1, held_out=True),
    Template(
        "hotel",
        "math",
        lambda: _multiply_then_subtract(range(2, 7), range(3, 8), range(2, 6)),
        steps=2,
        held_out=True,
    ),
    Template(
        "school-shopping",
        "math",
        lambda: _multiply_then_add(range(2, 7), range(2, 7), range(2, 6)),
        ("name",),
        steps=2,
        held_out=True,
    ),
    Template("add-function", "code", _up_to(60)),
    Template("multiply-function", "code", _up_to(60)),
    Template("print-loop", "code", _up_to(30), ("word",)),
    Template("first-numbers", "code", _from_to),
    Template("capital", "chat", _none, ("country",)),
    Template("next-day", "chat", _none, ("day",)),
    Template("next-month", "chat", _none, ("month",)),
    Template("thanks", "chat", _none, ("name", "subject")),
)
