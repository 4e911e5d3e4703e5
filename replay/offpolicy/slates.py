"""What the off-policy estimators read: rewards and importance weights, one row per search.

For a target that serves one page per search (a profile; shown items S, target's items T) and a logger that
draws pages with known probabilities, at rank r:

    prefix_weight[r]    1[S and T agree on ranks 1..r] / P(the logger shows S's first r items in that order)
    position_weight[r]  1[S and T agree on rank r]     / P(the logger shows S's item at rank r)

Their mean is 1 where the logger can show all that the target serves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slates:
    """Logged pages with rewards and weights; k ranks."""

    reward: F64  # (n, k): 1 for a click, 0 otherwise
    prefix_weight: F64 | None  # (n, k); None where the logger's page probabilities are not known
    position_weight: F64 | None  # (n, k); None where its item-position probabilities are not known
    in_target: NDArray[np.bool_]  # (n, k): the target has an item at that rank
    user: I64  # (n,): cluster
    q_target: F64 | None = None  # (n, k): modelled reward of the target's item at that rank
    q_shown: F64 | None = None  # (n, k): modelled reward of the shown item at that rank

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def k(self) -> int:
        """Ranks."""
        return int(self.reward.shape[1])


@dataclass(frozen=True, slots=True)
class LoggerProbs:
    """How likely the logger was to show what it showed; probabilities in (0, 1], NaN past a page's end."""

    step: (
        F64 | None
    )  # (n, depth): P(item at rank | items above); the product over ranks is a prefix's probability
    position: F64 | None  # (n, depth): P(item at rank)
    kind: str  # how they are known, in words
    drawn: NDArray[np.bool_] | None = None  # (n,): which searches were left to chance; None: all

    def first(self, k: int) -> LoggerProbs:
        """Of the first k ranks."""
        step, position = (None if probs is None else probs[:, :k] for probs in (self.step, self.position))
        return LoggerProbs(step, position, self.kind, self.drawn)

    @property
    def is_deterministic(self) -> bool:
        """Whether nothing was left to chance."""
        known = [probs for probs in (self.step, self.position) if probs is not None]
        return all(bool(np.all(np.nan_to_num(probs, nan=1.0) == 1.0)) for probs in known)


def weigh(
    shown: I64,
    target: I64,
    clicks: NDArray[np.bool_],
    probs: LoggerProbs,
    user: I64,
    *,
    q_target: F64 | None = None,
    q_shown: F64 | None = None,
) -> Slates:
    """Weights of logged pages under a target.

    Args:
        shown: item at each rank as logged, any numbering, -1 for none, shape (n, k).
        target: item at each rank as the target would serve, same numbering, shape (n, k).
        clicks: (n, k).
        probs: of the logger, each (n, k).
        user: cluster of each search, (n,).
        q_target: modelled reward of the target's items, (n, k).
        q_shown: modelled reward of the shown items, (n, k).
    """
    agrees = shown == target
    some = shown >= 0
    prefix = position = None
    if probs.step is not None:
        probability = np.cumprod(np.where(some, probs.step, 1.0), axis=1)
        prefix = np.where(np.logical_and.accumulate(agrees, axis=1), 1 / probability, 0.0)
    if probs.position is not None:
        position = np.where(agrees & some, 1 / np.where(some, probs.position, 1.0), 0.0)
    return Slates(
        reward=(clicks & some).astype(np.float64),
        prefix_weight=prefix,
        position_weight=position,
        in_target=target >= 0,
        user=user,
        q_target=q_target,
        q_shown=q_shown,
    )
