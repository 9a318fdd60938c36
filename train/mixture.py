"""Which rows a run sees and in which order: the build's rows by language in, the whole run drawn up front out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Draw:
    """One training example to be: the ``index``-th row of ``language``, as it is or as a translation exercise."""

    language: str
    index: int
    translate: bool = False


def draw_mixture(
    available: Mapping[str, int],
    weights: Mapping[str, float],
    rows: int | None,
    translation_share: float,
    seed: int,
    source_language: str = "en",
) -> list[Draw]:
    """Draw the whole run, shuffled: deterministic in its arguments.

    Within a language every row comes once before any row comes twice, each pass in a new order.

    Args:
        available: rows there are, by language.
        weights: relative shares of the languages; empty means all, by their number of rows.
        rows: how many to draw in all; None draws every row of the chosen languages once (the weights then only
            choose the languages).
        translation_share: probability with which a row of another language becomes a translation exercise.
        seed: of every random choice here.
        source_language: never a translation exercise.

    Raises:
        ValueError: a weighted language has no rows.
    """
    chosen = dict(weights) or {language: float(count) for language, count in available.items()}
    for language in chosen:
        if not available.get(language):
            raise ValueError(f"language '{language}' has no rows; there are {', '.join(sorted(available)) or 'none'}")
    quota = {language: available[language] for language in chosen} if rows is None else _apportion(chosen, rows)
    draws = [
        Draw(language, index, language != source_language and rng.random() < translation_share)
        for language in sorted(quota)
        for rng in [random.Random(f"{seed}/{language}")]
        for index in _passes(available[language], quota[language], rng)
    ]
    random.Random(seed).shuffle(draws)
    return draws


def _apportion(weights: Mapping[str, float], rows: int) -> dict[str, int]:
    """Whole numbers in the ratio of the weights that add up to ``rows`` (largest remainder method)."""
    total = sum(weights.values())
    exact = {language: rows * weight / total for language, weight in weights.items()}
    quota = {language: int(value) for language, value in exact.items()}
    by_remainder = sorted(exact, key=lambda language: (quota[language] - exact[language], language))
    for language in by_remainder[: rows - sum(quota.values())]:
        quota[language] += 1
    return quota


def _passes(available: int, wanted: int, rng: random.Random) -> list[int]:
    drawn: list[int] = []
    while len(drawn) < wanted:
        order = list(range(available))
        rng.shuffle(order)
        drawn += order[: wanted - len(drawn)]
    return drawn


def count_by_language(draws: Sequence[Draw]) -> dict[str, int]:
    """Drawn rows by language, in alphabetical order."""
    return dict(sorted(Counter(draw.language for draw in draws).items()))
