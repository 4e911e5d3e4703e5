"""Gaps in time: stretches without a single search, where capture was down or a file is lacking."""

from __future__ import annotations

import numpy as np

from ranking.clock import DAY_MS, format_time
from replay.checks.check import Check, found
from replay.log import CaptureLog

MIN_SEARCHES = 50  # fewer say nothing about how often searches come
MIN_GAP_MS = 600_000  # ten minutes
TIMES_P99 = 20  # with Poisson arrivals a gap of 20 times the 99th percentile has a chance of 1e-40


def gaps(log: CaptureLog) -> Check:
    """Long stretches without a search; nights are short against a lost day."""
    times = np.sort(log.searches["now_ms"].astype(np.int64))
    if len(times) < MIN_SEARCHES:
        return Check("gaps in time", "ok", 0, len(times), f"too few searches ({len(times)}) to see a gap")
    between = np.diff(times)
    usual = max(MIN_GAP_MS, TIMES_P99 * float(np.quantile(between, 0.99)))
    long = np.flatnonzero((between > usual) | (between > DAY_MS))
    worst = float(between.max()) / 3_600_000
    return found(
        "gaps in time",
        len(long),
        len(between),
        f"{len(long)} stretches without a search, the longest {worst:.1f} h: capture was down, "
        "or a file is lacking",
        fine=f"the longest stretch without a search is {worst * 60:.1f} min",
        examples=(f"{format_time(int(times[i]))} to {format_time(int(times[i + 1]))}" for i in long),
        tolerated=1.0,
    )
