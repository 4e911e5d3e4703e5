"""Is a photo like those that the model learned from? A distance between features, with a stated threshold.

The distance of a photo is the mean Euclidean distance to its five nearest reference photos. The threshold is
what 99 % of the reference photos keep to among themselves, each left out of its own neighbours; where only a
part of them is kept to compare with, what 99 % of the others keep to that part. So about one in a hundred
photos of the same kind is flagged; a larger share says that the photos are of another kind, on which the
scores are unproven. What the features are, `features.py` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError

Vectors = NDArray[np.float32]
Array = NDArray[np.float64]
NEIGHBOURS: Final = 5
LEVEL: Final = 0.99
FEWEST: Final = 50
_PART: Final = 512  # rows compared at a time


@dataclass(frozen=True, slots=True)
class Domain:
    """The reference photos and how far apart they lie."""

    features: Vectors  # shape (n, n_features)
    threshold: float  # distance above which a photo is out of domain
    n_photos: int  # that the threshold rests on

    @classmethod
    def of(cls, features: Vectors, *, keep: int | None = None) -> Domain:
        """From the features of at least 50 reference photos.

        Args:
            features: shape (n, n_features).
            keep: photos to compare with, taken at even steps; all of them without. Where that leaves fewer
                than 50 others, all are kept too.

        Raises:
            InputError: too few photos for a threshold.
        """
        n = len(features)
        if n < FEWEST:
            raise InputError(f"{n} photos are too few to say what is usual; at least {FEWEST} are needed")
        if keep is None or n - keep < FEWEST:
            return cls(features, float(np.quantile(_distances(features, features, skip=1), LEVEL)), n)
        kept = np.zeros(n, dtype=bool)
        kept[np.linspace(0, n - 1, keep).round().astype(int)] = True
        found = _distances(features[~kept], features[kept], skip=0)
        return cls(features[kept], float(np.quantile(found, LEVEL)), n)

    def distances(self, features: Vectors) -> Array:
        """Distance of each photo, shape (n,), at least 0, from features (n, n_features)."""
        return _distances(features, self.features, skip=0)

    def outside(self, features: Vectors) -> NDArray[np.bool_]:
        """Which photos lie further than the threshold, shape (n,)."""
        return np.asarray(self.distances(features) > self.threshold)


def _distances(features: Vectors, reference: Vectors, *, skip: int) -> Array:
    """Mean distance to the nearest ones; `skip` is 1 where each photo is its own nearest."""
    found = []
    others = reference.astype(np.float64)
    lengths = (others**2).sum(axis=1)
    for start in range(0, len(features), _PART):
        part = features[start : start + _PART].astype(np.float64)
        squares = (part**2).sum(axis=1)[:, None] + lengths - 2.0 * part @ others.T
        nearest = np.sort(squares, axis=1)[:, skip : NEIGHBOURS + skip]
        found.append(np.sqrt(np.maximum(nearest, 0.0)).mean(axis=1))
    return np.concatenate(found) if found else np.zeros(0)


__all__ = ["FEWEST", "LEVEL", "NEIGHBOURS", "Domain"]
