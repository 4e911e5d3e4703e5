"""Any ranking from a log: the formula over captured candidates, and how far the result is proven.

A document outside a capture has a relevance of at most `rel_floor`, so under any profile it scores at most
`bound(rel_floor)`. Every candidate strictly above that bound outranks everything that was not captured:
`exact_k` counts them, and the first `exact_k` places are what Elasticsearch would have returned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from ranking.formula import bound, final_scores
from ranking.profile import Profile
from replay.log import CaptureLog


@dataclass(frozen=True, slots=True)
class Ranking:
    """Every search of a log under one profile at one clock."""

    profile: Profile
    clock_shift_ms: int  # added to each search's logged clock
    scores: NDArray[np.float32]  # (n_candidates,)
    eligible: NDArray[np.bool_]  # (n_candidates,): False for items created after the clock
    order: NDArray[np.int64]  # (n_candidates,): positions, search by search, best first, ineligible last
    ranks: NDArray[np.int32]  # (n_candidates,): 1-based; 0 where ineligible
    exact_k: NDArray[np.int64]  # (n_searches,): the ranking is proven down to here

    def top(self, log: CaptureLog, i: int, k: int) -> NDArray[np.int64]:
        """Positions of the first k candidates of search i."""
        ordered = self.order[log.span(i)][:k]
        shown: NDArray[np.int64] = ordered[self.eligible[ordered]]
        return shown


def rank(log: CaptureLog, profile: Profile, *, clock_shift_ms: int = 0) -> Ranking:
    """Rank every captured search under a profile, its platform overrides applied.

    Args:
        log: the captured searches.
        profile: as published, not yet resolved for a platform.
        clock_shift_ms: moves every clock; items created after the moved clock drop out. Items created
            after the logged clock are in no log, so a later clock says what these items would do.

    Raises:
        InputError: a factor reads a field that was not captured.
    """
    scores = np.empty(log.n_candidates, dtype=np.float32)
    limits = np.full(len(log), -np.inf, dtype=np.float32)
    now_ms = log.searches["now_ms"].astype(np.int64) + clock_shift_ms
    for platform, searches in log.groups("platform"):
        served = profile.for_platform(platform)
        lacking = sorted(served.factor_fields.keys() - log.docs.columns.keys())
        if lacking:
            raise InputError(
                f"profile {profile.name} reads {', '.join(lacking)}, which the log does not hold",
                hint="capture with a profile that reads it: a factor of weight 1 changes no score",
            )
        mine = log.candidates_of(searches)
        scores[mine] = final_scores(served, log.docs[mine], now_ms[log.owner[mine]])
        limits[searches] = bound(served, log.searches["rel_floor"][searches].astype(np.float32))
    eligible = ~(log.docs.created_ms > now_ms[log.owner])
    order = np.lexsort((log.item_code, -scores, ~eligible, log.owner))
    ranks = np.empty(log.n_candidates, dtype=np.int32)
    ranks[order] = np.arange(log.n_candidates) - log.offsets[log.owner[order]] + 1
    ranks[~eligible] = 0
    complete = np.isnan(log.searches["rel_floor"])
    above = eligible & (complete[log.owner] | (scores > limits[log.owner]))
    exact_k = np.bincount(log.owner[above], minlength=len(log)).astype(np.int64)
    return Ranking(profile, clock_shift_ms, scores, eligible, order, ranks, exact_k)


def rank_as_logged(log: CaptureLog) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Scores and order under the very profile that served each search, at its own clock.

    Returns:
        scores (n_candidates,), order (n_candidates,) and known (n_searches,): False where the log does not
        hold the profile of a search; its scores are NaN.
    """
    scores = np.full(log.n_candidates, np.nan, dtype=np.float32)
    known = np.zeros(len(log), dtype=bool)
    now_ms = log.searches["now_ms"].astype(np.int64)
    for profile_hash, searches in log.groups("profile_hash"):
        profile = log.profiles.get(profile_hash)
        if profile is None:
            continue
        known[searches] = True
        mine = log.candidates_of(searches)
        scores[mine] = final_scores(profile, log.docs[mine], now_ms[log.owner[mine]])
    return scores, np.lexsort((log.item_code, -scores, log.owner)), known
