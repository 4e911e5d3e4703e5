"""The mean of a difference per search, with a standard error clustered by query text.

Searches of one query are not independent: they show much the same page. The variance of the mean is the sum
over clusters of squared sums of residuals, with the correction G / (G - 1), and the t distribution has G - 1
degrees of freedom, G the number of clusters.

Source: Liang and Zeger, "Longitudinal data analysis using generalized linear models", 1986; Cameron and
Miller, "A practitioner's guide to cluster-robust inference", 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Differences of searches summed by cluster."""

    sums: F64  # (n_clusters,)
    sizes: F64  # (n_clusters,): searches of each

    @property
    def n(self) -> int:
        """How many clusters."""
        return len(self.sums)

    @property
    def mean(self) -> float:
        """Mean difference over searches."""
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def means(self) -> F64:
        """Mean difference of each cluster, (n_clusters,)."""
        return np.asarray(self.sums / self.sizes)

    @property
    def error(self) -> float:
        """Standard error of the mean over searches; NaN for fewer than two clusters."""
        if self.n < 2:
            return float("nan")
        residuals = self.sums - self.mean * self.sizes
        return float(np.sqrt((residuals**2).sum() * self.n / (self.n - 1)) / self.sizes.sum())


def cluster(delta: F64, clusters: NDArray[Any]) -> Clusters:
    """Sum differences by cluster.

    Args:
        delta: one difference per search, shape (n,), no NaN.
        clusters: the cluster of each, shape (n,): texts or whole numbers.
    """
    codes = clusters
    if not np.issubdtype(clusters.dtype, np.integer):
        codes = np.unique(clusters.astype(str), return_inverse=True)[1]
    elif len(clusters) and (clusters.min() < 0 or clusters.max() > 10 * len(clusters) + 1_000):
        codes = np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(codes)
    sums = np.bincount(codes, weights=delta).astype(np.float64)
    return Clusters(sums[sizes > 0], sizes[sizes > 0].astype(np.float64))


def clustered_interval(delta: F64, clusters: NDArray[Any]) -> tuple[float | None, float | None, float | None]:
    """95 % interval of the mean of `delta` and the two-sided p value, clustered.

    Args:
        delta: one difference per search, shape (n,), no NaN.
        clusters: the cluster of each, shape (n,).

    Returns:
        low, high, p; all None for fewer than two clusters. Where every difference is the same, the interval
        has no width, and p is 1 for a difference of zero and 0 for any other.
    """
    return interval_of(cluster(delta, clusters))


def interval_of(found: Clusters) -> tuple[float | None, float | None, float | None]:
    """`clustered_interval` of sums by cluster."""
    if found.n < 2:
        return None, None, None
    mean, error = found.mean, found.error
    if error <= 1e-15 * abs(mean):
        return mean, mean, 1.0 if mean == 0.0 else 0.0
    reach = float(stats.t.ppf(0.975, found.n - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, found.n - 1))
    return mean - reach, mean + reach, p
