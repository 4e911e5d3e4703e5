"""Clicks weighted by examination: an estimate from any log, if P(examined) by rank is known from elsewhere.

An item d shown at rank s that the target would serve at rank t is clicked there with probability
exam_prob[t] * attract[d], so its logged click counts exam_prob[t] / exam_prob[s] (Joachims, Swaminathan and
Schnabel 2017; Agarwal et al. 2018):

    exam IPS   mean of sum over shown d of exam_prob[t_d] / exam_prob[s_d] * c_d, over t_d <= k
    exam DR    mean of sum q + sum over shown d of exam_prob[t_d] / exam_prob[s_d] * (c_d - q'_d), for the
               target's items that were shown; those that were not count as the reward model has them

This assumes the position-based model and that `exam_prob` is right; the interval does not hold its error.
Items that the log never showed earn nothing in exam IPS: `coverage` says how much of the target's examination
falls on shown items, and below 1 exam IPS is too low by about that share.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replay.offpolicy.estimators import MODEL, Estimator

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
ASSUMES = "position-based clicks, and exam_prob is right"


def exam_estimators(
    shown: I64, clicks: NDArray[np.bool_], target_rank: I64, exam: F64, *, k: int, q: tuple[F64, F64] | None
) -> tuple[list[Estimator], float]:
    """The estimators, and the coverage in [0, 1].

    Args:
        shown: the candidate at each rank as logged, -1 for none, (n, depth).
        clicks: (n, depth).
        target_rank: 1-based rank of each shown item under the target, 0 where it has none, (n, depth).
        exam: P(examined) of each rank on each search's platform, NaN where unknown, (n, depth), depth >= k.
        k: ranks of the target that count.
        q: modelled rewards of the target's items at their ranks (n, k), and of the shown ones (n, depth).
    """
    counts = (shown >= 0) & (target_rank >= 1) & (target_rank <= k) & ~np.isnan(exam)
    there = np.take_along_axis(exam, np.clip(target_rank - 1, 0, exam.shape[1] - 1), axis=1)
    counts &= ~np.isnan(there)
    weight = np.where(counts, np.nan_to_num(there) / np.where(counts, exam, 1.0), 0.0)
    covered = float(np.where(counts, there, 0.0).sum())
    length = np.minimum((shown >= 0).sum(axis=1), k)  # pages of both sides hold as many items
    asked = np.where(np.arange(k) < length[:, None], np.nan_to_num(exam[:, :k]), 0.0)
    coverage = covered / float(asked.sum()) if asked.sum() > 0 else 0.0
    ones = np.ones(len(shown))

    def mean(name: str, assumes: str, values: F64) -> Estimator:
        columns = np.column_stack([values, ones])
        return Estimator(
            name,
            assumes,
            columns,
            lambda sums: sums[..., 0] / sums[..., 1],
            weight,
            unit_mean=False,
            left_out="the error of exam_prob",
        )

    found = [mean("exam IPS", ASSUMES, (weight * clicks).sum(axis=1))]
    if q is not None:
        q_target, q_shown = q
        corrected = q_target.sum(axis=1) + (weight * (clicks - q_shown)).sum(axis=1)
        found.append(mean("exam DR", f"{ASSUMES}; for items never shown, {MODEL}", corrected))
    return found, min(coverage, 1.0)
