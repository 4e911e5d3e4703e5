"""How far importance weights can be trusted: effective sample size, support, tail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

F64 = NDArray[np.float64]
LEAST_TAIL = 5  # fewer tail weights, or equal ones, have no shape


@dataclass(frozen=True, slots=True)
class WeightCheck:
    """Importance weights of one kind; with weights by rank, of the worst rank."""

    n_effective: float  # Kish: (sum w)^2 / sum w^2
    mean: float  # 1 where the logger can show all that the target serves
    largest: float
    top_share: float  # of the total weight, on the 1 % largest
    pareto_k: float | None  # shape of the tail; above 0.7 estimates do not settle (Vehtari et al. 2024)


def check_weights(weights: F64) -> WeightCheck:
    """Look at weights, (n,), or (n, k) where each rank has its own: then the rank with fewest effective."""
    if weights.ndim == 2:
        checks = [check_weights(weights[:, r]) for r in range(weights.shape[1])]
        return min(checks, key=lambda check: check.n_effective)
    total, squares = float(weights.sum()), float((weights**2).sum())
    n_top = max(1, len(weights) // 100)
    top = np.partition(weights, len(weights) - n_top)[len(weights) - n_top :]
    return WeightCheck(
        n_effective=total**2 / squares if squares > 0 else 0.0,
        mean=total / len(weights),
        largest=float(weights.max()),
        top_share=float(top.sum()) / total if total > 0 else 0.0,
        pareto_k=pareto_k(weights),
    )


def pareto_k(weights: F64) -> float | None:
    """Shape of the generalised Pareto distribution of the largest weights, as in PSIS; None without a tail.

    The tail is the largest min(n / 5, 3 sqrt(n)) weights, over the next one below. Estimator: Zhang and
    Stephens 2009, with the weak prior of Vehtari et al. 2024 towards 0.5 (ten pseudo-observations).
    """
    n = len(weights)
    n_tail = int(min(n / 5, 3 * np.sqrt(n)))
    if n_tail < LEAST_TAIL:
        return None
    ordered = np.sort(weights)
    excess = ordered[n - n_tail :] - ordered[n - n_tail - 1]
    excess = excess[excess > 0]
    if len(excess) < LEAST_TAIL or np.allclose(excess, excess[0]):
        return None
    k = gpd_shape(excess)
    return float((len(excess) * k + 10 * 0.5) / (len(excess) + 10))


def gpd_shape(excess: F64) -> float:
    """Shape k of a generalised Pareto distribution, heavy above 0 (Zhang and Stephens 2009); excesses > 0."""
    x = np.sort(excess)
    n = len(x)
    m = 30 + int(np.sqrt(n))
    theta = 1 / x[-1] + (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * x[int(n / 4 + 0.5) - 1])
    shape = np.log1p(-theta[:, None] * x).mean(axis=1)
    profile = n * (np.log(-theta / shape) - shape - 1)
    best = float((theta * special.softmax(profile)).sum())
    return float(np.log1p(-best * x).mean())
