"""Which segment each search belongs to, by dimension, so that a figure leads to the searches behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replay.compare import ALL, Comparison
from replay.log import CaptureLog
from replay.report.words import platform_order
from replay.significance import DIMENSIONS, segments

_FREQUENCY = ("head", "torso", "tail")


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way to cut a log."""

    name: str  # "platform", "category" or "frequency"
    values: tuple[str, ...]  # segments, in the order they are shown
    of: NDArray[np.object_]  # (n_searches,): the segment of each search; None for none

    def members(self, segment: str) -> NDArray[np.bool_]:
        """Which searches are in a segment, (n_searches,)."""
        found: NDArray[np.bool_] = self.of == segment
        return found


def dimensions(log: CaptureLog, comparisons: Sequence[Comparison]) -> list[Dimension]:
    """The dimensions a report can be filtered by: platform, and those that a comparison has figures for.

    A dimension with fewer than two segments cuts nothing and is left out.
    """
    measured = {row.dimension for pair in comparisons for row in pair.differences} | {"platform"}
    asked = [name for name in DIMENSIONS if name in measured]
    of: dict[str, NDArray[np.object_]] = {name: np.full(len(log), None, dtype=object) for name in asked}
    for segment in segments(log, asked):
        if segment.dimension != ALL:
            of[segment.dimension][segment.searches] = segment.name
    found = [Dimension(name, _in_order(name, column), column) for name, column in of.items()]
    return [one for one in found if len(one.values) > 1]


def segment_order(dimension: str, segment: str) -> tuple[int, str]:
    """A sort key: all first, then platforms in their order, head before tail, categories by name."""
    if segment == ALL:
        return -1, ""
    if dimension == "frequency" and segment in _FREQUENCY:
        return _FREQUENCY.index(segment), ""
    return platform_order(segment)


def _in_order(name: str, column: NDArray[np.object_]) -> tuple[str, ...]:
    present = {str(value) for value in column if value is not None}
    return tuple(sorted(present, key=lambda segment: segment_order(name, segment)))
