"""Off-policy estimators of the clicks per search that a target would earn.

With reward c, prefix weight W, position weight V, modelled rewards q (of the target's item) and q' (of the
shown one), sums over ranks r = 1..k and means over searches:

    IPS        mean of W[k] * sum c                        no assumption on users; Horvitz and Thompson 1952
    SNIPS      the same, divided by the mean of W[k]       Swaminathan and Joachims 2015
    IPS max M  W[k] cut off at M                           Bottou et al. 2013; biased downwards
    RIPS       mean of sum W[r] c[r]                       a click depends on its rank, item and those above
                                                           (cascade); McInerney et al. 2020
    SNRIPS     the same, each rank by its mean weight
    IIPS       mean of sum V[r] c[r]                       a click depends on its rank and item alone
                                                           (item-position model); Li et al. 2018
    SNIIPS     the same, each rank by its mean weight
    DM         mean of sum q[r]                            the reward model is right
    DR         mean of sum q + W[k] * sum (c - q')         IPS's assumption; Dudik et al. 2011
    cascade DR mean of sum W[r] (c[r] - Q'[r]) + W[r-1] Q[r], Q the modelled reward from rank r on
                                                           RIPS's assumption; Kiyohara et al. 2022
    IIDR       mean of sum q + V (c - q')                  IIPS's assumption

Each is a function of sums over searches, so whole users can be resampled (`replay.clicks.clusters`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from replay.offpolicy.slates import Slates

F64 = NDArray[np.float64]
PAGE = "none about users"
CASCADE = "a click depends on its rank, its item and the items above"
ITEM_POSITION = "a click depends on its rank and its item alone"
MODEL = "the reward model is right"


@dataclass(frozen=True, slots=True)
class Estimator:
    """One estimator applied to one log: columns to sum over searches, and what the sums give."""

    name: str
    assumes: str
    columns: F64  # (n_searches, n_columns)
    value: Callable[[F64], F64]  # of sums (..., n_columns)
    weights: F64 | None  # (n_searches,) or (n_searches, k): the importance weights behind it; None: has none
    unit_mean: bool = (
        True  # whether the weights average 1 where the logger can show all that the target serves
    )
    left_out: str = ""  # an error that the interval does not hold

    def where(self, chosen: NDArray[np.bool_]) -> Estimator:
        """The same of some searches, (n_searches,) bool."""
        weights = None if self.weights is None else self.weights[chosen]
        return replace(self, columns=self.columns[chosen], weights=weights)


def estimators(slates: Slates, *, clip: float = 20.0) -> list[Estimator]:
    """Every estimator that the slates' probabilities and models allow."""
    found: list[Estimator] = []
    reward = slates.reward.sum(axis=1)
    q, q_shown = slates.q_target, slates.q_shown
    modelled = q is not None and q_shown is not None
    if slates.prefix_weight is not None:
        prefix = slates.prefix_weight
        page = prefix[:, -1]
        found += [
            _mean("IPS", PAGE, page * reward, page),
            _ratio("SNIPS", PAGE, page * reward, page),
            _mean(f"IPS max {clip:g}", PAGE, np.minimum(page, clip) * reward, page),
            _mean("RIPS", CASCADE, (prefix * slates.reward).sum(axis=1), prefix),
            _ratio_by_rank("SNRIPS", CASCADE, slates, prefix),
        ]
    if slates.position_weight is not None:
        position = slates.position_weight
        found += [
            _mean("IIPS", ITEM_POSITION, (position * slates.reward).sum(axis=1), position),
            _ratio_by_rank("SNIIPS", ITEM_POSITION, slates, position),
        ]
    if modelled:
        assert q is not None
        assert q_shown is not None
        direct = q.sum(axis=1)
        found.append(replace(_mean("DM", MODEL, direct, None), left_out="the error of the reward model"))
        if slates.prefix_weight is not None:
            corrected = direct + page * (reward - q_shown.sum(axis=1))
            found.append(_mean("DR", PAGE, corrected, page))
            found.append(_mean("cascade DR", CASCADE, _cascade_dr(slates, q, q_shown), prefix))
        if slates.position_weight is not None:
            residual = slates.position_weight * (slates.reward - q_shown)
            found.append(_mean("IIDR", ITEM_POSITION, direct + residual.sum(axis=1), slates.position_weight))
    return found


def _cascade_dr(slates: Slates, q: F64, q_shown: F64) -> F64:
    assert slates.prefix_weight is not None
    weight = slates.prefix_weight
    from_here = q[:, ::-1].cumsum(axis=1)[:, ::-1]  # the target's reward from each rank on
    shown_then_target = q_shown + from_here - q
    before = np.column_stack([np.ones(len(slates)), weight[:, :-1]])
    # c[r] - Q'[r], and the reward below rank r comes in through W[r] Q[r + 1] of the next term
    value: F64 = (weight * (slates.reward - shown_then_target) + before * from_here).sum(axis=1)
    return value


def _mean(name: str, assumes: str, values: F64, weights: F64 | None) -> Estimator:
    columns = np.column_stack([values, np.ones(len(values))])
    return Estimator(name, assumes, columns, lambda sums: sums[..., 0] / sums[..., 1], weights)


def _ratio(name: str, assumes: str, top: F64, weights: F64) -> Estimator:
    columns = np.column_stack([top, weights])
    return Estimator(name, assumes, columns, lambda sums: _divided(sums[..., 0], sums[..., 1]), weights)


def _ratio_by_rank(name: str, assumes: str, slates: Slates, weights: F64) -> Estimator:
    """Each rank's weighted click rate, divided by its own mean weight, times how often the rank is there."""
    k = slates.k
    inside = slates.in_target
    columns = np.column_stack(
        [weights * slates.reward, weights * inside, inside.astype(np.float64), np.ones(len(slates))]
    )

    def value(sums: F64) -> F64:
        rates = _divided(sums[..., :k], sums[..., k : 2 * k])
        counted = sums[..., 2 * k : 3 * k]
        total: F64 = np.where(counted > 0, rates * counted, 0.0).sum(axis=-1) / sums[..., -1]
        return total

    return Estimator(name, assumes, columns, value, weights)


def _divided(top: F64, bottom: F64) -> F64:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)
