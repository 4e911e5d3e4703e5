"""Reads the items of one slice, page by page, in a point in time of its own.

Slices are read by many workers over hours, and a point in time keeps old segments on disk; so each slice
opens one when it begins and closes it when it ends. That loses nothing: slices are cut by a field's value,
which is the same in all of them, and what changes meanwhile is guarded where it is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from elasticsearch import ApiError, Elasticsearch, NotFoundError, SSLError, TransportError
from pydantic import ValidationError

from ranking import fields
from ranking.errors import InputError, ServerError
from ranking.es import server_errors
from ranking.item_message import AiGenerated
from ranking.paging import pages
from ranking.score_fields import LIVE, NEXT
from scorer.backfill.scope import Scope, Slice
from scorer.bulk import PASSING_STATUS

PAGE: Final = 64  # items read, loaded, scored and written at a time
_KEEP_ALIVE: Final = "10m"  # between two pages


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


class _Lost(Exception):
    """The server is gone, has no room, or has lost the point in time: read on in a new one, later."""

    def __init__(self, error: ServerError) -> None:
        super().__init__(str(error))
        self.error = error


def read_slice(
    es: Elasticsearch,
    scope: Scope,
    part: Slice,
    *,
    page: int = PAGE,
    stopped: Callable[[], bool] = lambda: False,
    wait_s: float = 120.0,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[list[Item]]:
    """The items of a slice that are left to do, in pages.

    A point in time that is lost, as when a node is started again, is opened anew: what was written meanwhile
    is not found any more.

    Args:
        es: a client.
        scope: which items.
        part: which slice of them.
        page: items at a time.
        stopped: asked before each page.
        wait_s: how long to try again while the server is gone or has no room.
        sleep: waits for so many seconds.

    Raises:
        ServerError: the server refused, or is still gone.
    """
    seen: set[str] = set()
    waited = 0.0
    while True:
        try:
            for items in _read_once(es, scope, part, page, stopped):
                waited = 0.0
                fresh = [item for item in items if item.id not in seen]
                seen.update(item.id for item in fresh)
                if fresh:
                    yield fresh
            return
        except _Lost as e:
            if waited >= wait_s or stopped():
                raise e.error from e
            pause = min(0.5 + waited, 5.0)
            sleep(pause)
            waited += pause


def _read_once(
    es: Elasticsearch, scope: Scope, part: Slice, page: int, stopped: Callable[[], bool]
) -> Iterator[list[Item]]:
    found = pages(
        es,
        scope.index,
        scope.query(),
        size=page,
        keep_alive=_KEEP_ALIVE,
        slice=part.to_dict(),
        source_includes=[fields.IMAGE_URL, LIVE.version, fields.AI_GENERATED],
    )
    with closing(found), _passing():
        while not stopped() and (hits := next(found, None)) is not None:
            yield [item_of(hit) for hit in hits]


@contextmanager
def _passing() -> Iterator[None]:
    """What may pass becomes `_Lost`: no connection, no room, no answer of some shard, no point in time."""
    try:
        yield
    except ServerError as e:
        cause = e.__cause__
        gone = isinstance(cause, TransportError) and not isinstance(cause, ApiError | SSLError)
        if cause is None or gone or (isinstance(cause, ApiError) and _passes(cause)):
            raise _Lost(e) from cause
        raise


def _passes(error: ApiError) -> bool:
    lost = isinstance(error, NotFoundError) and "index_not_found" not in str(error.error)
    return lost or error.status_code in PASSING_STATUS


def item_of(hit: Mapping[str, Any]) -> Item:
    """The item of a hit that has its photo, version and `ai_generated` in the source."""
    source = hit["_source"]
    try:
        ai = AiGenerated.model_validate(source[fields.AI_GENERATED])
    except (KeyError, ValidationError):  # none, or nothing that a photo could be compared with
        ai = None
    return Item(id=hit["_id"], url=source.get(fields.IMAGE_URL), version=source.get(LIVE.version), ai=ai)


__all__ = ["PAGE", "Item", "check_index", "count_items", "item_of", "read_slice"]
