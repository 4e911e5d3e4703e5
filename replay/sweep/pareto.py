"""The Pareto front: candidates that no other beats in one measure without losing in the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def front(x: F64, y: F64) -> NDArray[np.bool_]:
    """Which points no other dominates, (n,); higher is better in both, and a NaN is never on the front.

    A point is dominated by one that is at least as good in both and better in one.
    """
    on = np.zeros(len(x), dtype=bool)
    best = -np.inf
    order = np.lexsort((-y, -x))
    i = 0
    defined = ~(np.isnan(x) | np.isnan(y))
    order = order[defined[order]]
    while i < len(order):
        same = i
        while same < len(order) and x[order[same]] == x[order[i]]:
            same += 1
        highest = y[order[i]]
        if highest > best:
            on[[p for p in order[i:same] if y[p] == highest]] = True
            best = highest
        i = same
    return on
