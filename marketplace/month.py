"""A month of captured searches, all of it simulated, to try a monitor on. No engine is needed.

Items, relevance, buyers, clicks and purchases are drawn; scores and pages are what the formula gives, so that
parity holds. Four things happen, and a monitor should find the last three:

    day 1        everybody is served by `control`
    `launch`     half of the users are served by `additive`, and its searches take longer
    `silence`    every second new item is no longer scored
    `breakdown`  a synonym file is lost: one search in four finds nothing
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketplace.buyers import Search, simulate_clicks
from marketplace.market import PLATFORM_SHARE
from marketplace.queries import Intent, Query
from ranking import fields
from ranking.capture import CapturedItem, CaptureRecord, Event, write_captures, write_events
from ranking.clock import DAY_MS
from ranking.formula import Candidates, final_scores, rank_order
from ranking.profile import Profile, builtin_profiles

N_ITEMS: Final = 1_500
MATCHES: Final = 80  # items that a query finds
WINDOW: Final = 50  # of these are captured
K: Final = 20
NO_RESULTS: Final = 0.03  # share of searches that find nothing; 0.25 after the breakdown
BUYS: Final = 0.12  # P(purchase | click)
_COLOURS: Final = ("red", "blue", "black", "white", "green", "grey", "pink", "beige")
_CLASSES: Final = ("dress", "shirt", "skirt", "coat", "shoes")
_QUERIES: Final = tuple(  # the first are asked most
    Query(query_id=str(i), text=f"{colour} {kind}", intent=Intent(category=kind, colour=colour), weight=1.0)
    for i, (kind, colour) in enumerate((kind, colour) for colour in _COLOURS for kind in _CLASSES)
)
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What happens, in days from the first."""

    last_ms: int  # end of the last day, epoch ms
    days: int = 30
    searches: int = 300  # on an ordinary day; a third less on Saturdays and Sundays
    launch: int = 12
    silence: int = 17
    breakdown: int = 27
    seed: int = 7


@dataclass(frozen=True, slots=True)
class _Stock:
    created_ms: F64
    image_score: NDArray[np.float32]  # before any silence
    quality: F64
    ai_prob: NDArray[np.float32]
    price: F64
    found: NDArray[np.int64]  # (n_queries, MATCHES): items that a query finds
    rel: NDArray[np.float32]  # (n_queries, MATCHES)
    grade: NDArray[np.int64]  # (n_queries, MATCHES)


def simulate_month(folder: Path, month: Month, advance: Callable[[int], object] = lambda _n: None) -> int:
    """Write captures and events of a month; how many searches.

    Args:
        folder: made where missing.
        month: what happens.
        advance: told 1 after each day.
    """
    rng = np.random.default_rng(month.seed)
    stock = _stock(month, rng)
    profiles = builtin_profiles()
    resolved = {
        (name, platform): profiles[name].for_platform(platform)
        for name in ("control", "additive")
        for platform in fields.PLATFORMS
    }
    n_users, n = max(10, month.searches), 0
    platform_of = rng.choice(len(fields.PLATFORMS), size=n_users, p=PLATFORM_SHARE)
    for day in range(month.days):
        records, events = [], []
        for visit in _visits(month, day, n_users, platform_of, rng):
            name = "additive" if day >= month.launch and _in_test(visit.user_id) else "control"
            record = _serve(visit, stock, resolved[name, visit.platform], month=month, day=day, rng=rng)
            records.append(record)
            events += _react(visit, record, stock, rng)
        write_captures(folder, records, resolved.values())
        write_events(folder, events)
        n += len(records)
        advance(1)
    return n


def _stock(month: Month, rng: np.random.Generator) -> _Stock:
    first_ms = month.last_ms - month.days * DAY_MS
    listed = rng.uniform(first_ms - 60 * DAY_MS, month.last_ms, N_ITEMS)
    quality = rng.beta(3, 3, N_ITEMS)
    score = np.clip(quality + rng.normal(0, 0.08, N_ITEMS), 0, 1).astype(np.float32)
    found = np.stack([rng.choice(N_ITEMS, MATCHES, replace=False) for _ in range(len(_QUERIES))])
    grade = rng.choice(5, p=(0.2, 0.3, 0.25, 0.15, 0.1), size=found.shape)
    rel = (4 + 1.2 * grade + rng.gamma(2.0, 1.0, found.shape)).astype(np.float32)
    ai_prob = np.where(rng.random(N_ITEMS) < 0.04, 0.9, 0.02).astype(np.float32)
    price = np.round(rng.lognormal(7, 0.6, N_ITEMS), -1)
    return _Stock(np.floor(listed), score, quality, ai_prob, price, found, rel, grade)


