"""The first k places of every search under many profiles: all that a measure at k looks at.

A page is a log of its own with k candidates a search instead of hundreds, so a measure costs what k costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.profile import Profile
from replay.engine import Ranking, proven
from replay.log import CaptureLog
from replay.order import each_chunk, sort_keys, top_chunk
from replay.scoring import Run, formulas, limits


@dataclass(frozen=True, slots=True)
class Heads:
    """The first k places of every search of a log under one profile."""

    profile: Profile
    clock_shift_ms: int
    positions: NDArray[np.int64]  # (n_shown,): candidates, search by search, best first
    sizes: NDArray[np.int64]  # (n_searches,): at most k
    scores: NDArray[np.float32]  # (n_shown,)
    exact_k: NDArray[np.int64]  # (n_searches,): as of the whole ranking, so it may be above k


def pages(log: CaptureLog, heads: Sequence[Heads]) -> tuple[CaptureLog, list[Ranking]]:
    """The candidates that any of the heads shows as a log of their own, and the heads as its rankings.

    Every measure at k or less, of one ranking or between two, has the value that it has on the whole log.
    A candidate that a ranking does not show has rank 0 there.
    """
    if len(heads) == 1:  # its candidates stand in ranking order already
        (head,) = heads
        n = len(head.positions)
        places = np.arange(n) - np.repeat(np.cumsum(head.sizes) - head.sizes, head.sizes) + 1
        ranking = Ranking(
            profile=head.profile,
            clock_shift_ms=head.clock_shift_ms,
            scores=head.scores,
            eligible=np.ones(n, dtype=bool),
            order=np.arange(n),
            ranks=places.astype(np.int32),
            exact_k=head.exact_k,
        )
        return log.only(head.positions, head.sizes), [ranking]
    positions = np.unique(np.concatenate([head.positions for head in heads]))
    sizes = np.diff(np.searchsorted(positions, log.offsets))
    small = log.only(positions, sizes.astype(np.int64))
    return small, [_as_ranking(head, positions, small) for head in heads]


def _as_ranking(head: Heads, positions: NDArray[np.int64], small: CaptureLog) -> Ranking:
    n = len(positions)
    at = np.searchsorted(positions, head.positions)
    begins = np.cumsum(head.sizes) - head.sizes
    ranks, scores = np.zeros(n, dtype=np.int32), np.full(n, np.nan, dtype=np.float32)
    ranks[at] = np.arange(len(at)) - np.repeat(begins, head.sizes) + 1
    scores[at] = head.scores
    last = int(head.sizes.max(initial=0)) + 1
    order = np.argsort(small.owner * (last + 1) + np.where(ranks > 0, ranks, last), kind="stable")
    return Ranking(
        profile=head.profile,
        clock_shift_ms=head.clock_shift_ms,
        scores=scores,
        eligible=ranks > 0,
        order=order,
        ranks=ranks,
        exact_k=head.exact_k,
    )


def first_places(
    log: CaptureLog,
    profiles: Sequence[Profile],
    k: int,
    *,
    clock_shift_ms: int = 0,
    threads: int = 0,
) -> list[Heads]:
    """Rank every search under every profile, down to place k; `replay.engine.rank` gives the same places.

    Args:
        log: the captured searches.
        profiles: as published, not yet resolved for a platform.
        k: places, >= 1.
        clock_shift_ms: moves every clock.
        threads: 0 for one per core.

    Raises:
        InputError: a factor reads a field that was not captured.
    """
    found = formulas(log, profiles)
    clock = log.searches["now_ms"].astype(np.int64) + clock_shift_ms
    rel_floor = np.asarray(log.searches["rel_floor"], dtype=np.float32)
    bounds = [limits(found, i, rel_floor) for i in range(len(profiles))]
    n, m = len(log), len(profiles)
    sizes, exact_k = np.empty((m, n), dtype=np.int64), np.empty((m, n), dtype=np.int64)
    parts: list[dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]]] = [{} for _ in profiles]

    def work(start: int, stop: int) -> None:
        run = Run(log, found, clock, start, stop)
        mine = run.candidates
        for i in range(m):
            scores = run.scores(found.of[i])
            exact_k[i, start:stop] = proven(run, scores, bounds[i][start:stop])
            keys = sort_keys(scores, run.eligible)
            top, sizes[i, start:stop] = top_chunk(keys, run.offsets, run.codes, k)
            parts[i][start] = (top + mine.start, scores[top])

    each_chunk(work, log.offsets, threads=threads)
    heads = []
    for i, profile in enumerate(profiles):
        of_profile = [parts[i][start] for start in sorted(parts[i])]
        positions = np.concatenate([np.empty(0, dtype=np.int64), *(top for top, _ in of_profile)])
        scores = np.concatenate([np.empty(0, dtype=np.float32), *(values for _, values in of_profile)])
        heads.append(Heads(profile, clock_shift_ms, positions, sizes[i], scores, exact_k[i]))
    return heads
