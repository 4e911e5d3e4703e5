"""Interval arithmetic over the formula: the least and the greatest value each part of a score can take.

A part that can be negative or NaN makes the server refuse the whole shard, so it is found here first. The
premise is an image score and an AI probability in [0, 1], which the ingest pipeline sees to; the live rule
`image-score-range` looks at what the index holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ranking.factors import CategoryWeights, NumericFactor
from ranking.image import ImageBoost
from ranking.painless import image_terms
from ranking.profile import Profile

MAX_TERM_SCORE = 47.3  # 2.2 * ln(1 + 2^31): BM25 of one term in one field, in an index of 2^31 documents
MAX_TERMS = 32  # a long query


@dataclass(frozen=True, slots=True)
class Interval:
    """All values from `lo` to `hi`, and NaN where `nan`."""

    lo: float
    hi: float
    nan: bool = False

    @classmethod
    def of(cls, values: Iterable[float]) -> Interval:
        """The smallest interval that holds every value."""
        every = [float(v) for v in values]
        numbers = [v for v in every if not math.isnan(v)]
        nan = len(numbers) < len(every)
        return cls(min(numbers), max(numbers), nan) if numbers else cls(0.0, 0.0, nan)

    def __or__(self, other: Interval) -> Interval:
        return Interval(min(self.lo, other.lo), max(self.hi, other.hi), self.nan or other.nan)

    def __add__(self, other: Interval) -> Interval:
        return self._corners(other, (self.lo + other.lo, self.hi + other.hi))

    def __mul__(self, other: Interval) -> Interval:
        return self._corners(other, (a * b for a in (self.lo, self.hi) for b in (other.lo, other.hi)))

    def _corners(self, other: Interval, values: Iterable[float]) -> Interval:
        found = Interval.of(values)
        return Interval(found.lo, found.hi, found.nan or self.nan or other.nan)

    def float32(self) -> Interval:
        """After the server's cast: what is too large becomes infinite, what is too small 0."""
        with np.errstate(over="ignore", under="ignore"):
            return Interval(float(np.float32(self.lo)), float(np.float32(self.hi)), self.nan)


@dataclass(frozen=True, slots=True)
class ScoreRange:
    """The ranges of a profile's parts by the key that makes them, and of the final score."""

    rel: Interval
    image: Interval  # the image term, in [0, 1] where all is well
    boost: Interval  # what multiplies relevance, or is added to it
    factors: dict[str, Interval] = field(default_factory=dict)  # freshness and factors, by key
    final: Interval = Interval(0.0, 0.0)


def score_range(profile: Profile) -> ScoreRange:
    """The range of every part of the score under a profile, already resolved for its platform."""
    rel = Interval(0.0, MAX_TERM_SCORE * MAX_TERMS * sum(profile.base_query.fields.values()))
    image = image_range(profile.image)
    base, slope, addend = (Interval.of([x]) for x in image_terms(profile.image))
    boost = base + slope * image if profile.image.mode != "additive" else addend * image
    if profile.image.mode == "multiplicative" and profile.image.weight > 1:
        boost = boost | slope * image  # function_score leaves out the floor, which would be negative
    combined = rel * boost if profile.image.mode != "additive" else rel + boost
    factors: dict[str, Interval] = {}
    if profile.freshness is not None:
        factors["freshness"] = Interval(0.0, 1.0) | Interval.of([profile.freshness.missing])
    for i, factor in enumerate(profile.factors):
        if isinstance(factor, CategoryWeights):
            factors[f"factors[{i}]"] = Interval.of([factor.default, *factor.weights.values()])
        elif isinstance(factor, NumericFactor):
            factors[f"factors[{i}]"] = Interval.of([factor.min, factor.max])
        else:
            factors[f"factors[{i}]"] = Interval.of([1.0, factor.weight])
    final = combined
    for part in factors.values():
        final = final * part
    return ScoreRange(rel, image, boost, factors, final.float32())


def image_range(boost: ImageBoost) -> Interval:
    """The image term's range: each stage takes the range of the one before; transforms never fall."""
    x = Interval(0.0, 1.0) | Interval.of([boost.missing])
    if boost.ai_generated is not None:
        rule = boost.ai_generated
        limited = [rule.neutral] if rule.cap is None else [min(x.lo, rule.cap), min(x.hi, rule.cap)]
        x = x | Interval.of(v for v in limited if v is not None)
    with np.errstate(all="ignore"):
        found = Interval.of(boost.transform.apply(np.array([x.lo, x.hi])).tolist())
    return Interval(found.lo, found.hi, found.nan or x.nan)
