"""Earlier searches to fit on, later ones to judge on: split at random, a winner has seen its own future."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranking.errors import InputError
from replay.log import CaptureLog


@dataclass(frozen=True, slots=True)
class Split:
    """A log in two, by the clock."""

    fit: CaptureLog
    held_out: CaptureLog
    at_ms: int  # clock of the first search that is held out


def split_by_time(log: CaptureLog, share: float) -> Split:
    """Hold out the latest searches.

    Args:
        log: the captured searches.
        share: of the searches that are held out at least, in (0, 1); searches of one clock stay together.

    Raises:
        InputError: the log cannot be split so.
    """
    if not 0 < share < 1:
        raise InputError(f"the share that is held out must lie between 0 and 1, got {share:g}")
    now_ms = log.searches["now_ms"].astype(np.int64)
    order = np.argsort(now_ms, kind="stable")
    at_ms = int(now_ms[order[min(len(log) - 1, int(np.ceil(len(log) * (1 - share))))]])
    later = now_ms >= at_ms
    if later.all():
        raise InputError(
            "the log cannot be split by time: every search would be held out",
            hint="capture over a longer time, or hold out less",
        )
    return Split(log.pick(np.flatnonzero(~later)), log.pick(np.flatnonzero(later)), at_ms)
