"""Which photo each item has, asked of the index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elasticsearch import Elasticsearch

from ranking import fields
from ranking.es import check_complete, server_errors


def photos_in_index(es: Elasticsearch, index: str, item_ids: Sequence[str]) -> dict[str, str]:
    """`image_url` by item_id, of the items that have one; items that have left the index are left out.

    Raises:
        ServerError: the server refused.
    """
    found: dict[str, str] = {}
    for start in range(0, len(item_ids), 1_000):
        some = item_ids[start : start + 1_000]
        with server_errors(f"read photos of {index}"):
            response = es.search(
                index=index,
                query={"terms": {fields.ITEM_ID: list(some)}},
                size=len(some),
                source_includes=[fields.ITEM_ID, fields.IMAGE_URL],
            )
        check_complete(response.body)
        for hit in response.body["hits"]["hits"]:
            source: dict[str, Any] = hit["_source"]
            if source.get(fields.IMAGE_URL):
                found[source[fields.ITEM_ID]] = source[fields.IMAGE_URL]
    return found
