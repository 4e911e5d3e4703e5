"""The distribution of scores, per category: a boost weight means as much as the scores are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Scores of one category."""

    category: str
    n: int
    mean: float
    quantiles: tuple[float, ...]  # at LEVELS


def distribution(category: str, scores: Array) -> Distribution:
    """Of scores in [0, 1], shape (n,), n at least 1."""
    return Distribution(
        category,
        len(scores),
        float(scores.mean()),
        tuple(float(q) for q in np.quantile(scores, LEVELS)),
    )


def by_category(scores: Array, categories: Sequence[str]) -> list[Distribution]:
    """All photos first, then each category by name.

    Args:
        scores: shape (n,), n at least 1.
        categories: of each photo, length n.
    """
    named = np.asarray(categories)
    found = [distribution(ALL, scores)]
    found += [distribution(str(c), scores[named == c]) for c in np.unique(named)]
    return found


__all__ = ["ALL", "LEVELS", "Distribution", "by_category", "distribution"]
