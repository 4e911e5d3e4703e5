"""Order of candidates inside each search: score descending, then `item_id` ascending, ineligible ones last.

A score becomes a whole number that sorts as the ranking does (the bits of a float32 >= 0 sort as the number
itself), the candidate's place in its search goes into the low bits, and each search is one row of a matrix
whose rows are sorted. No position array is carried through the sort, and item ids are looked at only where
two scores are equal. tests/unit/replay/test_order.py holds this to `np.lexsort`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

CELLS = 1 << 15  # candidates worked on at once: their arrays stay in a core's second-level cache
_MAX_THREADS = 8
_PLACE_BITS = np.uint64(31)  # a search has fewer than 2**31 candidates
_PLACE = np.uint64((1 << 31) - 1)
_INELIGIBLE = np.uint64(1 << 63)
_LAST = np.uint64((1 << 64) - 1)

Codes = Callable[[NDArray[np.int64]], NDArray[np.int64]]  # of positions in a run


def chunks(offsets: NDArray[np.int64], cells: int = CELLS) -> Iterator[tuple[int, int]]:
    """Runs of searches, first and one past the last, that fill at most `cells` cells as a padded matrix.

    A search that is longer than `cells` is a run of its own.
    """
    n = len(offsets) - 1
    sizes = np.diff(offsets)
    start = 0
    while start < n:
        rows = max(1, cells // max(1, int(sizes[start])))
        widest = max(1, int(sizes[start : start + rows].max()))
        stop = min(n, start + max(1, min(rows, cells // widest)))
        yield start, stop
        start = stop


def each_chunk(work: Callable[[int, int], None], offsets: NDArray[np.int64], *, threads: int = 0) -> None:
    """Call `work(start, stop)` for every run of searches, on several threads; numpy lets go of the GIL.

    Args:
        work: writes into arrays of the caller, each call into its own part.
        offsets: of the searches, (n_searches + 1,).
        threads: 0 for one per core.
    """
    runs = list(chunks(offsets))
    threads = min(threads or n_threads(), len(runs))
    if threads <= 1:
        for start, stop in runs:
            work(start, stop)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, start, stop) for start, stop in runs]:
            done.result()


def n_threads() -> int:
    """Cores this process may use, at most 8."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MAX_THREADS, mine)


def sort_keys(scores: NDArray[np.float32], eligible: NDArray[np.bool_] | None) -> NDArray[np.uint64]:
    """A number for each candidate, smaller for a better one, equal for equal scores; the low 31 bits are 0.

    +0 and -0 are the same score, and NaN comes last, as in `np.lexsort` of the negated scores.
    """
    bits = np.ascontiguousarray(scores).view(np.uint32)
    if len(scores) and not scores.min() > 0:  # zeros, negative ones or NaN: the general rule
        bits = (scores + np.float32(0)).view(np.uint32)  # -0 + 0 is +0
        bits = bits ^ np.where(bits >> np.uint32(31), np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
        bits = np.where(np.isnan(scores), np.uint32(0), bits)
    else:
        bits = bits | np.uint32(0x80000000)
    keys: NDArray[np.uint64] = (~bits).astype(np.uint64) << _PLACE_BITS
    if eligible is not None:
        keys[~eligible] |= _INELIGIBLE
    return keys


def order_chunk(
    keys: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    codes: Codes,
    down_to: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Ranking order of a run of searches.

    Args:
        keys: of the run's candidates, as `sort_keys` gives them; overwritten.
        offsets: where each search's candidates begin, (n + 1,); `offsets[0]` is the run's first.
        codes: places of candidates' item ids in keyword order; called with positions in the run that tie.
        down_to: ties that begin at a later place than this are left in capture order, (n,).

    Returns:
        positions within the run, search by search, best first; and each position's place, 1-based.
    """
    sizes, begins = np.diff(offsets), offsets[:-1] - offsets[0]
    matrix, filled = _sorted_rows(keys, sizes)
    width = matrix.shape[1]
    places = np.broadcast_to(np.arange(1, width + 1, dtype=np.int32), matrix.shape)
    positions = (matrix & _PLACE).astype(np.int64) + begins[:, None]
    if filled is None:
        ordered, order, place = matrix.ravel(), positions.ravel(), places.ravel()
    else:
        ordered, order, place = matrix[filled], positions[filled], places[filled]
    _break_ties(ordered, order, place, codes, None if down_to is None else np.repeat(down_to, sizes))
    return order, place


def top_chunk(
    keys: NDArray[np.uint64], offsets: NDArray[np.int64], codes: Codes, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first k eligible candidates of each search of a run, without the order of the rest.

    Args:
        keys: as for `order_chunk`; overwritten.
        offsets: as for `order_chunk`.
        codes: as for `order_chunk`.
        k: places, >= 1.

    Returns:
        positions within the run, search by search, best first; and how many of each search, (n,).
    """
    sizes, begins = np.diff(offsets), offsets[:-1] - offsets[0]
    whole = _sorted_rows(keys.copy(), sizes)[0]
    if whole.shape[1] > k:
        next_one = whole[:, k]
        cut = ((next_one ^ whole[:, k - 1]) <= _PLACE) & (next_one < _INELIGIBLE)
        if cut.any():  # a tie across the last place: who is in depends on the ids of those outside
            ineligible = keys >= _INELIGIBLE
            order, place = order_chunk(keys, offsets, codes, np.full(len(sizes), k))
            kept = (place <= k) & ~ineligible[order]
            owner = np.repeat(np.arange(len(sizes)), sizes)
            return order[kept], np.bincount(owner[kept], minlength=len(sizes))
    head = whole[:, :k]
    shown = head < _INELIGIBLE
    places = np.broadcast_to(np.arange(1, head.shape[1] + 1, dtype=np.int32), head.shape)
    order = ((head & _PLACE).astype(np.int64) + begins[:, None])[shown]
    _break_ties(head[shown], order, places[shown], codes, None)
    return order, shown.sum(axis=1)


def _sorted_rows(
    keys: NDArray[np.uint64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.bool_] | None]:
    """One sorted row of keys for each search, and which cells are filled; None where all are."""
    n, width = len(sizes), int(sizes.max(initial=0))
    columns = np.arange(width, dtype=np.uint64)
    if len(keys) == n * width:
        matrix = keys.reshape(n, width)
        matrix |= columns
        matrix.sort(axis=1)
        return matrix, None
    filled = columns < sizes.astype(np.uint64)[:, None]
    matrix = np.full((n, width), _LAST)
    matrix[filled] = keys
    matrix |= columns
    matrix.sort(axis=1)
    return matrix, filled


def _break_ties(
    ordered: NDArray[np.uint64],
    order: NDArray[np.int64],
    place: NDArray[np.int32],
    codes: Codes,
    down_to: NDArray[np.int64] | None,
) -> None:
    """Put runs of equal scores into the order of their item ids, in place."""
    as_before = ((ordered[1:] ^ ordered[:-1]) <= _PLACE) & (place[1:] > 1)  # never across searches
    if not as_before.any():
        return
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] = as_before
    tied[:-1] |= as_before
    at = np.flatnonzero(tied)
    begins = np.ones(len(at), dtype=bool)
    begins[1:] = ~as_before[at[1:] - 1]
    run = np.cumsum(begins) - 1
    if down_to is not None:
        first = at[begins]
        wanted = (place[first] <= down_to[first])[run]
        at, run = at[wanted], run[wanted]
        if not len(at):
            return
    members = order[at]
    order[at] = members[np.lexsort((codes(members), run))]
