"""Measures of a ranking, a value per search for all searches of a log at once.

`measure("nDCG@10")` finds one by its `ir_measures` spelling; the functions behind it may be called directly.
"""

from __future__ import annotations

from replay.measures.agreement import entered, overlap, rbo
from replay.measures.graded import (
    average_precision,
    err,
    judged,
    ndcg,
    precision,
    rbp,
    recall,
    reciprocal_rank,
)
from replay.measures.marketplace import (
    age_days,
    ai_share,
    entropy,
    exposure,
    freshness,
    freshness_as_served,
    image_score,
    price,
    top_share,
)
from replay.measures.registry import Measure, freshness_under, measure, names
from replay.measures.spelling import split

__all__ = [
    "Measure",
    "age_days",
    "ai_share",
    "average_precision",
    "entered",
    "entropy",
    "err",
    "exposure",
    "freshness",
    "freshness_as_served",
    "freshness_under",
    "image_score",
    "judged",
    "measure",
    "names",
    "ndcg",
    "overlap",
    "precision",
    "price",
    "rbo",
    "rbp",
    "recall",
    "reciprocal_rank",
    "split",
    "top_share",
]
