"""Intervals and paired comparisons for evaluation scores: numbers in, estimates with 95 % intervals out.

Everything is a pure, seeded function of its arguments; verdicts are made elsewhere. Intervals hold ``LEVEL`` of the
time; clusters are groups of items that are not independent (the questions of one template, the samples of a problem).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from launch.errors import InputError

LEVEL = 0.95
POWER = 0.8
RESAMPLES = 2000
_PERMUTATIONS = 9999
_EXACT_UNITS = 14  # 2**14 sign patterns are all tried; more units are sampled
_CHUNK = 4_000_000  # random numbers drawn at a time, to bound the memory


@dataclass(frozen=True)
class Estimate:
    """A metric as the report stores it.

    ``value`` is None when ``n`` is 0; ``low`` and ``high`` are None when there is too little to know how sure it is.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        """``{"value", "low", "high", "n"}``, the form of report.json."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """Mean of ``a - b`` over ``n`` paired items with its 95 % interval and two-sided p-value.

    ``minimum_detectable``: the smallest true difference (absolute) that a comparison of this size and noise finds at
    the 5 % level with 80 % power; above the range of the metric it says that no difference could be found.
    """

    difference: float
    low: float
    high: float
    p_value: float
    minimum_detectable: float
    n: int


def proportion(successes: int, n: int) -> Estimate:
    """Share of successes among ``n`` independent items with its Wilson interval (Wilson 1927).

    Raises:
        InputError: successes outside 0..n.
    """
    if not 0 <= successes <= n:
        raise InputError(f"a proportion needs 0 <= successes <= n, got {successes} of {n}")
    if n == 0:
        return Estimate(None, None, None, 0)
    interval = stats.binomtest(int(successes), int(n)).proportion_ci(LEVEL, method="wilson")
    return Estimate(successes / n, float(interval.low), float(interval.high), int(n))


def mean(
    values: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Estimate:
    """Mean of the values with a percentile bootstrap interval, whole clusters resampled when they are given.

    The percentiles are widened for small samples by the factor between t and normal quantiles (Hesterberg 2015, "What
    Teachers Should Know About the Bootstrap", section 5), without which the bootstrap is too narrow there. A single
    item or cluster has a value and no interval.

    Raises:
        InputError: a value is not finite, or clusters are not one an item.
    """
    array = _finite(values, "values")
    if array.size == 0:
        return Estimate(None, None, None, 0)
    value = float(array.mean())
    sums, counts = _cluster_sums(array, clusters)
    units = sums.size
    if units < 2:
        return Estimate(value, None, None, int(array.size))
    widened = stats.norm.cdf(np.sqrt(units / (units - 1)) * stats.t.ppf((1 - LEVEL) / 2, units - 1))
    drawn = bootstrap_sums(np.stack([sums, counts], axis=1), resamples=RESAMPLES, seed=seed)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [widened, 1 - widened])
    return Estimate(value, float(low), float(high), int(array.size))


def bootstrap_sums(statistics: np.ndarray, *, resamples: int, seed: int) -> np.ndarray:
    """Sums of per-unit statistics, shape (n, k), over ``resamples`` draws with replacement: shape (resamples, k)."""
    generator = np.random.default_rng(seed)
    n = statistics.shape[0]
    step = max(1, _CHUNK // n)
    sums = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = generator.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        sums.append(counts.astype(float) @ statistics)
    return np.concatenate(sums)


def compare_paired(
    a: Sequence[float],
    b: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two systems scored on the same items, one score (or true/false) an item, in the same order.

    The interval is a t interval with the bias-reduced cluster-robust variance and its degrees of freedom (Bell &
    McCaffrey 2002); without clusters that is the plain paired t interval. Scores of 0 and 1 get the adjustment of
    Bonett & Price (2012) on the effective sample size, so that no interval has zero width. The p-value is McNemar's
    mid-p for 0/1 scores without clusters (Fagerland, Lydersen & Laake 2013), else a sign-flip permutation test over
    items or whole clusters: every pattern for up to 14 units, else 9,999 drawn from ``seed``.

    Raises:
        InputError: scores of unequal length or not finite, or fewer than two items or clusters.
    """
    first, second = _finite(a, "a"), _finite(b, "b")
    if first.size != second.size:
        raise InputError(f"a paired comparison needs one score an item from each, got {first.size} and {second.size}")
    differences = first - second
    sums, counts = _cluster_sums(differences, clusters)
    if sums.size < 2:
        raise InputError(
            f"a paired comparison needs at least two {'items' if clusters is None else 'clusters'}, got {sums.size}"
        )
    binary = bool(np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all())
    n = differences.size
    difference = float(differences.mean())
    variance, freedom = _cluster_variance(sums, counts)
    centre = difference
    if binary:
        centre, variance = _adjusted(differences, variance, units=sums.size)
    error = float(np.sqrt(variance))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom))
    low, high = centre - reach * error, centre + reach * error
    if binary:
        low, high = max(low, -1.0), min(high, 1.0)
    p_value = _mcnemar(differences) if binary and clusters is None else _sign_flip(sums, seed)
    detectable = (reach + float(stats.t.ppf(POWER, freedom))) * error
    return Comparison(difference, float(low), float(high), p_value, detectable, int(n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given: below 0.05 holds for the whole family at once."""
    p = _finite(p_values, "p_values")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def _finite(values: Sequence[float], name: str) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError(f"'{name}' must be a flat list of finite numbers")
    return array


def _cluster_sums(values: np.ndarray, clusters: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of items of every cluster; without clusters every item is its own."""
    if clusters is None:
        return values, np.ones_like(values)
    if len(clusters) != values.size:
        raise InputError(f"clusters must name one cluster an item, got {len(clusters)} for {values.size} items")
    numbers: dict[Hashable, int] = {}
    index = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters], dtype=int)
    return np.bincount(index, weights=values), np.bincount(index).astype(float)


