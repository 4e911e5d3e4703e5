"""The same searches on a live cluster at their logged clocks: two questions, never mixed.

Formula parity on fresh candidates: does the cluster's score of today equal our formula on the cluster's own
parts of today? It must, bit for bit. Index drift: how far have the parts moved since the log? They do move:
relevance changes with every update, delete and merge, because corpus statistics do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from ranking.explain import explain_items
from ranking.search import Searcher
from replay.log import CaptureLog


@dataclass(frozen=True, slots=True)
class Drift:
    """How the index moved between log and now, over the served pages."""

    common_items: int  # items on the logged page and on today's
    rel_equal: int  # of these, with the same relevance, bit for bit
    rescored: int  # of these, with another image score
    left: int  # items of logged pages that today's lack
    entered: int  # items of today's pages that the logged lack
    identical_pages: int
    worst_rel_change: float  # largest |today / logged - 1| of relevance


@dataclass(frozen=True, slots=True)
class LiveParity:
    """What the cluster answered."""

    searches: int
    scores: int  # scores of today compared with our formula on the parts of today
    bit_equal: int
    drift: Drift

    @property
    def holds(self) -> bool:
        """Formula parity on fresh candidates; drift is no failure."""
        return self.bit_equal == self.scores

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self) | {"holds": self.holds}


def verify_live(
    es: Elasticsearch,
    log: CaptureLog,
    *,
    index: str | None = None,
    limit: int | None = None,
    advance: Callable[[int], object] = lambda _n: None,
) -> LiveParity:
    """Ask the cluster again for logged searches, each at its logged clock.

    Args:
        es: the cluster.
        log: what was captured; searches whose profile the log lacks are left out.
        index: another index than the logged one.
        limit: at most so many searches, spread over the log.
        advance: told 1 after each search.

    Raises:
        ServerError: the cluster refused a search.
    """
    known = [i for i in range(len(log)) if log.searches["profile_hash"][i] in log.profiles]
    if limit is not None and limit < len(known):
        known = [known[j] for j in np.linspace(0, len(known) - 1, limit).astype(int)]
    scores = bit_equal = 0
    count = dict.fromkeys(("common_items", "rel_equal", "rescored", "left", "entered", "identical_pages"), 0)
    worst = 0.0
    for i in known:
        profile = log.profiles[log.searches["profile_hash"][i]]
        now_ms = int(log.searches["now_ms"][i])
        page = Searcher(es, index or str(log.searches["index"][i]), profile).search(
            str(log.searches["query"][i]), now_ms=now_ms, filters=log.filters(i)
        )
        rows = explain_items(profile, page.items, now_ms)
        scores += len(rows)
        bit_equal += sum(bool(row.exact) for row in rows)
        span = log.span(i)
        served = np.flatnonzero(log.rank[span] > 0) + span.start
        logged = {log.item_id[p]: p for p in served}
        today = {item.item_id: item for item in page.items}
        for item_id in logged.keys() & today.keys():
            rel = float(log.docs.rel[logged[item_id]])
            image = float(log.docs.image_score[logged[item_id]])
            seen = today[item_id]
            count["common_items"] += 1
            count["rel_equal"] += seen.rel == rel
            count["rescored"] += not (
                seen.image_score == image or (seen.image_score is None and np.isnan(image))
            )
            worst = max(worst, abs(seen.rel / rel - 1) if rel else 0.0)
        count["left"] += len(logged.keys() - today.keys())
        count["entered"] += len(today.keys() - logged.keys())
        in_order = [log.item_id[p] for p in served[np.argsort(log.rank[served])]]
        count["identical_pages"] += in_order == [item.item_id for item in page.items]
        advance(1)
    return LiveParity(len(known), scores, bit_equal, Drift(**count, worst_rel_change=worst))
