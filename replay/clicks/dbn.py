"""The dynamic Bayesian network model of Chapelle and Zhang 2009: users look down the page until satisfied.

At each rank that is examined: a click with probability attract_prob[d]; after a click, satisfied with
probability satisfy_prob[d], which ends the visit; unsatisfied users look at the next rank with probability
`continue_prob`. Relevance is attract_prob * satisfy_prob. Fitted by EM. What is hidden has few states: every
rank down to the last click was examined without satisfaction; below it, the visit ended at one of the
remaining places, and the posterior over these places is written out for all searches at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replay.clicks.cascade import by_pair
from replay.clicks.pages import Pages

F64 = NDArray[np.float64]
_LEAST, _MOST = 1e-9, 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Dbn:
    """A fitted DBN."""

    attract_prob: F64  # (n_pairs,); NaN for a pair never shown
    satisfy_prob: F64  # (n_pairs,), given a click; NaN for a pair never clicked
    continue_prob: float
    examined: F64  # (n_pairs,): expected examinations
    clicks: F64  # (n_pairs,)
    satisfied: F64  # (n_pairs,): expected satisfied clicks
    log_likelihood: float
    iterations: int


@dataclass(frozen=True, slots=True)
class _Expected:
    """The E step: posteriors given the clicks."""

    examined: F64  # (n, depth)
    satisfied: F64  # (n, depth), above 0 only at the last click
    went_on: float  # expected number of steps to the next rank
    could_go_on: float  # expected number of chances to step on
    log_likelihood: float


def fit_dbn(pages: Pages, *, iterations: int = 500, tolerance: float = 1e-6) -> Dbn:
    """Maximum likelihood by EM.

    Args:
        pages: the served pages.
        iterations: at most so many.
        tolerance: stop when the log-likelihood per search grows by less.
    """
    shown_n, clicks = by_pair(pages, pages.pair >= 0), by_pair(pages, pages.clicks)
    attract, satisfy = (clicks + 0.5) / (shown_n + 1.0), np.full(len(clicks), 0.5)
    go_on, before, steps = 0.8, -np.inf, 0
    while steps < iterations:
        steps += 1
        found = expected(pages, attract, satisfy, go_on)
        examined, satisfied = by_pair(pages, found.examined), by_pair(pages, found.satisfied)
        attract = np.clip(_ratio(clicks, examined), _LEAST, _MOST)
        satisfy = np.clip(_ratio(satisfied, clicks), _LEAST, _MOST)
        if found.could_go_on > 0:
            go_on = float(np.clip(found.went_on / found.could_go_on, _LEAST, _MOST))
        if found.log_likelihood - before < tolerance * len(pages.clicks):
            break
        before = found.log_likelihood
    return Dbn(
        attract_prob=np.where(shown_n > 0, attract, np.nan),
        satisfy_prob=np.where(clicks > 0, satisfy, np.nan),
        continue_prob=go_on,
        examined=examined,
        clicks=clicks,
        satisfied=satisfied,
        log_likelihood=found.log_likelihood,
        iterations=steps,
    )


def expected(pages: Pages, attract: F64, satisfy: F64, go_on: float) -> _Expected:
    """Posterior expectations under given parameters, attract and satisfy of shape (n_pairs,)."""
    shown = pages.pair >= 0
    n, depth = shown.shape
    length = shown.sum(axis=1)
    place = np.arange(1, depth + 1)
    last = np.where(pages.clicks, place, 0).max(axis=1, initial=0)  # 0: no click
    pair = np.where(shown, pages.pair, 0)
    a, s = np.where(shown, attract[pair], 0.0), np.where(shown, satisfy[pair], 0.0)
    s_last = np.where(last > 0, s[np.arange(n), np.maximum(last - 1, 0)], 0.0)
    below = shown & (place > last[:, None])
    # P(the visit ends at rank t, no click below the last one), for t below the last click
    steps = np.maximum(place - last[:, None], 0) - (last[:, None] == 0)  # steps on from the last click
    passed = np.cumprod(np.where(below, 1 - a, 1.0), axis=1)
    stop = np.where(place < length[:, None], 1 - go_on, 1.0)
    ends = np.where(below, (1 - s_last)[:, None] * go_on ** np.maximum(steps, 0) * passed * stop, 0.0)
    clicked, at_end = last > 0, last == length
    ends_at_last = np.where(clicked, np.where(at_end, 1.0, s_last + (1 - s_last) * (1 - go_on)), 0.0)
    total = np.maximum(ends.sum(axis=1) + ends_at_last, 1e-300)
    ends = ends / total[:, None]
    reached = np.where(below, ends[:, ::-1].cumsum(axis=1)[:, ::-1], 0.0)  # P(rank examined)
    examined = np.where(place <= last[:, None], shown.astype(np.float64), reached)
    p_satisfied = np.where(clicked, np.where(at_end, s_last, s_last / total), 0.0)
    satisfied = np.zeros((n, depth))
    satisfied[np.flatnonzero(clicked), last[clicked] - 1] = p_satisfied[clicked]
    went_on = float(np.maximum(examined.sum(axis=1) - (length > 0), 0).sum())
    could = examined * (place < length[:, None]) - satisfied * (place < length[:, None])
    above = shown & (place <= last[:, None])
    log_a = np.where(pages.clicks, np.log(np.maximum(a, 1e-300)), np.log1p(-np.minimum(a, _MOST)))
    unsatisfied = pages.clicks & (place < last[:, None])
    likelihood = (
        float(log_a[above].sum())
        + float(np.log1p(-np.minimum(s, _MOST))[unsatisfied].sum())
        + float(np.log(go_on) * np.maximum(last - 1, 0).sum())
        + float(np.log(total[length > 0]).sum())
    )
    return _Expected(examined, satisfied, went_on, float(could.sum()), likelihood)


def _ratio(top: F64, bottom: F64) -> F64:
    return np.divide(top, bottom, out=np.full(len(top), 0.5), where=bottom > 0)
