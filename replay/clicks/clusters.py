"""Bootstrap of whole users: searches of one user are not independent, so users are drawn, not searches.

Every statistic here is a function of sums over searches, so a resample is a weighted sum of each user's sums.
Source: Field and Welsh 2007, "Bootstrapping clustered data"; intervals are percentile intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
MAX_CLUSTERS = 10_000  # more users are put into so many equal groups, at random, which are drawn instead


def total_by(code: NDArray[np.int64], values: F64, n: int) -> F64:
    """Sums of values by their code in 0..n-1, shape (n,)."""
    return np.asarray(np.bincount(code, weights=values, minlength=n), dtype=np.float64)


def cluster_sums(values: F64, cluster: NDArray[np.int64]) -> F64:
    """Sums by cluster, shape (n_clusters, n_columns), of values (n, n_columns) or (n,)."""
    columns = values.reshape(len(values), -1)
    n = int(cluster.max(initial=-1)) + 1
    sums = [total_by(cluster, columns[:, j], n) for j in range(columns.shape[1])]
    return np.column_stack(sums) if sums else np.zeros((n, 0))


def grouped(cluster: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Clusters numbered without gaps; where there are more than `MAX_CLUSTERS`, groups of them."""
    codes = np.unique(cluster, return_inverse=True)[1].astype(np.int64)
    n = int(codes.max(initial=-1)) + 1
    if n <= MAX_CLUSTERS:
        return codes
    group = np.arange(n) % MAX_CLUSTERS
    rng.shuffle(group)
    return np.asarray(group[codes], dtype=np.int64)


def resample_weights(n: int, n_resamples: int, rng: np.random.Generator) -> Iterator[F64]:
    """How often each of n clusters is drawn in each resample, in blocks of shape (block, n)."""
    block = max(1, min(n_resamples, 2_000_000 // max(n, 1)))
    for start in range(0, n_resamples, block):
        rows = min(block, n_resamples - start)
        drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def bootstrap(
    sums: F64,
    statistic: Callable[[F64], F64],
    rng: np.random.Generator,
    *,
    n_resamples: int = 1000,
) -> F64:
    """Values of a statistic over resamples of clusters.

    Args:
        sums: sums of each cluster, shape (n_clusters, n_columns).
        statistic: of total sums (block, n_columns) gives (block,) or (block, n_values).
        rng: source of chance.
        n_resamples: how many.

    Returns:
        shape (n_resamples,) or (n_resamples, n_values).
    """
    return np.concatenate([statistic(w @ sums) for w in resample_weights(len(sums), n_resamples, rng)])


def interval(values: F64, level: float = 0.95) -> tuple[float, float] | tuple[None, None]:
    """Percentile interval of bootstrapped values (n_resamples,); None where fewer than half are finite."""
    finite = values[np.isfinite(values)]
    if len(finite) < max(2, len(values) / 2):
        return None, None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
