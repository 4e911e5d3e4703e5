"""Times as a High Dynamic Range histogram: percentiles at any size, with a stated error.

Three significant digits from 1 µs to one hour: a percentile is within 0.1 % of the value that was recorded
there. `Counts` is what is left of it in a file: bucket values and how many, which add up over rounds.

Source: Gil Tene's HdrHistogram, in its Python port (package `hdrhistogram`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
        found = percentiles_ms(np.array(self.values_us), np.array([self.counts]), percent)
        return float(found[0])


def record(seconds: Iterable[float]) -> Counts:
    """The histogram of some times; below 1 µs counts as 1 µs, above an hour as an hour."""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram(1, LONGEST_US, DIGITS)
    for one in seconds:
        histogram.record_value(min(max(round(one * 1e6), 1), LONGEST_US))
    found = [
        (step.value_iterated_to, step.count_added_in_this_iter_step)
        for step in histogram.get_recorded_iterator()
    ]
    return Counts(tuple(value for value, _ in found), tuple(count for _, count in found))


def matrix(rounds: Sequence[Counts]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bucket values over all rounds, shape (n_buckets,), and counts, shape (n_rounds, n_buckets)."""
    values = np.array(sorted({value for one in rounds for value in one.values_us}), dtype=np.int64)
    counts = np.zeros((len(rounds), len(values)), dtype=np.int64)
    for row, one in zip(counts, rounds, strict=True):
        row[np.searchsorted(values, one.values_us)] = one.counts
    return values, counts


def percentiles_ms(
    values_us: NDArray[np.int64], counts: NDArray[np.int64], percent: float
) -> NDArray[np.float64]:
    """One percentile in ms of every row of `counts`, shape (n_rows,): the nearest-rank definition."""
    cumulated = counts.cumsum(axis=1)
    rank = np.maximum(np.ceil(cumulated[:, -1:] * percent / 100.0 - 1e-9), 1)
    return np.asarray(values_us[(cumulated >= rank).argmax(axis=1)] / 1000.0)


def merged(rounds: Sequence[Counts]) -> Counts:
    """All rounds as one."""
    values, counts = matrix(rounds)
    return Counts(tuple(values.tolist()), tuple(counts.sum(axis=0).tolist()))
