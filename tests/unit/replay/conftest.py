"""Logs with everything in them that a log may have: ties, gaps, empty pages, profiles, platforms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ranking.capture import CapturedItem, CaptureRecord, write_captures
from ranking.clock import DAY_MS
from ranking.explain import candidates
from ranking.formula import final_scores, rank_order
from ranking.profile import Profile

NOW = 1_795_000_000_000

NESTED = Profile.model_validate(
    {
        "name": "nested",
        "image": {"mode": "additive", "weight": 2.0, "missing": 0.3},
        "freshness": {"scale": "3d", "curve": "gauss"},
        "platforms": {"ios": {"image": {"weight": 0.5}}},
        "k": 5,
        "window": 20,
    }
)
SCRIPT = Profile.model_validate(
    {
        "name": "script",
        "execution": "script_score",
        "image": {
            "mode": "multiplicative",
            "weight": 0.5,
            "transform": {"type": "power", "exponent": 2.0},
            "ai_generated": {"above": 0.5, "cap": 0.4},
        },
        "freshness": {"scale": "14d", "curve": "exp", "missing": 0.5},
        "factors": [{"type": "category", "weights": {"hat": 1.2}, "default": 0.9}],
        "k": 5,
        "window": 20,
    }
)

MakeLog = Callable[..., list[CaptureRecord]]


@pytest.fixture
def make_log() -> MakeLog:
    """Writes captures of random searches; returns the records."""

    def write(
        folder: Path, n: int = 60, *, seed: int = 0, files: int = 3, unknown: bool = False
    ) -> list[CaptureRecord]:
        rng = np.random.default_rng(seed)
        records = [a_record(rng, i) for i in range(n)]
        served = [NESTED.for_platform(p) for p in ("web", "ios")] + ([] if unknown else [SCRIPT])
        for chosen in np.array_split(np.arange(n), files):
            write_captures(folder, [records[i] for i in chosen], served)
        return records

    return write


def a_record(rng: np.random.Generator, i: int) -> CaptureRecord:
    platform = ["web", "ios", "android", None][i % 4]
    profile = (SCRIPT if i % 3 == 0 else NESTED).for_platform(platform)
    now_ms = NOW + (i % 5) * DAY_MS + i
    n = 0 if i % 17 == 16 else int(rng.integers(1, 30))
    everything = [
        CapturedItem(
            item_id=f"i{j:02d}é{int(rng.integers(0, 3))}",
            # few distinct values, and dates so old that the curve is 0: scores tie, on the page and below it
            rel=float(np.float32(rng.choice([0.0, 1.5, 2.0, rng.gamma(4)]))),
            image_score=None
            if rng.random() < 0.2
            else float(np.float32(rng.choice([0.25, 0.5, rng.random()]))),
            created_ms=None if rng.random() < 0.1 else int(now_ms - rng.choice([0, 3, 400, 9.5]) * DAY_MS),
            category=[None, "hat", "dress"][int(rng.integers(0, 3))],
            price=None if rng.random() < 0.2 else float(rng.integers(1, 9)),
            ai_prob=None if rng.random() < 0.5 else float(np.float32(rng.random())),
            extras={"brand": "x"} if i % 2 else {},
        )
        for j in range(n)
    ]
    scores = final_scores(profile, candidates(everything), now_ms)
    order = rank_order(scores, [item.item_id for item in everything]).tolist()
    place = {p: r for r, p in enumerate(order[:5], start=1)}
    items = [
        CapturedItem(
            **{name: getattr(item, name) for name in item.__slots__ if name not in ("rank", "score")},
            rank=place.get(p),
            score=float(scores[p]) if p in place else None,
        )
        for p, item in enumerate(everything)
    ]
    return CaptureRecord(
        search_id=f"s{i:05d}",
        query=f"q{i % 7}",
        now_ms=now_ms,
        index="items",
        profile=profile.name,
        profile_hash=profile.hash,
        k=5,
        total_hits=n,
        window=20,
        rel_floor=None if i % 5 == 0 else 0.5,
        items=tuple(items[p] for p in rng.permutation(n)),
        platform=platform,
        user_id=f"u{i % 9}" if i % 4 else None,
        filters={"category": "hat"} if i % 6 == 0 else {},
    )
