"""Before and after, as histograms over the whole log: image score, age, score differences, rank moves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.clock import DAY_MS
from replay.compare import Comparison
from replay.engine import Ranking
from replay.log import CaptureLog

F64 = NDArray[np.float64]
_AGES = (0.0, 1.0, 2.0, 4.0, 7.0, 14.0, 30.0, 60.0, 90.0)  # days; the last bin is open
_BINS = 20


def distributions(log: CaptureLog, pair: Comparison) -> list[dict[str, Any]]:
    """Histograms of the first k, each with its n and quartiles; empty ones are left out."""
    sides = (pair.baseline, pair.contender)
    shown = [first_k(side, pair.k) for side in sides]
    images = [log.docs.image_score[one].astype(np.float64) for one in shown]
    ages = [age_days(log, side)[one] for side, one in zip(sides, shown, strict=True)]
    change = (pair.contender.scores.astype(np.float64) - pair.baseline.scores)[shown[1]]
    found = [
        {
            "name": "image score",
            "unit": "",
            "what": f"items of the first {pair.k}",
            **_histogram(images, np.linspace(0.0, 1.0, _BINS + 1)),
            "absent": [int(np.isnan(values).sum()) for values in images],
            "absent_name": "unscored",
        },
        {
            "name": "age",
            "unit": "days",
            "what": f"items of the first {pair.k}, at each side's clock",
            **_histogram(ages, np.array([*_AGES, np.inf])),
            "absent": [int(np.isnan(values).sum()) for values in ages],
            "absent_name": "undated",
        },
        {
            "name": "score difference",
            "unit": "points",
            "what": f"contender's score less baseline's, items of the contender's first {pair.k}",
            **_one_histogram(change[~np.isnan(change)]),
            "absent": [int(np.isnan(change).sum())],
            "absent_name": "unknown",
        },
    ]
    return [one for one in found if one["n"][-1]]


def moves(pair: Comparison) -> dict[str, Any]:
    """How far the contender's first k come from: places gained, by how many items; `new` were below k."""
    ranks, before = pair.contender.ranks, pair.baseline.ranks
    on_page = first_k(pair.contender, pair.k)
    kept = on_page & first_k(pair.baseline, pair.k)
    places = np.bincount(before[kept] - ranks[kept] + pair.k - 1, minlength=2 * pair.k - 1)
    return {"places": places.tolist(), "new": int((on_page & ~kept).sum())}


def first_k(side: Ranking, k: int) -> NDArray[np.bool_]:
    """Which candidates are on a first page, (n_candidates,)."""
    shown: NDArray[np.bool_] = (side.ranks >= 1) & (side.ranks <= k)
    return shown


def age_days(log: CaptureLog, side: Ranking) -> F64:
    """Age of every candidate at the side's clock, (n_candidates,); NaN where undated."""
    now_ms = log.searches["now_ms"].astype(np.int64)[log.owner] + side.clock_shift_ms
    age: F64 = (now_ms - log.docs.created_ms) / DAY_MS
    return age


def _histogram(sides: list[F64], edges: F64) -> dict[str, Any]:
    known = [values[~np.isnan(values)] for values in sides]
    counts = [np.histogram(np.clip(values, edges[0], None), edges)[0].tolist() for values in known]
    return {
        "edges": [float(edge) if np.isfinite(edge) else None for edge in edges],
        "counts": counts,
        "n": [len(values) for values in known],
        "quartiles": [_quartiles(values) for values in known],
    }


def _one_histogram(values: F64) -> dict[str, Any]:
    """One series; the outermost bins hold what lies beyond the 1st and the 99th percentile."""
    if not len(values):
        return {"edges": [], "counts": [[]], "n": [0], "quartiles": [None]}
    low, high = np.quantile(values, [0.01, 0.99])
    low, high = min(0.0, float(low)), max(0.0, float(high))
    if low == high:
        high = 1.0
    edges = np.linspace(low, high, _BINS + 1)
    counts = np.histogram(np.clip(values, low, high), edges)[0]
    return {
        "edges": edges.tolist(),
        "counts": [counts.tolist()],
        "n": [len(values)],
        "quartiles": [_quartiles(values)],
    }


def _quartiles(values: F64) -> list[float] | None:
    return [float(q) for q in np.quantile(values, [0.25, 0.5, 0.75])] if len(values) else None
