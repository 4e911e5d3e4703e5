"""Clocks: events before their search, clocks ahead of today, items newer than the search that found them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ranking.capture import part_files
from ranking.clock import format_duration, format_time
from ranking.parquet_file import open_parquet, parquet_errors
from replay.checks.check import Check, found
from replay.checks.logged_events import LoggedEvents
from replay.log import CaptureLog

AHEAD_MS = 300_000  # five minutes: clocks of two machines may differ by so much
BACK_MS = 60_000  # a step back within one session by more is no reordering of writers


def events_before_search(log: CaptureLog, events: LoggedEvents) -> Check:
    """Nobody clicks on a page before it is served."""
    known = np.flatnonzero(events.search >= 0)
    served = log.searches["now_ms"].astype(np.int64)[events.search[known]]
    early = known[events.at_ms[known] < served]
    return found(
        "events before their search",
        len(early),
        len(known),
        f"{len(early)} of {len(known)} events are older than the search they belong to: clocks disagree",
        fine="no event is older than its search",
        examples=(
            f"{events.name(i)}: {int(log.searches['now_ms'][events.search[i]] - events.at_ms[i])} ms before"
            for i in early
        ),
    )


def future_clocks(log: CaptureLog, events: LoggedEvents, now_ms: int) -> Check:
    """A clock ahead of today is a wrong clock, or a page asked for at a time to come."""
    times = np.concatenate([log.searches["now_ms"].astype(np.int64), events.at_ms])
    ahead = np.flatnonzero(times > now_ms + AHEAD_MS)
    return found(
        "future clocks",
        len(ahead),
        len(times),
        f"{len(ahead)} of {len(times)} searches and events have a clock ahead of {format_time(now_ms)}",
        fine="no search or event is ahead of today",
        examples=(format_time(int(times[i])) for i in ahead),
    )


def items_from_the_future(log: CaptureLog) -> Check:
    """The base query leaves out what is dated after its clock, so no candidate is."""
    with np.errstate(invalid="ignore"):
        newer = np.flatnonzero(log.docs.created_ms > log.searches["now_ms"].astype(np.int64)[log.owner])
    return found(
        "items newer than their search",
        len(newer),
        log.n_candidates,
        f"{len(newer)} of {log.n_candidates} candidates were created after the search that found them",
        fine="no candidate is newer than its search",
        examples=(
            f"{log.item_id[p]} in search {log.searches['search_id'][log.owner[p]]}: "
            f"{format_time(int(log.docs.created_ms[p]))}"
            for p in newer
        ),
    )


def steps_back(folder: Path) -> Check:
    """Within one file, the searches of a session are in the order in which they were served."""
    back: list[str] = []
    n = 0
    for session, before, now in _followers(folder):
        n += 1
        if now < before - BACK_MS:
            back.append(f"session {session}: {format_time(now)} after {format_time(before)}")
    return found(
        "clocks that run backwards",
        len(back),
        n,
        f"{len(back)} of {n} searches are more than {format_duration(BACK_MS)} older than the one written "
        "before them in their session",
        fine="no session runs backwards",
        examples=back,
        tolerated=1.0,
    )


def _followers(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Each search that follows another of its session in one file, with both clocks."""
    for path in part_files(folder):
        last: dict[str, int] = {}
        with parquet_errors(path):
            columns = open_parquet(path).read(columns=["session_id", "now_ms"])
        for session, now in zip(columns[0].to_pylist(), columns[1].to_pylist(), strict=True):
            if session is None:
                continue
            if session in last:
                yield session, last[session], now
            last[session] = now
