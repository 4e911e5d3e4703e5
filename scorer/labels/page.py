"""A judged page: photos that one or more judges scored side by side, and what else its line says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NAMELESS = ""  # judge of a line that names none


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPage:
    """One SERP with the scores of everybody who judged it."""

    serp_id: str
    category: str
    images: tuple[str, ...]
    judges: tuple[str, ...]
    scores: NDArray[np.float64]  # (n_judges, n_images); NaN where a judge gave none
    adjectives: tuple[tuple[tuple[str, ...], ...], ...] = ()  # per judge, per image; empty where not given
    clicked: int | None = None  # 0-based place among `images`; None where no click is known
    query: str = ""
    simulated: bool = False  # the click, or the label, comes from a simulation

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean score over judges, (n_images,); NaN where any gave none: judges differ in level."""
        return np.asarray(self.scores.mean(axis=0))

    @property
    def normalised(self) -> NDArray[np.float64]:
        """The mean, stretched: the page's worst photo 0, its best 1; NaN where it has one level."""
        mean = self.mean
        low, high = np.nanmin(mean, initial=np.inf), np.nanmax(mean, initial=-np.inf)
        if not high > low:
            return np.full(len(mean), np.nan)
        return np.asarray((mean - low) / (high - low))


__all__ = ["NAMELESS", "JudgedPage"]
