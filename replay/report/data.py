"""The report's data: one JSON object with the figures, the shown searches and what ranks them again.

The page computes rankings itself, from `rel`, `image_score` and `created_ms` of every candidate of a shown
search; `expected` holds the rankings that the replay found, and the page checks itself against them.
Items are sorted by `item_id`, so that the order of their places is the order that breaks ties.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.formula import score_parts
from ranking.profile import Profile
from replay.compare import Comparison, clustered_interval
from replay.engine import Ranking
from replay.judgments import Judgments
from replay.live import LiveParity
from replay.log import CaptureLog
from replay.parity import Parity
from replay.report.cards import ItemCard
from replay.report.selection import choose_searches, items_to_show, pages, rank_again, subset
from replay.report.thumbnails import thumbnails
from replay.report.words import date_range, platform_order, profile_label, side_label, verdict

SCHEMA = 1
_NO_CARD = ItemCard()


def assemble(
    log: CaptureLog,
    comparisons: Sequence[Comparison],
    parity: Parity,
    *,
    live: LiveParity | None,
    judgments: Judgments | None,
    items: Mapping[str, ItemCard],
    simulated_clicks: bool,
    max_searches: int,
    max_photos: int,
    title: str,
    currency: str,
) -> dict[str, Any]:
    """Everything the page shows, ready for JSON (`to_json` turns NaN into null)."""
    main = comparisons[0]
    searches = choose_searches(log, main, max_searches)
    shown = subset(log, searches)
    again = rank_again(shown, comparisons)
    tops = pages(shown, again.values(), main.k)
    visible = items_to_show(shown, tops, main.contender.profile, main.k, max_photos)
    now_ms = log.searches["now_ms"].astype(np.int64)
    first_ms, last_ms = int(now_ms.min()), int(now_ms.max())
    platforms = sorted((value for value, _ in log.groups("platform")), key=platform_order)
    return {
        "schema": SCHEMA,
        "title": title,
        "currency": currency,
        "index": sorted(set(log.searches["index"])),
        "k": main.k,
        "n_searches": len(log),
        "n_shown": len(shown),
        "n_candidates": log.n_candidates,
        "first_ms": first_ms,
        "last_ms": last_ms,
        "dates": date_range(first_ms, last_ms),
        "platforms": platforms,
        "simulated_clicks": simulated_clicks,
        "simulated_judgments": judgments is not None and judgments.simulated,
        "judgment_sources": [] if judgments is None else list(judgments.sources),
        "parity": parity.as_dict(),
        "live": None if live is None else live.as_dict(),
        "comparisons": [_comparison(log, shown, pair, again, platforms) for pair in comparisons],
        "served": {key: profile_label(profile) for key, profile in log.profiles.items()},
        **_searches_and_items(
            shown,
            judgments,
            k=main.k,
            items=items,
            visible=visible,
            profiles=[side.profile for pair in comparisons for side in (pair.baseline, pair.contender)],
        ),
    }


def to_json(data: Any) -> str:
    """JSON that may stand inside a `<script>`: ASCII, and no `<`, `>` or `&`; NaN becomes null."""
    text = json.dumps(_finite(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def formula(profile: Profile) -> dict[str, Any]:
    """The constants that the page's formula needs, of a profile resolved for its platform."""
    fresh = profile.freshness
    nested = profile.execution == "function_score"

    def weight(value: float) -> float:
        return float(np.float32(value)) if nested else value

    return {
        "execution": profile.execution,
        "terms": profile.hash if needs_terms(profile) else None,
        "highest_image": profile.image.highest,
        "highest_factors": [weight(factor.highest) for factor in profile.factors],
        "mode": profile.image.mode,
        "weight": profile.image.weight,
        "missing": profile.image.missing,
        "freshness": None
        if fresh is None
        else {
            "curve": fresh.curve,
            "scale_ms": fresh.scale,
            "offset_ms": fresh.offset,
            "decay": fresh.decay,
            "ln_decay": math.log(fresh.decay),
            "undated": weight(fresh.missing),
        },
    }


def needs_terms(profile: Profile) -> bool:
    """Whether image term and factors are computed here: the page itself knows plain image scores only."""
    return not profile.image.is_plain or bool(profile.factors)


def _terms(log: CaptureLog, i: int, profiles: Iterable[Profile]) -> dict[str, Any]:
    """Image term and factors of search i's candidates, for each resolved profile that needs them."""
    docs, now_ms = log.docs[np.arange(*log.span(i).indices(log.n_candidates))], int(log.searches["now_ms"][i])
    found = {}
    for profile in {profile.hash: profile for profile in profiles if needs_terms(profile)}.values():
        parts = score_parts(profile, docs, now_ms)
        found[profile.hash] = {
            "image": parts.image.tolist(),
            "factors": [factor.tolist() for factor in parts.factors],
        }
    return found


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


