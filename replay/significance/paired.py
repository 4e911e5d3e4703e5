"""Tests of a paired difference: which one answers which question is in docs/statistics.md.

    clustered       is the mean over searches different?  t, standard error clustered by query (the default)
    t               is the mean over query texts different?  paired t, a query text counts once
    wilcoxon        do query texts tend to one side?  signed ranks of the query means, no interval
    randomization   could relabelling the sides explain it?  signs of whole queries flipped
    bca             the mean over searches without a normal distribution: bootstrap of whole queries, BCa

All but the first come from scipy.stats. None takes the searches of one query for independent.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ranking.errors import InputError
from replay.significance.clustered import Clusters, interval_of

F64 = NDArray[np.float64]
Unit = Literal["search", "query"]
FLIPS = 4_999  # p cannot be below 1 / 5,000
RESAMPLES = 4_999
_BATCH = 4_000_000  # numbers of one batch of resamples


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test says of a difference."""

    low: float | None  # 95 % interval; None where the test has none
    high: float | None
    p: float | None  # two-sided, not adjusted; None for fewer than two queries


NOTHING = Outcome(None, None, None)


def unit_of(test: str) -> Unit:
    """What the tested mean is over: every search, or every query text once."""
    return "query" if test in ("t", "wilcoxon") else "search"


def assess(found: Clusters, test: str, rng: np.random.Generator) -> Outcome:
    """Test the differences of searches, summed by query.

    Args:
        found: contender minus baseline.
        test: clustered, t, wilcoxon, randomization or bca.
        rng: for the tests that draw.

    Raises:
        InputError: no such test.
    """
    if test not in TESTS:
        raise InputError(f"there is no test {test!r}", hint=f"there are {', '.join(TESTS)}")
    if found.n < 2:
        return NOTHING
    mean = found.means.mean() if unit_of(test) == "query" else found.mean
    if np.ptp(found.means) <= 1e-15 * abs(mean):  # every query says the same
        return Outcome(float(mean), float(mean), 1.0 if mean == 0 else 0.0)
    return TESTS[test](found, rng)


def _clustered(found: Clusters, _rng: np.random.Generator) -> Outcome:
    return Outcome(*interval_of(found))


def _t(found: Clusters, _rng: np.random.Generator) -> Outcome:
    result = stats.ttest_1samp(found.means, 0.0)
    interval = result.confidence_interval(0.95)
    return Outcome(float(interval.low), float(interval.high), float(result.pvalue))


def _wilcoxon(found: Clusters, _rng: np.random.Generator) -> Outcome:
    return Outcome(None, None, float(stats.wilcoxon(found.means).pvalue))


def _randomization(found: Clusters, rng: np.random.Generator) -> Outcome:
    sums = found.sums[found.sums != 0]  # flipping a zero changes nothing
    sums = np.append(sums, np.zeros(max(0, 2 - len(sums))))  # scipy takes two or more
    result = stats.permutation_test(
        (sums, np.zeros(len(sums))),
        lambda one, two, axis: one.sum(axis=axis) - two.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=FLIPS,
        batch=max(1, _BATCH // max(len(sums), 1)),
        rng=rng,
    )
    low, high, _ = interval_of(found)
    return Outcome(low, high, float(result.pvalue))


def _bca(found: Clusters, rng: np.random.Generator) -> Outcome:
    def mean(sums: F64, sizes: F64, axis: int) -> F64:
        return np.asarray(sums.sum(axis=axis) / sizes.sum(axis=axis))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (found.sums, found.sizes),
            mean,
            paired=True,
            vectorized=True,
            method="BCa",
            n_resamples=RESAMPLES,
            batch=max(1, _BATCH // found.n),
            rng=rng,
        )
    interval = result.confidence_interval
    if not np.isfinite([interval.low, interval.high]).all():
        return NOTHING
    return Outcome(float(interval.low), float(interval.high), _bca_p(found, result.bootstrap_distribution))


def _bca_p(found: Clusters, drawn: F64) -> float:
    """The level at which the BCa interval just touches 0: Efron's formula for its ends, solved for alpha."""
    n = len(drawn)
    left_out = (found.sums.sum() - found.sums) / (found.sizes.sum() - found.sizes)
    bends = left_out.mean() - left_out
    acceleration = (bends**3).sum() / (6 * (bends**2).sum() ** 1.5)

    def place(value: float) -> float:  # share of the draws below, ties by half, never 0 or 1
        below = (drawn < value).sum() + 0.5 * (drawn == value).sum()
        return float(stats.norm.ppf(np.clip(below / n, 0.5 / (n + 1), 1 - 0.5 / (n + 1))))

    bias = place(found.mean)
    shift = place(0.0) - bias
    alpha = float(stats.norm.cdf(shift / (1 + acceleration * shift) - bias))
    return float(min(1.0, 2 * min(alpha, 1 - alpha)))


TESTS: Mapping[str, Callable[[Clusters, np.random.Generator], Outcome]] = {
    "clustered": _clustered,
    "t": _t,
    "wilcoxon": _wilcoxon,
    "randomization": _randomization,
    "bca": _bca,
}
