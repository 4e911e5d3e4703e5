"""The formula in numpy, once per execution, rounding where the server rounds.

The server computes in double and casts to float32 once per query node. `function_score` nests one node for
the image and one for freshness: two casts. `script_score` is one node: one cast. The same formula therefore
differs in the last bit between executions, and the profile says which one is live.

    combined = rel + w * image                additive        (paper, eq. 3)
             = rel * (1 - w + w * image)      multiplicative  (w = 1: paper, eq. 2)
             = rel                            none
    final    = combined * freshness(created, now)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.profile import ImageBoost, Profile

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the formula needs of each document, as logged: arrays of shape (n_docs,)."""

    rel: F32  # relevance of the base query, >= 0
    image_score: F32  # in [0, 1]; NaN where unscored
    created_ms: F64  # epoch ms; NaN where there is no date

    def __len__(self) -> int:
        return len(self.rel)


@dataclass(frozen=True, slots=True)
class Parts:
    """A score taken apart, arrays of shape (n_docs,)."""

    rel: F32
    image: F64  # image score used, `missing` where unscored
    combined: F64  # relevance and image together, before freshness
    freshness: F64  # factor in [0, 1]
    final: F32  # bit for bit what the server returns


@dataclass(frozen=True, slots=True)
class ImageTerms:
    """The image boost as `rel * (rel_base + rel_image * image) + add_image * image`."""

    rel_base: float
    rel_image: float
    add_image: float


def image_terms(image: ImageBoost) -> ImageTerms:
    """The three constants of a boost; also the parameters of the stored scripts."""
    match image.mode:
        case "none":
            return ImageTerms(1.0, 0.0, 0.0)
        case "additive":
            return ImageTerms(1.0, 0.0, image.weight)
        case "multiplicative":
            return ImageTerms(1.0 - image.weight, image.weight, 0.0)


def score_parts(profile: Profile, docs: Candidates, now_ms: int | NDArray[np.int64]) -> Parts:
    """Score each candidate and keep the parts.

    Args:
        profile: the formula, already resolved for its platform (`Profile.for_platform`).
        docs: the candidates.
        now_ms: the clock of the request, epoch ms; one for all, or one per document.
    """
    rel = docs.rel.astype(np.float64)
    image = np.where(np.isnan(docs.image_score), profile.image.missing, docs.image_score.astype(np.float64))
    if profile.freshness is None:
        fresh = np.ones(len(docs))
    else:
        fresh = profile.freshness.score(docs.created_ms, now_ms)
    with np.errstate(under="ignore", over="ignore"):
        if profile.execution == "function_score":
            combined = _function_score_combined(profile.image, rel, image)
        else:
            terms = image_terms(profile.image)
            combined = rel * (terms.rel_base + terms.rel_image * image) + terms.add_image * image
        final = (combined * fresh).astype(np.float32)
    return Parts(docs.rel, image, combined, fresh, final)


def final_scores(profile: Profile, docs: Candidates, now_ms: int | NDArray[np.int64]) -> F32:
    """The score the server returns for each candidate, float32, shape (n_docs,)."""
    return score_parts(profile, docs, now_ms).final


def _function_score_combined(boost: ImageBoost, rel: F64, image: F64) -> F64:
    """The inner node: float32 constants, functions added up in double, one cast at the end."""
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


def bound(profile: Profile, rel_floor: F32) -> F32:
    """The highest final score a document can have whose relevance is at most `rel_floor`.

    The formula grows with image and freshness, and rounding is monotone, so the bound is the formula itself
    at image = 1 and freshness = 1, in the execution's own arithmetic.

    Args:
        profile: resolved for its platform.
        rel_floor: shape (n_searches,).
    """
    best = Candidates(
        rel=rel_floor,
        image_score=np.ones(len(rel_floor), dtype=np.float32),
        created_ms=np.full(len(rel_floor), np.nan),  # no date counts as perfectly fresh
    )
    return final_scores(profile, best, now_ms=0)


def rank_order(scores: F32, item_ids: Sequence[str] | NDArray[np.str_]) -> NDArray[np.intp]:
    """Positions in ranking order: score descending, then `item_id` ascending.

    The same tie policy goes to the server as `sort: [_score, item_id]`; keyword order is UTF-8 byte order,
    which is code point order here.
    """
    order: NDArray[np.intp] = np.lexsort((np.asarray(item_ids), -scores))
    return order
