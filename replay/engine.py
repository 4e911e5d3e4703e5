"""Any ranking from a log: the formula over captured candidates, and how far the result is proven.

A document outside a capture has a relevance of at most `rel_floor`, so under any profile it scores at most
`bound(rel_floor)`. Every candidate strictly above that bound outranks everything that was not captured:
`exact_k` counts them, and the first `exact_k` places are what Elasticsearch would have returned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.profile import Profile
from replay.log import CaptureLog
from replay.order import each_chunk, order_chunk, sort_keys
from replay.scoring import Run, formulas, limits, logged_formulas


@dataclass(frozen=True, slots=True)
class Ranking:
    """Every search of a log under one profile at one clock."""

    profile: Profile
    clock_shift_ms: int  # added to each search's logged clock
    scores: NDArray[np.float32]  # (n_candidates,)
    eligible: NDArray[np.bool_]  # (n_candidates,): False for items created after the clock, or not present
    order: NDArray[np.int64]  # (n_candidates,): positions, search by search, best first, ineligible last
    ranks: NDArray[np.int32]  # (n_candidates,): 1-based; 0 where ineligible
    exact_k: NDArray[np.int64]  # (n_searches,): the ranking is proven down to here

    def top(self, log: CaptureLog, i: int, k: int) -> NDArray[np.int64]:
        """Positions of the first k candidates of search i."""
        ordered = self.order[log.span(i)][:k]
        shown: NDArray[np.int64] = ordered[self.eligible[ordered]]
        return shown


def rank(
    log: CaptureLog,
    profile: Profile,
    *,
    clock_shift_ms: int = 0,
    present: NDArray[np.bool_] | None = None,
) -> Ranking:
    """Rank every captured search under a profile, its platform overrides applied.

    Args:
        log: the captured searches.
        profile: as published, not yet resolved for a platform.
        clock_shift_ms: moves every clock; items created after the moved clock drop out. Items created
            after the logged clock are in no log, so a later clock says what these items would do.
        present: shape (n_candidates,), False for items that were sold or removed by the moved clock, as
            `replay.history.as_of` finds them; all present by default.

    Raises:
        InputError: a factor reads a field that was not captured.
    """
    found = formulas(log, [profile])
    clock = log.searches["now_ms"].astype(np.int64) + clock_shift_ms
    limit = limits(found, 0, np.asarray(log.searches["rel_floor"], dtype=np.float32))
    n = log.n_candidates
    scores, eligible = np.empty(n, dtype=np.float32), np.ones(n, dtype=bool)
    order, ranks = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int32)
    exact_k = np.empty(len(log), dtype=np.int64)

    def work(start: int, stop: int) -> None:
        run = Run(log, found, clock, start, stop)
        mine = run.candidates
        if present is not None:
            run.keep(present[mine])
        scored = scores[mine] = run.scores(found.of[0])
        exact_k[start:stop] = proven(run, scored, limit[start:stop])
        keys = sort_keys(scored, run.eligible)
        ordered, place = order_chunk(keys, run.offsets, run.codes)
        order[mine] = ordered + mine.start
        ranks[mine][ordered] = place
        if run.eligible is not None:
            eligible[mine] = run.eligible
            ranks[mine][~run.eligible] = 0

    each_chunk(work, log.offsets)
    return Ranking(profile, clock_shift_ms, scores, eligible, order, ranks, exact_k)


def proven(run: Run, scores: NDArray[np.float32], limit: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many eligible candidates of each search score above what a document outside the capture can.

    Args:
        run: of the searches.
        scores: of the run's candidates.
        limit: of each search, (n,).
    """
    above = scores > np.repeat(limit, run.sizes)
    if run.eligible is not None:
        above &= run.eligible
    counted: NDArray[np.int64] = np.zeros(len(run.sizes), dtype=np.int64)
    filled = run.sizes > 0
    if filled.any():
        begins = run.offsets[:-1][filled] - run.candidates.start
        counted[filled] = np.add.reduceat(above, begins, dtype=np.int64)
    return counted


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """A run of searches under the profiles that served them."""

    searches: slice
    candidates: slice
    sizes: NDArray[np.int64]  # candidates of each search
    scores: NDArray[np.float32]  # NaN where the profile is unknown
    order: NDArray[np.int64]  # positions within the run, search by search, best first
    place: NDArray[np.int32]  # of each position of `order`, 1-based
    known: NDArray[np.bool_]  # by search


def rank_as_logged(log: CaptureLog) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Scores and order under the very profile that served each search, at its own clock.

    Returns:
        scores (n_candidates,), order (n_candidates,) and known (n_searches,): False where the log does not
        hold the profile of a search; its scores are NaN.
    """
    scores = np.full(log.n_candidates, np.nan, dtype=np.float32)
    order = np.empty(log.n_candidates, dtype=np.int64)
    known = np.zeros(len(log), dtype=bool)

    def keep(run: LoggedRun) -> None:
        scores[run.candidates] = run.scores
        order[run.candidates] = run.order + run.candidates.start
        known[run.searches] = run.known

    for_each_logged(log, keep)
    return scores, order, known


def for_each_logged(
    log: CaptureLog,
    use: Callable[[LoggedRun], None],
    *,
    down_to: NDArray[np.int64] | None = None,
    threads: int = 0,
) -> None:
    """Score and order every search as it was served, run by run.

    Args:
        log: the captured searches.
        use: called with every run, from several threads.
        down_to: how many places of each search must be right where scores tie; all by default.
        threads: 0 for one per core.
    """
    found = logged_formulas(log)
    clock = log.searches["now_ms"].astype(np.int64)

    def work(start: int, stop: int) -> None:
        run = Run(log, found, clock, start, stop)
        mine = run.candidates
        scores = run.scores(found.of[0])
        depth = None if down_to is None else down_to[start:stop]
        order, place = order_chunk(sort_keys(scores, None), run.offsets, run.codes, depth)
        known = found.classes[start:stop] >= 0
        use(LoggedRun(run.searches, mine, run.sizes, scores, order, place, known))

    each_chunk(work, log.offsets, threads=threads)
