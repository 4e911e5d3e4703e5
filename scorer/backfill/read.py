"""Reads the items of one slice, page by page, in a point in time of its own.

Slices are read by many workers over hours, and a point in time keeps old segments on disk; so each slice
opens one when it begins and closes it when it ends. That loses nothing: slices are cut by a field's value,
which is the same in all of them, and what changes meanwhile is guarded where it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from elasticsearch import Elasticsearch, NotFoundError

from ranking import fields
from ranking.errors import InputError, ServerError
from ranking.es import check_complete, server_errors
from ranking.item_message import AiGenerated
from ranking.score_fields import LIVE, NEXT
from scorer.backfill.scope import Scope, Slice

PAGE: Final = 64  # items read, loaded, scored and written at a time
_KEEP_ALIVE: Final = "10m"  # between two pages
_ATTEMPTS: Final = 3  # points in time that one slice may lose, to a restarted node


@dataclass(frozen=True, slots=True)
class Item:
    """An item as it was read."""

    id: str
    url: str | None  # its photo
    version: str | None  # of its live score
    ai: AiGenerated | None = None  # what the index knows of how the photo was made


def check_index(es: Elasticsearch, index: str) -> None:
    """See that the index has the fields that a backfill and an upgrade need.

    Raises:
        InputError: it lacks some.
        ServerError: it is not there.
    """
    wanted = [fields.IMAGE_SCORE_FAILED_VERSION, LIVE.version, NEXT.score, NEXT.version]
    with server_errors(f"the mapping of {index}"):
        found = es.indices.get_field_mapping(index=index, fields=wanted)
    for name, entry in found.body.items():
        lacking = [field for field in wanted if field not in entry["mappings"]]
        if lacking:
            raise InputError(
                f"{name} has no field {', '.join(lacking)}",
                hint="run `rank-cli templates apply`, then `rank-cli index migrate`",
            )


def count_items(es: Elasticsearch, index: str, query: Mapping[str, Any]) -> int:
    """How many items a query matches, as of the last refresh."""
    with server_errors(f"count in {index}"):
        return int(es.count(index=index, query=query)["count"])


def read_slice(
    es: Elasticsearch,
    scope: Scope,
    part: Slice,
    *,
    page: int = PAGE,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[list[Item]]:
    """The items of a slice that are left to do, in pages.

    A point in time that is lost is opened anew: what was written meanwhile is not found again.

    Raises:
        ServerError: the server refused, or is not there.
    """
    seen: set[str] = set()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            for items in _read_once(es, scope, part, page, stopped):
                fresh = [item for item in items if item.id not in seen]
                seen.update(item.id for item in fresh)
                if fresh:
                    yield fresh
            return
        except NotFoundError as e:
            if attempt == _ATTEMPTS:
                message = f"the point in time of slice {part.i} was lost {_ATTEMPTS} times"
                raise ServerError("Elasticsearch", message, hint="run the same command again") from e


def _read_once(
    es: Elasticsearch, scope: Scope, part: Slice, page: int, stopped: Callable[[], bool]
) -> Iterator[list[Item]]:
    with server_errors(f"reading {scope.index}"):
        pit = es.open_point_in_time(index=scope.index, keep_alive=_KEEP_ALIVE)["id"]
    after: list[Any] | None = None
    try:
        while not stopped():
            with server_errors(f"reading {scope.index}"):
                try:
                    answer = es.search(
                        pit={"id": pit, "keep_alive": _KEEP_ALIVE},
                        slice=part.to_dict(),
                        query=scope.query(),
                        size=page,
                        sort=[{"_shard_doc": "asc"}],
                        search_after=after,
                        source_includes=[fields.IMAGE_URL, LIVE.version, fields.AI_GENERATED],
                        track_total_hits=False,
                    )
                except NotFoundError as e:
                    lost: NotFoundError | None = e
                else:
                    lost = None
            if lost is not None:
                raise lost
            check_complete(answer.body)
            pit = answer.get("pit_id", pit)
            hits = answer["hits"]["hits"]
            if not hits:
                return
            after = hits[-1]["sort"]
            yield [item_of(hit) for hit in hits]
    finally:
        es.options(ignore_status=404).close_point_in_time(id=pit)


def item_of(hit: Mapping[str, Any]) -> Item:
    """The item of a hit that has its photo, version and `ai_generated` in the source."""
    source = hit["_source"]
    ai = source.get(fields.AI_GENERATED)
    return Item(
        id=hit["_id"],
        url=source.get(fields.IMAGE_URL),
        version=source.get(LIVE.version),
        ai=AiGenerated(**ai) if ai and ai.get("probability") is not None else None,
    )


__all__ = ["PAGE", "Item", "check_index", "count_items", "item_of", "read_slice"]
