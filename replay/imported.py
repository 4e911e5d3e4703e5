"""Imported searches: a log that does not say which formula served cannot be verified, which is no failure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replay.log import CaptureLog


def without_profile(log: CaptureLog) -> NDArray[np.bool_]:
    """Which searches were imported from a log that does not name their formula, (n_searches,)."""
    sources, hashes = log.searches["source"], log.searches["profile_hash"]
    return np.array([s is not None and not h for s, h in zip(sources, hashes, strict=True)], dtype=bool)


def shown_only(log: CaptureLog) -> NDArray[np.bool_]:
    """Which searches were imported with shown ids alone: no item has a relevance, (n_searches,)."""
    known = np.bincount(log.owner[~np.isnan(log.docs.rel)], minlength=len(log)) > 0
    imported = np.array([source is not None for source in log.searches["source"]], dtype=bool)
    bare: NDArray[np.bool_] = imported & ~known
    return bare
