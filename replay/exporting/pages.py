"""The page of each search that is exported: as it was served, or as another ranking has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from replay.engine import Ranking
from replay.log import CaptureLog


@dataclass(frozen=True, slots=True)
class ExportedPage:
    """One search's page."""

    search: int  # place in the log
    positions: NDArray[np.int64]  # of its items in the log's arrays, best first
    scores: NDArray[np.float32]  # (len(positions),); NaN where not logged


def pages(log: CaptureLog, ranking: Ranking | None = None, k: int | None = None) -> Iterator[ExportedPage]:
    """Each search's page in rank order.

    Args:
        log: the searches.
        ranking: of the log; None exports what was served.
        k: at most so many places; None: all.
    """
    for i in range(len(log)):
        if ranking is not None:
            positions = ranking.top(log, i, k or log.n_candidates)
            yield ExportedPage(i, positions, ranking.scores[positions])
            continue
        span = log.span(i)
        served = np.flatnonzero(log.rank[span] > 0) + span.start
        positions = served[np.argsort(log.rank[served], kind="stable")][:k]
        yield ExportedPage(i, positions, log.score[positions])


def one_word(value: object, what: str) -> str:
    """An id for a file whose columns are separated by blanks.

    Raises:
        InputError: it holds a blank, or nothing.
    """
    text = str(value)
    if len(text.split()) != 1 or text != text.strip():
        raise InputError(
            f"{what} {text!r} holds a blank, and the format separates its columns by blanks",
            hint="export UBI or JSON instead",
        )
    return text
