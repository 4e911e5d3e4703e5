"""Times as a High Dynamic Range histogram: percentiles at any size, with a stated error.

Three significant digits from 1 µs to one hour: a percentile is within 0.1 % of the value that was recorded
there. `Counts` is what is left of it in a file: bucket values and how many, which add up over rounds.

Source: Gil Tene's HdrHistogram, in its Python port (package `hdrhistogram`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGITS = 3
RELATIVE_ERROR = 10.0**-DIGITS
LONGEST_US = 3_600_000_000
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)


@dataclass(frozen=True, slots=True)
class Counts:
    """Recorded times: ascending bucket values in µs, and how many fell in each."""

    values_us: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def n(self) -> int:
        """How many times were recorded."""
        return sum(self.counts)

    def percentile_ms(self, percent: float) -> float | None:
        """The time in ms that `percent` of the recorded ones do not exceed; None where there are none."""
        if not self.counts:
            return None
        found = percentiles_ms(np.array(self.values_us), np.array([self.counts]), [percent])
        return float(found[0, 0])


def record(seconds: Iterable[float]) -> Counts:
    """The histogram of some times; below 1 µs counts as 1 µs, above an hour as an hour."""
    bucket = _buckets().get_highest_equivalent_value
    found = Counter(bucket(min(max(round(one * 1e6), 1), LONGEST_US)) for one in seconds)
    values = sorted(found)
    return Counts(tuple(values), tuple(found[value] for value in values))


@cache
def _buckets() -> Any:
    from hdrh.histogram import HdrHistogram

    return HdrHistogram(1, LONGEST_US, DIGITS)


def matrix(rounds: Sequence[Counts]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bucket values over all rounds, shape (n_buckets,), and counts, shape (n_rounds, n_buckets)."""
    values = np.array(sorted({value for one in rounds for value in one.values_us}), dtype=np.int64)
    counts = np.zeros((len(rounds), len(values)), dtype=np.int64)
    for row, one in zip(counts, rounds, strict=True):
        row[np.searchsorted(values, one.values_us)] = one.counts
    return values, counts


def percentiles_ms(
    values_us: NDArray[np.int64], counts: NDArray[np.int64], percents: Sequence[float]
) -> NDArray[np.float64]:
    """Percentiles in ms of every row of `counts`, by nearest rank; shape (n_percents, n_rows)."""
    cumulated = counts.cumsum(axis=1)
    found = np.empty((len(percents), len(counts)))
    for row, percent in zip(found, percents, strict=True):
        rank = np.maximum(np.ceil(cumulated[:, -1:] * percent / 100.0 - 1e-9), 1)
        row[:] = values_us[(cumulated >= rank).argmax(axis=1)] / 1000.0
    return found


def merged(rounds: Sequence[Counts]) -> Counts:
    """All rounds as one."""
    values, counts = matrix(rounds)
    return Counts(tuple(values.tolist()), tuple(counts.sum(axis=0).tolist()))
