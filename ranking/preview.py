"""What a profile would change, on sample queries, against another at the same clock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from ranking import fields
from ranking.capture import CapturedItem
from ranking.es import server_errors
from ranking.explain import explain_items
from ranking.profile import Profile
from ranking.search import Searcher


@dataclass(frozen=True, slots=True)
class QueryPreview:
    """One sample query under baseline and contender."""

    query: str
    hits: int
    entered: int  # items of the contender's page that the baseline's page lacks
    moved: int  # items on both pages at another rank
    image_score: tuple[float, float]  # mean at k: baseline, contender
    freshness: tuple[float, float]  # mean factor at k
    took_ms: tuple[int, int]

    def row(self) -> dict[str, Any]:
        """As one line of a table."""
        return {
            "query": self.query,
            "hits": self.hits,
            "entered": self.entered,
            "moved": self.moved,
            "image score": f"{self.image_score[0]:.3f} > {self.image_score[1]:.3f}",
            "freshness": f"{self.freshness[0]:.3f} > {self.freshness[1]:.3f}",
            "took ms": f"{self.took_ms[0]} > {self.took_ms[1]}",
        }

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def preview(
    es: Elasticsearch,
    index: str,
    baseline: Profile,
    contender: Profile,
    queries: Sequence[str],
    *,
    now_ms: int,
    platform: str | None = None,
    k: int = 10,
) -> list[QueryPreview]:
    """Serve each query under both profiles and compare the first k; changes nothing.

    Raises:
        ServerError: the cluster refused a search.
    """
    baseline, contender = baseline.for_platform(platform), contender.for_platform(platform)
    rows = []
    for query in queries:
        pages = [
            Searcher(es, index, profile).search(query, now_ms=now_ms, size=k)
            for profile in (baseline, contender)
        ]
        before, after = pages
        old_rank = {item.item_id: item.rank for item in before.items}
        both = [item for item in after.items if item.item_id in old_rank]
        rows.append(
            QueryPreview(
                query=query,
                hits=before.total_hits,
                entered=len(after.items) - len(both),
                moved=sum(old_rank[item.item_id] != item.rank for item in both),
                image_score=(_mean_image(before.items), _mean_image(after.items)),
                freshness=(
                    _mean_freshness(baseline, before.items, now_ms),
                    _mean_freshness(contender, after.items, now_ms),
                ),
                took_ms=(before.took_ms, after.took_ms),
            )
        )
    return rows


def sample_queries(es: Elasticsearch, index: str, n: int = 10) -> list[str]:
    """Queries where the user gives none: the first two words of titles drawn from the index.

    The draw is the same at every call on an unchanged index.
    """
    with server_errors(f"draw titles from {index}"):
        response = es.search(
            index=index,
            size=n,
            query={"function_score": {"random_score": {"seed": 7, "field": fields.ITEM_ID}}},
            source_includes=[fields.TITLE],
        )
    titles = [hit["_source"].get(fields.TITLE, "") for hit in response["hits"]["hits"]]
    words = (re.findall(r"\w+", title.lower())[:2] for title in titles)
    return list(dict.fromkeys(" ".join(found) for found in words if found))


def _mean_image(items: Sequence[CapturedItem]) -> float:
    scores = [item.image_score for item in items if item.image_score is not None]
    return float(np.mean(scores)) if scores else 0.0


def _mean_freshness(profile: Profile, items: Sequence[CapturedItem], now_ms: int) -> float:
    return float(np.mean([row.freshness for row in explain_items(profile, items, now_ms)])) if items else 0.0