def _comparison(
    log: CaptureLog,
    shown: CaptureLog,
    pair: Comparison,
    again: Mapping[int, Ranking],
    platforms: Sequence[str | None],
) -> dict[str, Any]:
    low, high, _ = clustered_interval(pair.entered, log.searches["query"])
    curve = pair.baseline.profile.freshness or pair.contender.profile.freshness
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in pair.differences:
        by_name.setdefault(row.measure, []).append(asdict(row) | {"significant": row.significant})
    for rows in by_name.values():
        rows.sort(key=lambda row: platform_order(row["segment"]))
    return {
        "k": pair.k,
        "verdict": verdict(pair),
        "baseline": _side(pair.baseline, platforms),
        "contender": _side(pair.contender, platforms),
        "measures": [
            {"name": one.name, "unit": one.unit, "better": one.better, "rows": by_name.get(one.name, [])}
            for one in pair.measures
        ],
        "entered": {"mean": float(pair.entered.mean()), "low": low, "high": high},
        "moves": _moves(pair),
        "proven": pair.proven,
        "curve": None
        if curve is None
        else formula(pair.baseline.profile.model_copy(update={"freshness": curve}))["freshness"],
        "profiles": profile_rows(pair.baseline.profile, pair.contender.profile),
        "expected": {
            side: [_places(shown, again[id(getattr(pair, side))], i, pair.k) for i in range(len(shown))]
            for side in ("baseline", "contender")
        },
    }


def _side(ranking: Ranking, platforms: Sequence[str | None]) -> dict[str, Any]:
    profile = ranking.profile
    return {
        "name": profile.name,
        "label": side_label(ranking),
        "summary": profile.summary,
        "hash": profile.hash,
        "clock_shift_ms": ranking.clock_shift_ms,
        "formula": {platform or "": formula(profile.for_platform(platform)) for platform in platforms},
    }


def _moves(pair: Comparison) -> dict[str, Any]:
    """How far the contender's first k come from: places gained, by how many items; `new` were below k."""
    ranks, before = pair.contender.ranks, pair.baseline.ranks
    on_page = (ranks >= 1) & (ranks <= pair.k)
    kept = on_page & (before >= 1) & (before <= pair.k)
    places = np.bincount(before[kept] - ranks[kept] + pair.k - 1, minlength=2 * pair.k - 1)
    return {"places": places.tolist(), "new": int((on_page & ~kept).sum())}


def _places(shown: CaptureLog, ranking: Ranking, i: int, k: int) -> list[int]:
    return [int(p) - shown.span(i).start for p in ranking.top(shown, i, k)]


def _searches_and_items(
    shown: CaptureLog,
    judgments: Judgments | None,
    *,
    k: int,
    items: Mapping[str, ItemCard],
    visible: Sequence[str],
    profiles: Sequence[Profile],
) -> dict[str, Any]:
    ids, place = np.unique(shown.item_id.astype(str), return_inverse=True)
    cards = {item_id: items.get(item_id, _NO_CARD) for item_id in visible}
    uris, at = thumbnails(card.photo for card in cards.values() if card.photo is not None)
    first = np.zeros(len(ids), dtype=np.int64)
    first[place[::-1]] = np.arange(len(place))[::-1]  # an item's first appearance
    rows = []
    for item_id, p in zip(ids, first, strict=True):
        card = cards.get(str(item_id), _NO_CARD)
        price = shown.price[p] if card.price is None else card.price
        photo = -1 if card.photo is None else at.get(card.photo, -1)
        rows.append([str(item_id), card.title, float(price), card.category or "", photo])
    grades = None if judgments is None else judgments.grades(shown)
    best = None if judgments is None else judgments.best(shown, k)
    return {
        "searches": [
            _search(shown, i, place, grades, best)
            | {"terms": _terms(shown, i, [p.for_platform(shown.searches["platform"][i]) for p in profiles])}
            for i in range(len(shown))
        ],
        "item_columns": ["item_id", "title", "price", "category", "photo"],
        "items": rows,
        "photos": uris,
        "n_unreadable_photos": len({c.photo for c in cards.values() if c.photo is not None} - at.keys()),
    }


def _search(
    shown: CaptureLog,
    i: int,
    place: NDArray[np.intp],
    grades: NDArray[np.float64] | None,
    best: NDArray[np.float64] | None,
) -> dict[str, Any]:
    span = shown.span(i)
    columns = shown.searches
    docs = shown.docs
    return {
        "search_id": str(columns["search_id"][i]),
        "query": str(columns["query"][i]),
        "platform": columns["platform"][i],
        "now_ms": int(columns["now_ms"][i]),
        "total_hits": int(columns["total_hits"][i]),
        "profile": str(columns["profile"][i]),
        "profile_hash": str(columns["profile_hash"][i]),
        "rel_floor": float(columns["rel_floor"][i]),
        "item": place[span].tolist(),
        "rel": _short(docs.rel[span]),
        "image_score": _short(docs.image_score[span]),
        "created_ms": [None if math.isnan(ms) else int(ms) for ms in docs.created_ms[span]],
        "served_rank": shown.rank[span].tolist(),
        "grade": None if grades is None else grades[span].tolist(),
        "ideal": None if best is None else (best[i] / np.log2(np.arange(2, best.shape[1] + 2))).sum(),
    }


def _short(values: NDArray[np.float32]) -> list[float]:
    """float32 values in the fewest digits that come back as the same float32."""
    short = [float(str(value)) for value in values]
    same = np.array(short, dtype=np.float32) == values
    return [one if ok else float(value) for one, ok, value in zip(short, same, values, strict=True)]


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
