"""Drawing the run: shares as asked, no row twice before all came once, the same draw from the same seed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.mixture import count_by_language, draw_mixture

AVAILABLE = st.dictionaries(st.sampled_from(["en", "fr", "es", "ja"]), st.integers(1, 40), min_size=1)


@given(available=AVAILABLE, rows=st.integers(0, 200), data=st.data())
def test_shares_are_the_weights_to_within_a_row(available: dict[str, int], rows: int, data: st.DataObject) -> None:
    weights = {language: data.draw(st.floats(0.1, 10)) for language in available}
    counts = Counter(draw.language for draw in draw_mixture(available, weights, rows, 0.0, seed=0))
    assert counts.total() == rows
    for language, weight in weights.items():
        assert abs(counts[language] - rows * weight / sum(weights.values())) < 1


@given(available=AVAILABLE, rows=st.integers(0, 200), seed=st.integers(0, 5))
def test_no_row_comes_twice_before_all_came_once(available: dict[str, int], rows: int, seed: int) -> None:
    for language in available:
        times = Counter(
            draw.index for draw in draw_mixture(available, {}, rows, 0.0, seed) if draw.language == language
        )
        counts = [times[index] for index in range(available[language])]
        assert max(counts) - min(counts) <= 1


def test_without_a_number_every_row_of_the_chosen_languages_comes_once() -> None:
    draws = draw_mixture({"en": 5, "fr": 3, "ja": 4}, {"en": 1, "fr": 9}, None, 0.0, seed=0)
    assert count_by_language(draws) == {"en": 5, "fr": 3}
    assert len(set(draws)) == 8


def test_the_seed_decides_the_order() -> None:
    arguments = ({"en": 30, "fr": 30}, {}, None, 0.3)
    assert draw_mixture(*arguments, seed=1) == draw_mixture(*arguments, seed=1)
    assert draw_mixture(*arguments, seed=1) != draw_mixture(*arguments, seed=2)


def test_translation_exercises_have_their_share_and_never_the_source_language() -> None:
    draws = draw_mixture({"en": 1000, "fr": 1000}, {}, None, 0.25, seed=0)
    share = Counter(draw.language for draw in draws if draw.translate)
    assert share["en"] == 0
    assert 200 < share["fr"] < 300


def test_a_language_without_rows_is_named() -> None:
    with pytest.raises(ValueError, match="'ja' has no rows; there are en, fr"):
        draw_mixture({"en": 1, "fr": 1}, {"ja": 1}, None, 0.0, seed=0)
