"""The formula in numpy, once per execution, rounding where the server rounds.

The server computes in double and casts to float32 once per query node. `function_score` nests one node for
the image and one for freshness and factors: two casts, and its weights are float32. `script_score` is one
node: one cast. The same formula therefore differs in the last bit between executions, and the profile says
which one is live.

    combined = rel + w * image                additive        (paper, eq. 3)
             = rel * (1 - w + w * image)      multiplicative  (w = 1: paper, eq. 2)
             = rel                            none
    final    = combined * freshness(created, now) * factor 1 * factor 2 ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.image import ImageBoost
from ranking.painless import image_terms
from ranking.profile import Profile

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the formula needs of each document, as logged: arrays of shape (n_docs,)."""

    rel: F32  # relevance of the base query, >= 0
    image_score: F32  # in [0, 1]; NaN where unscored
    created_ms: F64  # epoch ms; NaN where there is no date
    ai_prob: F32 | None = None  # in [0, 1]; NaN where unknown; None where no profile asks
    columns: Mapping[str, NDArray[Any]] = field(
        default_factory=dict
    )  # fields of factors: NaN or None: absent

    def __len__(self) -> int:
        return len(self.rel)

    def __getitem__(self, chosen: NDArray[Any]) -> Candidates:
        """The chosen documents, by mask or positions."""
        return Candidates(
            self.rel[chosen],
            self.image_score[chosen],
            self.created_ms[chosen],
            None if self.ai_prob is None else self.ai_prob[chosen],
            {name: column[chosen] for name, column in self.columns.items()},
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """A score taken apart, arrays of shape (n_docs,)."""

    rel: F32
    image: F64  # image term used, in [0, 1]
    combined: F64  # relevance and image together, before freshness
    freshness: F64  # factor in [0, 1]
    factors: tuple[F64, ...]  # one array per factor of the profile
    final: F32  # bit for bit what the server returns


def score_parts(profile: Profile, docs: Candidates, now_ms: int | NDArray[np.int64]) -> Parts:
    """Score each candidate and keep the parts.

    Args:
        profile: the formula, already resolved for its platform (`Profile.for_platform`).
        docs: the candidates, with the columns that the profile's factors read.
        now_ms: the clock of the request, epoch ms; one for all, or one per document.
    """
    image, fresh, factors = (
        image_term(profile, docs),
        freshness_factor(profile, docs, now_ms),
        factor_values(profile, docs),
    )
    combined, final = combine(profile, docs.rel.astype(np.float64), image, fresh, factors)
    return Parts(docs.rel, image, combined, fresh, factors, final)


def image_term(profile: Profile, docs: Candidates) -> F64:
    """The image term of each candidate, in [0, 1], shape (n_docs,)."""
    no_ai = np.full(len(docs), np.nan) if docs.ai_prob is None else docs.ai_prob.astype(np.float64)
    return profile.image.image(docs.image_score.astype(np.float64), no_ai)


def freshness_factor(profile: Profile, docs: Candidates, now_ms: int | NDArray[np.int64]) -> F64:
    """The freshness factor of each candidate, in [0, 1], shape (n_docs,)."""
    if profile.freshness is None:
        return np.ones(len(docs))
    fresh = profile.freshness.score(docs.created_ms, now_ms)
    if profile.execution == "function_score" and profile.freshness.missing != 1:
        fresh = np.where(np.isnan(docs.created_ms), float(np.float32(profile.freshness.missing)), fresh)
    return fresh


def factor_values(profile: Profile, docs: Candidates) -> tuple[F64, ...]:
    """The value of each other factor for each candidate, arrays of shape (n_docs,)."""
    nested = profile.execution == "function_score"
    return tuple(factor.values(docs.columns, f32_weights=nested) for factor in profile.factors)


def final_scores(profile: Profile, docs: Candidates, now_ms: int | NDArray[np.int64]) -> F32:
    """The score the server returns for each candidate, float32, shape (n_docs,)."""
    return score_parts(profile, docs, now_ms).final


def bound(profile: Profile, rel_floor: F32) -> F32:
    """The highest final score a document can have whose relevance is at most `rel_floor`.

    The formula grows with image, freshness and factors, all of which have a maximum, and rounding is
    monotone, so the bound is the formula itself at the maxima, in the execution's own arithmetic.

    Args:
        profile: resolved for its platform.
        rel_floor: shape (n_searches,).
    """
    ones = np.ones(len(rel_floor))
    nested = profile.execution == "function_score"
    highest = tuple(ones * factor.highest_served(f32_weights=nested) for factor in profile.factors)
    return combine(profile, rel_floor.astype(np.float64), ones * profile.image.highest, ones, highest)[1]


def combine(profile: Profile, rel: F64, image: F64, fresh: F64, factors: Sequence[F64]) -> tuple[F64, F32]:
    """Combined and final score, in the order and with the casts of the execution.

    Args:
        profile: resolved for its platform.
        rel: float32 values, widened, shape (n_docs,).
        image: from `image_term`.
        fresh: from `freshness_factor`.
        factors: from `factor_values`.
    """
    with np.errstate(under="ignore", over="ignore"):
        if profile.execution == "function_score":
            combined = _image_node(profile.image, rel, image)
            product = fresh
            for factor in factors:
                product = product * factor
            final = combined * product
        else:
            base, slope, addend = image_terms(profile.image)
            combined = rel * (base + slope * image) + addend * image
            final = combined * fresh
            for factor in factors:
                final = final * factor
        return combined, final.astype(np.float32)


def _image_node(boost: ImageBoost, rel: F64, image: F64) -> F64:
    """The inner node: float32 weights, functions added up in double, one cast at the end."""
    weight = float(np.float32(boost.weight))
    match boost.mode:
        case "none":
            return rel
        case "additive":
            return (rel + image * weight).astype(np.float32).astype(np.float64)
        case "multiplicative":
            factor = image * weight
            if boost.weight < 1:
                factor = float(np.float32(1.0 - boost.weight)) + factor
            return (rel * factor).astype(np.float32).astype(np.float64)


def rank_order(scores: F32, item_ids: Sequence[str] | NDArray[np.str_]) -> NDArray[np.intp]:
    """Positions in ranking order: score descending, then `item_id` ascending.

    The same tie policy goes to the server as `sort: [_score, item_id]`; keyword order is UTF-8 byte order,
    which is code point order here.
    """
    order: NDArray[np.intp] = np.lexsort((np.asarray(item_ids), -scores))
    return order
