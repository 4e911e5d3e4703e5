"""Have the scores moved? Two samples of scores compared, for one model over time or for two models.

    PSI = sum over bins of (p - q) ln(p / q)     bins: tenths of the reference, so q is 0.1 in each

A rule of thumb of credit scoring (Siddiqi, Credit Risk Scorecards, 2006): below 0.1 stable, up to 0.25
moved, above shifted. PSI says how much; the Kolmogorov-Smirnov test says whether it can be chance, which it
cannot be for long in large samples. So the verdict is PSI's, where the test agrees.

Random samples alone give a PSI of about 9 (1/n + 1/m): 0.1 needs more than 200 photos on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

Array = NDArray[np.float64]
N_BINS: Final = 10
MOVED: Final = 0.1
SHIFTED: Final = 0.25
ALPHA: Final = 0.01  # of the Kolmogorov-Smirnov test
_FLOOR: Final = 1e-4  # share of an empty bin

Verdict = Literal["stable", "moved", "shifted"]


@dataclass(frozen=True, slots=True)
class Drift:
    """Of a sample against a reference."""

    psi: float
    ks: float  # largest difference of the two distribution functions, in [0, 1]
    p_value: float
    n_reference: int
    n: int

    @property
    def verdict(self) -> Verdict:
        """`stable` where the samples may be of one distribution, or differ by little."""
        if self.p_value >= ALPHA or self.psi < MOVED:
            return "stable"
        return "moved" if self.psi <= SHIFTED else "shifted"


def drift(reference: Array, sample: Array) -> Drift:
    """Compare scores, shapes (n,) and (m,), each at least 1."""
    test = ks_2samp(reference, sample)
    return Drift(
        psi=population_stability(reference, sample),
        ks=float(test.statistic),
        p_value=float(test.pvalue),
        n_reference=len(reference),
        n=len(sample),
    )


def population_stability(reference: Array, sample: Array, n_bins: int = N_BINS) -> float:
    """PSI over bins that hold equal shares of the reference; equal edges are one."""
    quantiles = np.quantile(reference, np.linspace(0.0, 1.0, n_bins + 1))
    edges, times = np.unique(quantiles, return_counts=True)
    alone = np.nextafter(edges[times > 1], np.inf)  # many equal scores are a bin of their own
    inner = edges[np.isin(edges, quantiles[1:-1])]
    inner = np.unique(np.concatenate([inner, alone]))

    def share(scores: Array) -> Array:
        bins = np.searchsorted(inner, scores, side="right")
        return np.maximum(np.bincount(bins, minlength=len(inner) + 1) / len(scores), _FLOOR)

    p, q = share(sample), share(reference)
    return float(((p - q) * np.log(p / q)).sum())


__all__ = ["ALPHA", "MOVED", "N_BINS", "SHIFTED", "Drift", "Verdict", "drift", "population_stability"]
