"""What a score means: its distribution, whether it moved, and how a new model keeps the old one's scale.

reference = take(scorer, folder, names)          scores by category, and embeddings
drift(reference.scores, today.scores)            PSI and Kolmogorov-Smirnov
Domain.of(reference).distances(embeddings)       how far a photo lies from those
fit_score_map(new_scores, old_scores)            the new model on the old one's scale
"""

from __future__ import annotations

from scorer.calibration.distribution import Distribution, by_category
from scorer.calibration.domain import Domain
from scorer.calibration.drift import Drift, drift, population_stability
from scorer.calibration.reference import Reference, read_reference, save_reference, take
from scorer.calibration.score_map import fit_score_map

__all__ = [
    "Distribution",
    "Domain",
    "Drift",
    "Reference",
    "by_category",
    "drift",
    "fit_score_map",
    "population_stability",
    "read_reference",
    "save_reference",
    "take",
]
