"""A small world without a server: queries with fixed items, pages by the formula, simulated clicks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ranking.capture import CapturedItem, CaptureRecord, Event, write_captures, write_events
from ranking.clock import DAY_MS
from ranking.explain import candidates
from ranking.explore import Policy
from ranking.explorer import Explorer
from ranking.formula import final_scores, rank_order
from ranking.interleaver import Interleaver
from ranking.profile import Profile
from ranking.search import Page, Pair

NOW = 1_795_000_000_000
BASE = Profile.model_validate(
    {"name": "control", "image": {"mode": "none"}, "freshness": {"scale": "7d"}, "k": 6, "window": 20}
)
BOOSTED = Profile.model_validate(
    {
        "name": "boosted",
        "image": {"mode": "additive", "weight": 3.0},
        "freshness": {"scale": "7d"},
        "k": 6,
        "window": 20,
    }
)


@dataclass(frozen=True)
class World:
    """Items by query, and what attracts clicks."""

    items: dict[str, list[CapturedItem]]
    attract: dict[tuple[str, str], float]  # by query and item
    exam: np.ndarray

    def pair(self, profile: Profile, text: str, now_ms: int, size: int) -> Pair:
        everything = self.items[text]
        scores = final_scores(profile, candidates(everything), now_ms)
        order = rank_order(scores, [item.item_id for item in everything])
        page = [replace(everything[p], rank=r, score=float(scores[p])) for r, p in enumerate(order[:size], 1)]
        on_page = {item.item_id for item in page}
        rest = [item for item in everything if item.item_id not in on_page]
        return Pair(Page(tuple(page), len(everything), 1), tuple(rest), None, 1)


def a_world(*, n_queries: int = 12, n_items: int = 12, depth: int = 12, seed: int = 5) -> World:
    rng = np.random.default_rng(seed)
    items, attract = {}, {}
    for q in range(n_queries):
        quality = rng.random(n_items)
        items[f"query {q}"] = [
            CapturedItem(
                item_id=f"q{q:02d}-i{j:02d}",
                rel=float(np.float32(4 + rng.gamma(2))),
                image_score=float(np.float32(quality[j])),
                created_ms=int(NOW - rng.exponential(10 * DAY_MS)),
            )
            for j in range(n_items)
        ]
        for j, item in enumerate(items[f"query {q}"]):
            attract[f"query {q}", item.item_id] = float(0.1 + 0.5 * quality[j])
    return World(items, attract, np.arange(1, depth + 1) ** -0.7)


class FakeExplorer(Explorer):
    """An explorer whose pages come from the world."""

    def __init__(self, world: World, profile: Profile, policy: Policy) -> None:
        super().__init__(None, "items", profile, policy)  # type: ignore[arg-type]
        self.world = world

    def page_and_window(
        self, text: str, *, now_ms: int, platform: Any = None, size: int | None = None, filters: Any = None
    ) -> Pair:
        return self.world.pair(self.profile, text, now_ms, self.policy.pool(self.profile.k))


class FakeInterleaver(Interleaver):
    """An interleaver whose pages come from the world."""

    def __init__(self, world: World, profiles: list[Profile], **options: Any) -> None:
        super().__init__(None, "items", profiles, **options)  # type: ignore[arg-type]
        self.world = world

    def _ask(
        self, profiles: Any, text: str, now_ms: int, size: int, filters: Mapping[str, Any] | None
    ) -> tuple[list[Page], Page, int]:
        pages = [self.world.pair(p, text, now_ms, size).page for p in profiles]
        by_rel = sorted(self.world.items[text], key=lambda item: (-item.rel, item.item_id))
        return pages, Page(tuple(by_rel), len(by_rel), 1), 1


def plain(record_of: Explorer, *args: Any, **kwargs: Any) -> CaptureRecord:
    """The record with no exploration in it."""
    record = record_of.capture(*args, **kwargs)
    k = record.k
    items = sorted(record.items, key=lambda item: item.extras.get("formula_rank", 1e9))
    return replace(
        record,
        items=tuple(
            replace(item, extras={}, rank=r if r <= k else None, score=item.score if r <= k else None)
            for r, item in enumerate(items, 1)
        ),
    )


def visits(n: int, n_queries: int, seed: int, *, n_users: int = 150) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "text": f"query {rng.integers(n_queries)}",
            "now_ms": int(NOW + rng.integers(0, 20 * DAY_MS)),
            "platform": ["web", "ios"][int(rng.integers(2))],
            "user_id": f"user {rng.integers(n_users)}",
            "search_id": f"s{seed}-{i:05d}",
        }
        for i in range(n)
    ]


def clicks_on(world: World, records: list[CaptureRecord], seed: int) -> list[Event]:
    rng = np.random.default_rng([seed, 1])
    events = []
    for record in records:
        for item in record.items:
            if item.rank is None:
                continue
            p = world.exam[item.rank - 1] * world.attract[record.query, item.item_id]
            if rng.random() < p:
                at = record.now_ms + 1000 * item.rank
                events.append(Event(record.search_id, item.item_id, "click", item.rank, at, simulated=True))
    return events


def explored(folder: Path, policy: Policy, *, n: int = 2000, seed: int = 1, profile: Profile = BASE) -> World:
    """A capture folder of explored pages with simulated clicks."""
    world = a_world()
    explorer = FakeExplorer(world, profile, policy)
    records = [explorer.capture(**visit) for visit in visits(n, len(world.items), seed)]
    write_captures(folder, records, [profile])
    write_events(folder, clicks_on(world, records, seed))
    return world


def interleaved(folder: Path, *, method: Any = "team-draft", n: int = 1000, seed: int = 2) -> World:
    """A capture folder of interleaved pages with simulated clicks."""
    world = a_world()
    serving = FakeInterleaver(world, [BASE, BOOSTED], method=method)
    records = [serving.capture(**visit) for visit in visits(n, len(world.items), seed)]
    write_captures(folder, records, [BASE, BOOSTED])
    write_events(folder, clicks_on(world, records, seed))
    return world


def by_arms(
    folder: Path, *, n: int = 2000, seed: int = 3, profiles: tuple[Profile, ...] = (BASE, BOOSTED)
) -> World:
    """A capture folder whose users are each served by one of the profiles, drawn by their number."""
    from ranking.explore import SwapPairs

    world = a_world()
    serving = [FakeExplorer(world, p, SwapPairs()) for p in profiles]
    records = [
        plain(serving[hash_of(visit["user_id"]) % len(profiles)], **visit)
        for visit in visits(n, len(world.items), seed)
    ]
    write_captures(folder, records, profiles)
    write_events(folder, clicks_on(world, records, seed))
    return world


def hash_of(text: str) -> int:
    import hashlib

    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def true_value(world: World, records: list[CaptureRecord], profile: Profile) -> float:
    """Expected clicks per search, had the profile served the searches."""
    total = 0.0
    for record in records:
        page = world.pair(profile, record.query, record.now_ms, profile.k).page
        total += sum(
            world.exam[r] * world.attract[record.query, item.item_id] for r, item in enumerate(page.items)
        )
    return total / len(records)
