"""Is a photo like those that the model learned from? A distance in embedding space, with a stated threshold.

The distance of a photo is one minus the mean cosine to its five nearest reference photos. The threshold is
what 99 % of the reference photos keep to among themselves, each left out of its own neighbours; where only a
part of them is kept to compare with, what 99 % of the others keep to that part. So about one in a hundred
photos of the same kind is flagged; a larger share says that the photos are of another kind, on which the
scores are unproven.
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

    vectors: Vectors  # L2-normalised, shape (n, embed_dim)
    threshold: float  # distance above which a photo is out of domain
    n_photos: int  # that the threshold rests on

    @classmethod
    def of(cls, vectors: Vectors, *, keep: int | None = None) -> Domain:
        """From L2-normalised embeddings of at least 50 reference photos.

        Args:
            vectors: shape (n, embed_dim).
            keep: photos to compare with, taken at even steps; all of them without. Where that leaves fewer
                than 50 others, all are kept too.

        Raises:
            InputError: too few photos for a threshold.
        """
        n = len(vectors)
        if n < FEWEST:
            raise InputError(
                f"{n} photos are too few to say what is usual; at least {FEWEST} are needed"
            )
        if keep is None or n - keep < FEWEST:
            return cls(vectors, float(np.quantile(_distances(vectors, vectors, skip=1), LEVEL)), n)
        kept = np.zeros(n, dtype=bool)
        kept[np.linspace(0, n - 1, keep).round().astype(int)] = True
        found = _distances(vectors[~kept], vectors[kept], skip=0)
        return cls(vectors[kept], float(np.quantile(found, LEVEL)), n)

    def distances(self, vectors: Vectors) -> Array:
        """Distance of each photo, shape (n,), 0 to 2, from L2-normalised embeddings (n, embed_dim)."""
        return _distances(vectors, self.vectors, skip=0)

    def outside(self, vectors: Vectors) -> NDArray[np.bool_]:
        """Which photos lie further than the threshold, shape (n,)."""
        return np.asarray(self.distances(vectors) > self.threshold)


def _distances(vectors: Vectors, reference: Vectors, *, skip: int) -> Array:
    """One minus the mean cosine to the nearest ones; `skip` is 1 where each photo is its own nearest."""
    found = []
    for start in range(0, len(vectors), _PART):
        cosine = vectors[start : start + _PART] @ reference.T
        last = min(NEIGHBOURS + skip, cosine.shape[1])
        nearest = -np.sort(-cosine, axis=1)[:, skip:last]
        found.append(1.0 - nearest.astype(np.float64).mean(axis=1))
    return np.concatenate(found) if found else np.zeros(0)


__all__ = ["FEWEST", "LEVEL", "NEIGHBOURS", "Domain"]
