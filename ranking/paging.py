"""All hits of a query, page by page, as they were at one moment: a point in time and `search_after`."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import suppress
from typing import Any, Final

from elasticsearch import ApiError, Elasticsearch, TransportError

from ranking.es import check_complete, server_errors

KEEP_ALIVE: Final = "5m"  # from page to page: what the caller does with one must take less


def pages(
    es: Elasticsearch,
    index: str,
    query: Mapping[str, Any],
    *,
    size: int,
    keep_alive: str = KEEP_ALIVE,
    **body: Any,
) -> Generator[list[dict[str, Any]], None, None]:
    """The hits of a query in pages, in the order of the shards; none is empty.

    The point in time is closed when the last page was taken, or the iterator is closed.

    Args:
        es: a client.
        index: index or alias.
        query: which documents.
        size: of a page, at most.
        keep_alive: how long the server keeps the point in time without a request.
        body: what else the search asks for: `source_includes`, `docvalue_fields`, `slice`, ...

    Raises:
        ServerError: the server refused, is not there, or a page lacks a shard's hits.
    """
    doing = f"reading {index}"
    with server_errors(doing):
        pit = es.open_point_in_time(index=index, keep_alive=keep_alive)["id"]
    after: list[Any] | None = None
    try:
        while True:
            with server_errors(doing):
                answer = es.search(
                    pit={"id": pit, "keep_alive": keep_alive},
                    query=query,
                    size=size,
                    sort=[{"_shard_doc": "asc"}],
                    search_after=after,
                    track_total_hits=False,
                    **body,
                ).body
            check_complete(answer)
            pit = answer.get("pit_id", pit)
            hits: list[dict[str, Any]] = answer["hits"]["hits"]
            if not hits:
                return
            after = hits[-1]["sort"]
            yield hits
    finally:
        with suppress(ApiError, TransportError):  # it expires by itself
            es.close_point_in_time(id=pit)


__all__ = ["KEEP_ALIVE", "pages"]
