"""What a score means: its distribution, whether it moved, and how a new model keeps the old one's scale.

reference = take(scorer, folder, names)          scores by category, and features
drift(reference.scores, today.scores)            PSI and Kolmogorov-Smirnov
Domain.of(reference.features).distances(others)  how far photos lie from those
save_domain(reference, folder)                   the same beside the model, for `scorer score`
fit_score_map(new_scores, old_scores)            the new model on the old one's scale
"""

from __future__ import annotations

from ranking.drift import Drift, drift, population_stability
from scorer.calibration.distribution import Distribution, by_category
from scorer.calibration.domain import Domain
from scorer.calibration.domain_file import (
    DOMAIN_FILE,
    OtherModel,
    domain_of_reference,
    read_domain,
    save_domain,
)
from scorer.calibration.features import score_and_describe
from scorer.calibration.reference import Reference, read_reference, save_reference, take
from scorer.calibration.score_map import fit_score_map

__all__ = [
    "DOMAIN_FILE",
    "Distribution",
    "Domain",
    "Drift",
    "OtherModel",
    "Reference",
    "by_category",
    "domain_of_reference",
    "drift",
    "fit_score_map",
    "population_stability",
    "read_domain",
    "read_reference",
    "save_domain",
    "save_reference",
    "score_and_describe",
    "take",
]
