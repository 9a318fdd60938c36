"""Statistics held against their definition: coverage, error rates and power by seeded simulation."""

import numpy as np
import pytest
from scipy import stats as reference

from eval.stats import compare_paired, holm, mean, proportion
from launch.errors import InputError

REPEATS = 400


def test_wilson_interval_as_published() -> None:
    # Newcombe (1998), table I: 81 of 263, method 3.
    estimate = proportion(81, 263)
    assert estimate.value == pytest.approx(81 / 263)
    assert (estimate.low, estimate.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_all_right_is_not_certain() -> None:
    estimate = proportion(20, 20)
    assert estimate.high == pytest.approx(1.0)
    assert estimate.low is not None
    assert 0.8 < estimate.low < 0.9


def test_nothing_observed_has_no_value() -> None:
    assert proportion(0, 0).as_dict() == {"value": None, "low": None, "high": None, "n": 0}
    assert mean([]).as_dict() == {"value": None, "low": None, "high": None, "n": 0}
    assert mean([0.5]).as_dict() == {"value": 0.5, "low": None, "high": None, "n": 1}


@pytest.mark.parametrize("n", [8, 60])
def test_mean_interval_covers_the_truth(n: int) -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for repeat in range(REPEATS):
        estimate = mean(generator.normal(3.0, 1.0, size=n).tolist(), seed=repeat)
        covered += estimate.low <= 3.0 <= estimate.high
    assert 0.92 <= covered / REPEATS <= 0.98


def test_mean_interval_of_clusters_is_wider_and_covers() -> None:
    generator = np.random.default_rng(2)
    clusters = np.repeat(np.arange(30), 8)
    covered = ignored = 0
    for repeat in range(REPEATS // 2):
        values = generator.normal(size=30)[clusters] + generator.normal(size=clusters.size)
        estimate = mean(values.tolist(), clusters=clusters.tolist(), seed=repeat)
        naive = mean(values.tolist(), seed=repeat)
        covered += estimate.low <= 0 <= estimate.high
        ignored += naive.low <= 0 <= naive.high
    assert 0.91 <= covered / (REPEATS // 2) <= 0.99
    assert ignored / (REPEATS // 2) < 0.75


def _answers(generator: np.random.Generator, n: int, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Two systems' right and wrong on the same items, correlated through the items' difficulty."""
    shared, luck = generator.random(n), generator.random((2, n))
    hard = generator.random(n) < 0.5
    return np.where(hard, shared, luck[0]) < a, np.where(hard, shared, luck[1]) < b


@pytest.mark.parametrize(("n", "a", "b"), [(60, 0.7, 0.7), (60, 0.8, 0.6), (250, 0.6, 0.6), (250, 0.95, 0.9)])
def test_paired_interval_covers_the_true_difference(n: int, a: float, b: float) -> None:
    generator = np.random.default_rng(3)
    results = [compare_paired(*_answers(generator, n, a, b)) for _ in range(REPEATS)]
    covered = np.mean([result.low <= a - b <= result.high for result in results])
    assert 0.92 <= covered <= 0.99


@pytest.mark.parametrize("n", [40, 200])
def test_equal_systems_differ_significantly_one_time_in_twenty(n: int) -> None:
    generator = np.random.default_rng(4)
    errors = np.mean([compare_paired(*_answers(generator, n, 0.7, 0.7)).p_value < 0.05 for _ in range(2 * REPEATS)])
    assert 0.02 <= errors <= 0.07


@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_clusters_are_respected(binary: bool, unequal: bool) -> None:
    generator = np.random.default_rng(5)
    covered = errors = ignored = 0
    for repeat in range(REPEATS):
        sizes = generator.integers(1, 12, size=20) if unequal else np.full(20, 6)
        clusters = np.repeat(np.arange(20), sizes)
        effect = generator.normal(0, 0.25 if binary else 1.0, size=(2, 20))[:, clusters]
        if binary:
            a, b = generator.random((2, clusters.size)) < np.clip(0.5 + effect, 0, 1)
        else:
            a, b = effect + generator.normal(size=(2, clusters.size))
        result = compare_paired(a, b, clusters=clusters.tolist(), seed=repeat)
        covered += result.low <= 0 <= result.high
        errors += result.p_value < 0.05
        ignored += compare_paired(a, b, seed=repeat).p_value < 0.05
    assert 0.92 <= covered / REPEATS <= 0.98
    assert 0.02 <= errors / REPEATS <= 0.08
    assert ignored / REPEATS > 0.1


def test_the_minimum_detectable_difference_is_found_four_times_in_five() -> None:
    generator = np.random.default_rng(6)
    n = 100
    typical = np.mean([compare_paired(*generator.normal(size=(2, n))).minimum_detectable for _ in range(50)])
    found = np.mean(
        [
            compare_paired(generator.normal(typical, 1, size=n), generator.normal(size=n)).p_value < 0.05
            for _ in range(REPEATS)
        ]
    )
    assert 0.74 <= found <= 0.86


def test_without_clusters_the_interval_is_the_paired_t_interval() -> None:
    generator = np.random.default_rng(7)
    a, b = generator.normal(size=(2, 25))
    expected = reference.ttest_rel(a, b).confidence_interval(0.95)
    result = compare_paired(a, b)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high))
    assert compare_paired(a, b, clusters=[str(i) for i in range(25)]) == result


def test_small_samples_are_tested_exactly() -> None:
    a, b = [0.9, 0.8, 0.7, 0.9, 0.6, 0.8], [0.1, 0.3, 0.2, 0.6, 0.5, 0.2]
    expected = reference.permutation_test(
        (a, b), lambda x, y: np.mean(x) - np.mean(y), permutation_type="samples", n_resamples=np.inf
    )
    assert compare_paired(a, b).p_value == pytest.approx(expected.pvalue)


def test_equal_scores_show_nothing() -> None:
    result = compare_paired([1, 0, 1, 1] * 10, [1, 0, 1, 1] * 10)
    assert (result.difference, result.p_value) == (0.0, 1.0)
    assert result.low < 0 < result.high
    assert result.minimum_detectable > 0


def test_the_same_seed_gives_the_same_numbers_and_swapping_turns_the_sign() -> None:
    generator = np.random.default_rng(8)
    a, b = generator.normal(size=(2, 80))
    one, again, swapped = compare_paired(a, b, seed=3), compare_paired(a, b, seed=3), compare_paired(b, a, seed=3)
    assert one == again
    assert swapped.difference == pytest.approx(-one.difference)
    assert (swapped.low, swapped.high) == pytest.approx((-one.high, -one.low))


def test_holm_as_in_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("a", "b", "clusters", "says"),
    [
        ([1, 0], [1], None, "2 and 1"),
        ([1], [0], None, "two items"),
        ([1, 0], [0, 1], ["x", "x"], "two clusters"),
        ([1, 0], [0, 1], ["x"], "one cluster an item"),
        ([1, float("nan")], [0, 1], None, "finite"),
    ],
)
def test_what_cannot_be_compared_is_named(a: list[float], b: list[float], clusters: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        compare_paired(a, b, clusters=clusters)


def test_impossible_proportions_are_refused() -> None:
    with pytest.raises(InputError):
        proportion(3, 2)
