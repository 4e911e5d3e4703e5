"""What the cluster is like when a run looks: scores in the index, and whether live searches rank as computed.

Both are of that moment and are kept under the day on which the run looked, whatever days it computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from elasticsearch import Elasticsearch

from ranking import fields
from ranking.clock import format_time
from ranking.es import server_errors
from replay.live import LiveParity, verify_live
from replay.log import CaptureLog


def look(
    es: Elasticsearch,
    index: str,
    *,
    now_ms: int,
    log: CaptureLog | None = None,
    live: int = 0,
    advance: Callable[[int], object] = lambda _n: None,
) -> tuple[dict[str, Any], LiveParity | None]:
    """The document of kind `cluster`, and the live verification behind it.

    Args:
        es: the cluster.
        index: of the items.
        now_ms: this moment.
        log: searches to send again, each at its logged clock.
        live: how many of them, spread over the log; none by default.
        advance: told 1 after each search.

    Raises:
        ServerError: the cluster refused.
    """
    on_sale: dict[str, Any] = {"term": {fields.STATUS: fields.ON_SALE}}
    with server_errors(f"count items of {index}"):
        n = int(es.count(index=index, query=on_sale)["count"])
        scored = {"bool": {"filter": [on_sale, {"exists": {"field": fields.IMAGE_SCORE}}]}}
        n_scored = int(es.count(index=index, query=scored)["count"])
    at = format_time(now_ms)
    document: dict[str, Any] = {
        "kind": "cluster",
        "day": at[:10],
        "at": at,
        "index": index,
        "items_on_sale": n,
        "items_with_score": n_scored,
        "index_coverage": n_scored / n if n else None,
    }
    if not live or log is None:
        return document, None
    found = verify_live(es, log, index=index, limit=live, advance=advance)
    document |= {
        "live_searches": found.searches,
        "live_score_parity": found.bit_equal / found.scores if found.scores else None,
        "live_page_parity": found.same_order / found.searches if found.searches else None,
    }
    return document, found


__all__ = ["look"]