def _visits(
    month: Month, day: int, n_users: int, platform_of: NDArray[np.int64], rng: np.random.Generator
) -> Iterator[Search]:
    start_ms = month.last_ms - (month.days - day) * DAY_MS
    weekday = (start_ms // DAY_MS + 3) % 7  # the epoch began on a Thursday; Monday is 0
    n = round(month.searches * (2 / 3 if weekday >= 5 else 1))
    for i, at in enumerate(np.sort(rng.integers(0, DAY_MS - 60_000, n))):
        user = int(rng.integers(n_users))
        yield Search(
            search_id=f"m{month.seed}-{day:03d}-{i:05d}",
            query=_QUERIES[int(len(_QUERIES) * rng.random() ** 2)],
            platform=fields.PLATFORMS[int(platform_of[user])],
            user_id=f"u{user:05d}",
            session_id=f"v{day:03d}-{user:05d}",
            now_ms=int(start_ms + at),
        )


def _serve(
    visit: Search, stock: _Stock, profile: Profile, *, month: Month, day: int, rng: np.random.Generator
) -> CaptureRecord:
    """A page as the formula ranks it, with the most relevant of the rest."""
    lost = rng.random() < (0.25 if day >= month.breakdown else NO_RESULTS)
    query = int(visit.query.query_id)
    listed = stock.created_ms[stock.found[query]] <= visit.now_ms
    items = stock.found[query][listed & (not lost)]
    rel = stock.rel[query][listed & (not lost)]
    silence_ms = month.last_ms - (month.days - month.silence) * DAY_MS
    unscored = (stock.created_ms[items] >= silence_ms) & (items % 2 == 0)
    image = np.where(unscored, np.nan, stock.image_score[items])
    docs = Candidates(rel, image.astype(np.float32), stock.created_ms[items], stock.ai_prob[items])
    scores = final_scores(profile, docs, visit.now_ms)
    ids = np.array([f"i{item:05d}" for item in items], dtype=np.str_)
    order = rank_order(scores, ids)
    window = rank_order(rel, ids)[:WINDOW]
    kept = [*order[:K], *window[~np.isin(window, order[:K])]]
    slow = 1.35 if profile.image.mode != "none" else 1.0
    return CaptureRecord(
        search_id=visit.search_id,
        query=visit.query.text,
        now_ms=visit.now_ms,
        index="simulated",
        profile=profile.name,
        profile_hash=profile.hash,
        k=K,
        total_hits=len(items),
        window=WINDOW,
        rel_floor=float(rel[window[-1]]) if len(items) > WINDOW else None,
        items=tuple(
            CapturedItem(
                item_id=str(ids[at]),
                rel=float(rel[at]),
                rank=place if place <= K else None,
                score=float(scores[at]) if place <= K else None,
                image_score=None if np.isnan(image[at]) else float(np.float32(image[at])),
                created_ms=int(stock.created_ms[items[at]]),
                price=float(stock.price[items[at]]),
                ai_prob=float(stock.ai_prob[items[at]]),
            )
            for place, at in enumerate(kept, start=1)
        ),
        platform=visit.platform,
        user_id=visit.user_id,
        session_id=visit.session_id,
        took_ms=int(3 + slow * rng.gamma(4.0, 2.5)),
    )


def _react(visit: Search, record: CaptureRecord, stock: _Stock, rng: np.random.Generator) -> list[Event]:
    """Clicks of a position-based buyer, and purchases, of which some come a day or two later."""
    shown = [item.item_id for item in record.items if item.rank is not None]
    query = int(visit.query.query_id)
    found = {f"i{item:05d}": j for j, item in enumerate(stock.found[query])}
    grades = {item_id: int(stock.grade[query, found[item_id]]) for item_id in shown}
    qualities = {item_id: float(stock.quality[int(item_id[1:])]) for item_id in shown}
    events = []
    for click in simulate_clicks(visit, shown, grades, rng, qualities=qualities):
        events.append(_event(click.search_id, click.item_id, "click", click.rank, click.at_ms))
        if rng.random() < BUYS:
            later_ms = int(rng.exponential(0.4) * DAY_MS)
            events.append(
                _event(click.search_id, click.item_id, "purchase", click.rank, click.at_ms + later_ms)
            )
    return events


def _event(search_id: str, item_id: str, action: str, rank: int, at_ms: int) -> Event:
    return Event(search_id, item_id, action, rank, at_ms, simulated=True)


def _in_test(user_id: str) -> bool:
    return hashlib.sha256(user_id.encode()).digest()[0] < 128


__all__ = ["Month", "simulate_month"]
