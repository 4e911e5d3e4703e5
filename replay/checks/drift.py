"""Drift of the index since the log: the cluster is asked for logged searches at their clocks."""

from __future__ import annotations

from elasticsearch import Elasticsearch

from replay.checks.check import Check, found
from replay.live import verify_live
from replay.log import CaptureLog


def index_drift(
    es: Elasticsearch, log: CaptureLog, *, index: str | None = None, limit: int = 100
) -> list[Check]:
    """Two checks: how far the index has moved, and whether the formula still gives the cluster's own scores.

    Args:
        es: the cluster.
        log: what was captured.
        index: another index than the logged one.
        limit: at most so many searches, spread over the log.

    Raises:
        ServerError: the cluster refused a search.
    """
    live = verify_live(es, log, index=index, limit=limit)
    drift, n = live.drift, live.searches
    moved = n - drift.identical_pages
    return [
        found(
            "drift of the index",
            moved,
            n,
            f"{moved} of {n} pages are not what they were: relevance equal for {drift.rel_equal} of "
            f"{drift.common_items} common items, {drift.rescored} rescored, {drift.left} left, "
            f"{drift.entered} entered",
            fine=f"all {n} pages asked for again are what they were",
            tolerated=1.0,
        ),
        found(
            "formula on the cluster",
            live.scores - live.bit_equal,
            live.scores,
            f"{live.scores - live.bit_equal} of {live.scores} scores of today are not what the formula gives",
            fine=f"all {live.scores} scores of today are what the formula gives, bit for bit",
            tolerated=0.0,
        ),
    ]