def _cluster_variance(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Variance of the mean (CR2) and its Satterthwaite degrees of freedom, for a model with nothing but a mean.

    With a cluster's share h of the items, its summed residual has variance n_g (1 - h) when items are independent;
    dividing by 1 - h removes the bias. With every item its own cluster: s² / n and n - 1.
    """
    n = counts.sum()
    share = counts / n
    residuals = sums - counts * (sums.sum() / n)
    variance = float((residuals**2 / (1 - share)).sum() / n**2)
    weights = counts * share / (1 - share)
    spread = (counts**2).sum() + weights.sum() ** 2 - (weights**2).sum()
    return variance, float(n**2 / spread)


def _adjusted(differences: np.ndarray, variance: float, *, units: int) -> tuple[float, float]:
    """Centre and variance of a difference of paired proportions with one pseudo-item for each discordant kind."""
    n = differences.size
    independent = float(differences.var(ddof=1) / n)
    inflation = variance / independent if independent > 0 else n / units
    effective = min(n / inflation, float(n)) if inflation > 0 else float(n)
    better = ((differences > 0).sum() * effective / n + 1) / (effective + 2)
    worse = ((differences < 0).sum() * effective / n + 1) / (effective + 2)
    centre = float(better - worse)
    return centre, float((better + worse - centre**2) / (effective + 2))


def _mcnemar(differences: np.ndarray) -> float:
    """McNemar's mid-p: the exact binomial test on discordant pairs with half the weight on what was observed."""
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    discordant = better + worse
    if better == worse:
        return 1.0
    smaller = min(better, worse)
    tail = stats.binom.cdf(smaller, discordant, 0.5) - 0.5 * stats.binom.pmf(smaller, discordant, 0.5)
    return float(min(1.0, 2 * tail))


def _sign_flip(sums: np.ndarray, seed: int) -> float:
    """Share of sign patterns over the units whose sum is at least as far from 0 as the one observed."""
    moved = sums[sums != 0]
    observed = abs(moved.sum()) * (1 - 1e-9)  # equal sums stay equal whatever order they were added in
    if moved.size <= _EXACT_UNITS:
        patterns = (np.arange(2**moved.size)[:, None] >> np.arange(moved.size)) & 1
        return float((np.abs((2 * patterns - 1) @ moved) >= observed).mean())
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // moved.size)
    extreme = 0
    for start in range(0, _PERMUTATIONS, step):
        size = min(step, _PERMUTATIONS - start)
        signs = generator.integers(0, 2, size=(size, moved.size), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ moved) >= observed).sum())
    return (extreme + 1) / (_PERMUTATIONS + 1)
