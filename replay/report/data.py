"""The report's data: one JSON object with the figures of the log, and the searches that the page shows.

The page computes rankings itself, from relevance, image score and creation time of the carried candidates;
`pages` holds what the replay found, and the page checks itself against them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.profile import Profile
from replay.checks import Check
from replay.compare import ALL, Comparison, Measure, clustered_interval
from replay.engine import Ranking
from replay.judgments import Judgments
from replay.live import LiveParity
from replay.log import CaptureLog
from replay.parity import Parity
from replay.report import carried
from replay.report.cards import ItemCard
from replay.report.columns import NONE, pack
from replay.report.distributions import distributions, moves
from replay.report.formulas import curve, formula
from replay.report.segments import Dimension, dimensions, segment_order
from replay.report.selection import Limits, Selection, select
from replay.report.words import date_range, platform_order, profile_label, side_label, verdict

SCHEMA = 2


def assemble(
    log: CaptureLog,
    comparisons: Sequence[Comparison],
    parity: Parity,
    *,
    live: LiveParity | None,
    judgments: Judgments | None,
    items: Mapping[str, ItemCard],
    simulated_clicks: bool,
    limits: Limits,
    title: str,
    currency: str,
    checks: Sequence[Check] | None = None,
) -> dict[str, Any]:
    """Everything the page shows, ready for JSON (`to_json` turns NaN into null)."""
    main = comparisons[0]
    chosen = select(log, comparisons, limits)
    cuts = dimensions(log, comparisons)
    now_ms = log.searches["now_ms"].astype(np.int64)
    first_ms, last_ms = int(now_ms.min()), int(now_ms.max())
    platforms = sorted((value for value, _ in log.groups("platform")), key=platform_order)
    rows, photos, n_unreadable, place = carried.items(log, chosen, items)
    profiles = carried.resolved_profiles(comparisons, platforms)
    return {
        "schema": SCHEMA,
        "title": title,
        "currency": currency,
        "index": sorted(set(log.searches["index"])),
        "k": main.k,
        "n_searches": len(log),
        "n_listed": len(chosen.searches),
        "n_detailed": int(chosen.detailed.sum()),
        "n_queries": len(set(log.searches["query"])),
        "n_candidates": log.n_candidates,
        "first_ms": first_ms,
        "last_ms": last_ms,
        "dates": date_range(first_ms, last_ms),
        "platforms": platforms,
        "dimensions": {one.name: list(one.values) for one in cuts},
        "simulated_clicks": simulated_clicks,
        "simulated_judgments": judgments is not None and judgments.simulated,
        "judgment_sources": [] if judgments is None else list(judgments.sources),
        "checks": None if checks is None else [check.as_dict() for check in checks],
        "parity": parity.as_dict(),
        "live": None if live is None else live.as_dict(),
        "comparisons": [_comparison(log, chosen, pair, platforms, cuts) for pair in comparisons],
        "served": {key: profile_label(profile) for key, profile in log.profiles.items()},
        "searches": carried.searches(log, chosen, cuts, judgments, main.k),
        "candidates": carried.candidates(log, chosen, place, judgments, profiles),
        "items": rows,
        "photos": photos,
        "n_unreadable_photos": n_unreadable,
    }


def to_json(data: Any) -> str:
    """JSON that may stand inside a `<script>`: ASCII, and no `<`, `>` or `&`; NaN becomes null."""
    text = json.dumps(_finite(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def profile_rows(baseline: Profile, contender: Profile) -> list[list[Any]]:
    """The parameters of two profiles side by side: name, baseline, contender, whether they differ."""
    one, two = (
        _flat(side.model_dump(mode="json", exclude={"name", "description"}, exclude_none=True))
        for side in (baseline, contender)
    )
    return [
        [key, one.get(key, "–"), two.get(key, "–"), one.get(key) != two.get(key)]
        for key in dict.fromkeys([*one, *two])
    ]


def proven_searches(log: CaptureLog, pair: Comparison) -> NDArray[np.bool_]:
    """Which searches are proven down to k, or to their last candidate, under both sides, (n_searches,)."""
    need = np.minimum(pair.k, np.diff(log.offsets))
    proven: NDArray[np.bool_] = (pair.baseline.exact_k >= need) & (pair.contender.exact_k >= need)
    return proven


def _comparison(
    log: CaptureLog,
    chosen: Selection,
    pair: Comparison,
    platforms: Sequence[str | None],
    cuts: Sequence[Dimension],
) -> dict[str, Any]:
    low, high, _ = clustered_interval(pair.entered, log.searches["query"])
    fresh = pair.baseline.profile.freshness or pair.contender.profile.freshness
    proven = proven_searches(log, pair)
    at = chosen.searches
    return {
        "k": pair.k,
        "verdict": verdict(pair),
        "baseline": _side(pair.baseline, log, chosen, pair.k, platforms),
        "contender": _side(pair.contender, log, chosen, pair.k, platforms),
        "measures": [_measure(pair, one, proven, cuts, at) for one in pair.measures],
        "entered": {
            "mean": float(pair.entered.mean()),
            "low": low,
            "high": high,
            "n": len(log),
            "values": pack(pair.entered[at], np.uint16),
        },
        "agreements": [asdict(row) for row in pair.agreements if row.dimension == ALL],
        "test": pair.test,
        "adjustment": pair.adjustment,
        "moves": moves(pair),
        "distributions": distributions(log, pair),
        "proven": int(proven.sum()),
        "curve": None if fresh is None else curve(fresh),
        "profiles": profile_rows(pair.baseline.profile, pair.contender.profile),
    }


def _measure(
    pair: Comparison,
    measure: Measure,
    proven: NDArray[np.bool_],
    cuts: Sequence[Dimension],
    at: NDArray[np.int64],
) -> dict[str, Any]:
    """A measure's rows, each with how many of its searches are proven, and its values of the listed ones."""
    defined = ~(np.isnan(measure.baseline) | np.isnan(measure.contender))
    by_name = {one.name: one for one in cuts}
    rows = []
    for row in pair.differences:
        if row.measure != measure.name:
            continue
        members: NDArray[np.bool_] | None = np.ones(len(proven), dtype=bool)
        if row.dimension != ALL:
            cut = by_name.get(row.dimension)
            members = cut.members(row.segment) if cut and row.segment in cut.values else None
        exact = None if members is None else int((proven & defined & members).sum())
        rows.append(asdict(row) | {"significant": row.significant, "n_exact": exact})
    rows.sort(key=lambda row: segment_order(row["dimension"], row["segment"]))
    return {
        "name": measure.name,
        "unit": measure.unit,
        "better": measure.better,
        "rows": rows,
        "before": pack(measure.baseline[at], np.float32),
        "after": pack(measure.contender[at], np.float32),
    }


def _side(
    ranking: Ranking, log: CaptureLog, chosen: Selection, k: int, platforms: Sequence[str | None]
) -> dict[str, Any]:
    profile = ranking.profile
    pages = carried.first_pages(ranking, log, chosen, k)
    return {
        "name": profile.name,
        "label": side_label(ranking),
        "summary": profile.summary,
        "hash": profile.hash,
        "clock_shift_ms": ranking.clock_shift_ms,
        "formula": {platform or "": formula(profile.for_platform(platform)) for platform in platforms},
        "exact_k": pack(ranking.exact_k[chosen.searches], np.uint32),
        "pages": pack(np.where(pages < 0, NONE, pages).reshape(-1), np.uint16),
    }


def _flat(data: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(data, dict):
        return {
            key: value
            for name, part in data.items()
            for key, value in _flat(part, f"{prefix}.{name}" if prefix else str(name)).items()
        }
    if isinstance(data, list):
        return {prefix: ", ".join(str(value) for value in data) or "all"}
    return {
        prefix: "none"
        if data is None or data == {}
        else f"{data:g}"
        if isinstance(data, float)
        else str(data)
    }


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if isinstance(data, float | np.floating):
        return float(data) if math.isfinite(data) else None
    return data
