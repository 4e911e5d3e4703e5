"""A marketplace: items, queries, and visits drawn from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from marketplace.buyers import Search
from marketplace.items import Item
from marketplace.queries import Query
from marketplace.times import DAY_MS, VISIT_DAYS
from ranking import fields

PLATFORM_SHARE: Final = (0.40, 0.36, 0.24)  # in the order of ranking.fields.PLATFORMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Marketplace:
    """Items and queries at one moment. Equal seeds and times give equal marketplaces."""

    name: str
    items: tuple[Item, ...]
    queries: tuple[Query, ...]  # most frequent first
    now_ms: int
    problems: tuple[str, ...] = ()  # one sentence for each file or line that could not be used

    def describe(self) -> dict[str, Any]:
        """Return counts and shares, for notes."""
        known = [item.photo_quality for item in self.items if item.photo_quality is not None]
        return {
            "name": self.name,
            "n_items": len(self.items),
            "n_photos": sum(item.image_path is not None for item in self.items),
            "n_photo_quality_known": len(known),
            "photo_quality_mean": round(float(np.mean(known)), 4) if known else None,
            "n_ai_flagged": sum((item.ai_probability or 0.0) >= 0.5 for item in self.items),
            "n_by_status": dict(sorted(Counter(item.status for item in self.items).items())),
            "n_by_category": dict(sorted(Counter(item.category for item in self.items).items())),
            "n_queries": len(self.queries),
            "n_queries_misspelled": sum(query.misspelled for query in self.queries),
            "n_queries_by_words": dict(sorted(Counter(len(q.text.split()) for q in self.queries).items())),
            "head_10_share": round(sum(q.weight for q in self.queries[:10]), 4),
            "first_created_ms": min(item.created_ms for item in self.items),
            "last_created_ms": max(item.created_ms for item in self.items),
            "n_problems": len(self.problems),
            "clicks": "simulated",
        }

    def searches(self, n: int, rng: np.random.Generator) -> list[Search]:
        """Draw `n` visits in time order, from the last `VISIT_DAYS` days before `now_ms`.

        With n >= the number of queries each query is asked at least once; the rest follow the weights. A
        session has one user on one platform and one or more searches, half a minute or so apart. Every item
        was listed before the first search.
        """
        n_queries = len(self.queries)
        once = rng.permutation(n_queries)[:n]
        weights = np.array([query.weight for query in self.queries])
        more = rng.choice(n_queries, size=n - len(once), p=weights / weights.sum())
        asked = rng.permutation(np.concatenate([once, more]))
        n_users = max(1, n // 4)
        platforms = rng.choice(len(fields.PLATFORMS), size=n_users, p=PLATFORM_SHARE)
        start_ms = self.now_ms - int(VISIT_DAYS * DAY_MS)
        visits: list[tuple[int, int, int, int]] = []  # now_ms, query, user, session
        n_sessions = 0
        while len(visits) < n:
            at_ms = start_ms + 1 + int(rng.random() * (self.now_ms - start_ms - 1))
            user = int(rng.integers(n_users))
            for _ in range(min(int(rng.geometric(0.6)), n - len(visits))):
                visits.append((min(at_ms, self.now_ms), int(asked[len(visits)]), user, n_sessions))
                at_ms += int(5_000 + rng.exponential(40_000))
            n_sessions += 1
        visits.sort()
        return [
            Search(
                search_id=f"s{i + 1:06d}",
                query=self.queries[query],
                platform=fields.PLATFORMS[int(platforms[user])],
                user_id=f"u{user + 1:05d}",
                session_id=f"v{session + 1:06d}",
                now_ms=at_ms,
            )
            for i, (at_ms, query, user, session) in enumerate(visits)
        ]
