"""Profile rules about the value of a score: negative, NaN, infinite, or exactly 0.

All of them read the ranges of `ranking.lint.intervals`, or ask the profile's own parts for a value.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ranking.factors import CategoryWeights, NumericFactor
from ranking.lint.intervals import score_range
from ranking.lint.registry import Hit, rule
from ranking.profile import Profile

_REFUSED = "one such document makes the server refuse the whole shard's search (HTTP 400)"


@rule(
    "negative-score",
    level="profile",
    why="Elasticsearch answers 400 for a score below 0, for the whole shard, from one such document. "
    "Profiles read from a file cannot say it; one changed in a notebook with `model_copy` is not "
    "validated.",
    instead="keep weights and factors at 0 or above, and a multiplicative weight at 1 or below",
)
def negative_score(profile: Profile) -> Iterator[Hit]:
    """A part of the formula can be negative, by interval arithmetic over every part."""
    found = score_range(profile)
    if found.boost.lo < 0:
        yield Hit("image.weight", f"the image boost reaches {found.boost.lo:g}, and {_REFUSED}")
    for key, part in found.factors.items():
        if part.lo < 0:
            yield Hit(key, f"the factor reaches {part.lo:g}, and {_REFUSED}")


@rule(
    "nan-score",
    level="profile",
    why="Elasticsearch answers 400 for a NaN score, for the whole shard.",
    instead="give every number a finite value; keep image scores and `missing` in [0, 1]",
)
def nan_score(profile: Profile) -> Iterator[Hit]:
    """A part of the formula can be NaN: a NaN weight, or a root of a negative number."""
    found = score_range(profile)
    if found.image.nan:
        yield Hit("image", f"the transform gives NaN for some image scores, and {_REFUSED}")
    elif found.boost.nan:
        yield Hit("image.weight", f"the image boost can be NaN, and {_REFUSED}")
    for key, part in found.factors.items():
        if part.nan:
            yield Hit(key, f"the factor can be NaN, and {_REFUSED}")


@rule(
    "infinite-score",
    level="profile",
    why="A double above 3.4e38 becomes Infinity when the server casts the score to float32. It is not an "
    'error: the hit comes back with the JSON string "Infinity" as its score, and all such hits tie. A '
    "function_score first cuts the product of its functions to 3.4e38, which our twin does not.",
    instead="lower the maxima of the factors until their product times relevance stays below 3e38",
)
def infinite_score(profile: Profile) -> Iterator[Hit]:
    """The product of the parts' maxima overflows float32."""
    found = score_range(profile)
    if found.final.hi == np.inf:
        parts = {"image": found.boost.hi, **{key: part.hi for key, part in found.factors.items()}}
        largest = max(parts, key=lambda key: parts[key])
        yield Hit(largest, f"the score can be Infinity: relevance up to {found.rel.hi:.3g} times the maxima")


@rule(
    "every-score-zero",
    level="profile",
    why="Scores that are all equal leave the tie-break, `item_id`, as the whole ranking.",
    instead="give the factor at least one value above 0",
)
def every_score_zero(profile: Profile) -> Iterator[Hit]:
    """A factor is 0 for every document, so every score is."""
    found = score_range(profile)
    if profile.image.mode == "multiplicative" and found.boost.hi == 0:
        yield Hit("image", "the image factor is 0 whatever the photo")
    for key, part in found.factors.items():
        if part.hi == 0 and not part.nan:
            yield Hit(key, "the factor is 0 for every document")


@rule(
    "zero-factor",
    level="profile",
    severity="warning",
    why="A factor of 0 does not remove a document: it gives it a score of exactly 0, below every other, "
    "where relevance no longer counts and `item_id` alone orders. `log1p` of 0 views is such a 0.",
    instead="exclude with a filter, or keep the factor above 0 (`min: 0.1`, a weight of 0.01)",
)
def zero_factor(profile: Profile) -> Iterator[Hit]:
    """A factor is exactly 0 for a class of documents, whose scores then all tie at 0."""
    if profile.freshness is not None and profile.freshness.missing == 0:
        yield Hit("freshness.missing", "every document without a date scores exactly 0")
    for i, factor in enumerate(profile.factors):
        key = f"factors[{i}]"
        if isinstance(factor, CategoryWeights):
            zero = [value for value, weight in factor.weights.items() if weight == 0]
            if zero:
                yield Hit(f"{key}.weights.{zero[0]}", f"{factor.field} {zero[0]!r} scores exactly 0")
            if factor.default == 0:
                yield Hit(f"{key}.default", f"every other {factor.field}, and none, scores exactly 0")
        elif isinstance(factor, NumericFactor):
            columns = {factor.field: np.array([0.0, np.nan])}
            at_zero, absent = factor.values(columns, f32_weights=False)
            if at_zero == 0:
                yield Hit(f"{key}.min", f"a document whose {factor.field} is 0 scores exactly 0")
            if absent == 0:
                yield Hit(f"{key}.missing", f"a document without {factor.field} scores exactly 0")
        elif factor.weight == 0:
            yield Hit(f"{key}.weight", f"documents the rule on {factor.field} applies to score exactly 0")


@rule(
    "unscored-zeroed",
    level="profile",
    severity="warning",
    why="With weight 1 the multiplicative boost is the image term itself, so where that is 0 for an "
    "unscored item, every new item scores exactly 0 until the scorer has seen its photo.",
    instead="set `image.missing` to the median image score, or lower the weight so that a floor remains",
)
def unscored_zeroed(profile: Profile) -> Iterator[Hit]:
    """A multiplicative weight of 1 gives unscored items a score of exactly 0."""
    image = profile.image
    if image.mode == "multiplicative" and image.weight == 1:
        unscored = float(image.image(np.array([np.nan]), np.array([np.nan]))[0])
        if unscored == 0:
            yield Hit("image.missing", f"unscored items (missing: {image.missing:g}) score exactly 0")


@rule(
    "unscored-best",
    level="profile",
    severity="warning",
    why="An item whose photo the scorer could not read, or has not read yet, outranks scored ones.",
    instead="set `image.missing` to the median image score of the index",
)
def unscored_best(profile: Profile) -> Iterator[Hit]:
    """Unscored items get nearly the highest image term there is."""
    image = profile.image
    if image.mode == "none" or image.highest <= 0:
        return
    unscored = float(image.image(np.array([np.nan]), np.array([np.nan]))[0])
    if unscored >= 0.95 * image.highest:
        yield Hit("image.missing", f"an unscored item gets {unscored:g} of at most {image.highest:g}")
