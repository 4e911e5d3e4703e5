"""Adjusting the p values of one family of tests, so that many questions do not find something by chance.

Holm bounds the probability of any false finding; Benjamini and Hochberg the expected share of false ones
among the findings. Sources: Holm, "A simple sequentially rejective multiple test procedure", 1979;
Benjamini and Hochberg, "Controlling the false discovery rate", 1995.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import stats

from ranking.errors import InputError

METHODS: Final = ("bh", "holm", "none")


def adjust(p: Sequence[float | None], method: str = "bh") -> list[float | None]:
    """The adjusted p values in their order; None stays, and counts as no test.

    Raises:
        InputError: no such method.
    """
    if method not in METHODS:
        raise InputError(f"there is no adjustment {method!r}", hint=f"there are {', '.join(METHODS)}")
    tested = [i for i, one in enumerate(p) if one is not None]
    if method == "none" or not tested:
        return list(p)
    raw = np.array([p[i] for i in tested], dtype=np.float64)
    done = stats.false_discovery_control(raw, method="bh") if method == "bh" else _holm(raw)
    found: list[float | None] = [None] * len(p)
    for i, one in zip(tested, done, strict=True):
        found[i] = float(one)
    return found


def _holm(p: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    done = np.empty(len(p))
    done[order] = np.minimum(stepped, 1.0)
    return [float(one) for one in done]
