"""How well embeddings find items like an item: nDCG@5 and recall@10, each photo a query over the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
NDCG_AT: Final = 5
RECALL_AT: Final = 10


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Per-query values; queries without a relevant item are left out."""

    ndcg: F64  # nDCG@5, shape (n_queries,)
    recall: F64  # R@10: found of the relevant items that ten places can hold
    query: NDArray[np.int64]  # which photo each value belongs to

    @property
    def n_queries(self) -> int:
        """Photos with at least one relevant other photo."""
        return len(self.ndcg)

    def to_dict(self) -> dict[str, float]:
        """Means, as `ir_measures` spells the measures."""
        return {
            f"nDCG@{NDCG_AT}": float(self.ndcg.mean()),
            f"recall@{RECALL_AT}": float(self.recall.mean()),
            "n_queries": self.n_queries,
        }


def measure_retrieval(
    embeddings: F32, group: NDArray[np.int64], queries: F32 | None = None, block: int = 1024
) -> Retrieval:
    """Rank all other photos by cosine for each photo; an item of the same group is relevant.

    Args:
        embeddings: L2-normalized, shape (n, dims).
        group: shape (n,).
        queries: other vectors to ask with, one for each photo (its title's), shape (n, dims); the photo
            itself then stays among the candidates.
        block: queries ranked at a time.

    Raises:
        InputError: no two photos share a group.
    """
    counts = np.bincount(group)[group] - (queries is None)
    asked = np.flatnonzero(counts > 0)
    if not len(asked):
        raise InputError("no two photos are relevant to each other, so retrieval cannot be measured")
    source = embeddings if queries is None else queries
    discount = 1.0 / np.log2(np.arange(2, NDCG_AT + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    ndcg, recall = np.empty(len(asked)), np.empty(len(asked))
    depth = min(RECALL_AT, len(embeddings) - (queries is None))
    for start in range(0, len(asked), block):
        rows = asked[start : start + block]
        similarity = source[rows] @ embeddings.T
        if queries is None:
            similarity[np.arange(len(rows)), rows] = -np.inf
        top = np.argsort(-similarity, axis=1, kind="stable")[:, :depth]
        hit = group[top] == group[rows][:, None]
        gain = hit[:, :NDCG_AT] @ discount[: hit[:, :NDCG_AT].shape[1]]
        ndcg[start : start + len(rows)] = gain / ideal[np.minimum(counts[rows], NDCG_AT)]
        recall[start : start + len(rows)] = hit.sum(1) / np.minimum(counts[rows], RECALL_AT)
    return Retrieval(ndcg, recall, asked)


@dataclass(frozen=True, slots=True)
class Gain:
    """Relative change of a mean, with a 95 % bootstrap interval over queries."""

    before: float
    after: float
    relative: float  # after / before - 1
    low: float
    high: float
    n_queries: int


def relative_gain(before: F64, after: F64, rng: np.random.Generator, rounds: int = 2000) -> Gain:
    """Compare two embeddings on the same queries: queries are drawn again with both their values."""
    draws = rng.integers(0, len(before), (rounds, len(before)))
    ratios = after[draws].mean(1) / np.maximum(before[draws].mean(1), 1e-12) - 1.0
    low, high = np.quantile(ratios, [0.025, 0.975])
    b, a = float(before.mean()), float(after.mean())
    return Gain(b, a, a / max(b, 1e-12) - 1.0, float(low), float(high), len(before))


__all__ = ["NDCG_AT", "RECALL_AT", "Gain", "Retrieval", "measure_retrieval", "relative_gain"]
