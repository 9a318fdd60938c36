"""Which numbers of a text follow from two others of it: 37 from 52 and 15. No words are read."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

_MOST = 9  # different numbers of a text that are combined
_DECIMALS = 6  # that two results have to share


@dataclass(frozen=True)
class Combination:
    """One way to make a number: ``kind`` ``sum``, ``difference``, ``product``, ``quotient`` or ``percent``, and the
    indices of the two numbers that it takes."""

    kind: str
    operands: tuple[int, int]


def combinations(values: list[float]) -> list[set[Combination]]:
    """For each of several different values, none negative, the ways in which two of the others make it.

    Empty where there are more than nine values: then chance makes most of them.
    """
    found: list[set[Combination]] = [set() for _ in values]
    if not 2 < len(values) <= _MOST:
        return found
    values = [round(value, _DECIMALS) for value in values]
    index = {value: place for place, value in enumerate(values)}
    for one, other in itertools.combinations(range(len(values)), 2):
        pair = (one, other)
        for result, kind in (*_simple(values[one], values[other]), *_percent(values[one], values[other])):
            target = index.get(round(result, _DECIMALS))
            if target is not None and target not in pair:
                found[target].add(Combination(kind, pair))
    return found


def _simple(one: float, other: float) -> list[tuple[float, str]]:
    results = [(abs(one - other), "difference"), (one + other, "sum")]
    if not {one, other} & {0, 1}:
        results += [(one * other, "product"), *((result, "quotient") for result in _quotients(one, other))]
    return results


def _quotients(one: float, other: float) -> tuple[float, ...]:
    return (one / other, other / one) if one and other else ()


def _percent(one: float, other: float) -> list[tuple[float, str]]:
    """Shares, discounts and mark-ups, rises and falls."""
    if not one or not other:
        return []
    share = one * other / 100
    results = [share, abs(one - share), one + share, abs(other - share), other + share]
    for part, whole in ((one, other), (other, one)):
        results += [100 * part / whole, 100 * abs(whole - part) / whole]
    return [(result, "percent") for result in results]
