"""A model upgrade in the index: what is where, and moving scores between live, next and previous.

    backfill --into next     next is filled; nothing that queries read changes
    switch                   next becomes live, live becomes previous
    rollback                 previous becomes live, live becomes next
    clean                    previous, or next, is removed

Moves are made by the server, some thousand items a request, through the stored script `rank-score-move-v1`.
The query finds what is not moved yet, so a move that is killed is gone on with by starting it again, and
done twice it does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from elasticsearch import Elasticsearch

from ranking import fields
from ranking.errors import BulkError, InputError, ServerError
from ranking.es import check_complete, reason, server_errors
from ranking.score_fields import LIVE, NEXT, PREVIOUS, SCORE_MOVE, ScoreFields
from scorer.backfill.read import check_index, count_items
from scorer.backfill.write import APPLY, NO_SCRIPT

Move = Literal["switch", "rollback"]
Kept = Literal["previous", "next"]
_FIELDS: Final[dict[Kept, ScoreFields]] = {"previous": PREVIOUS, "next": NEXT}
CHUNK: Final = 5_000  # items in one request
_TIMEOUT_S: Final = 600.0
_STUCK: Final = 20  # requests in a row that move nothing, because others write the same items
_VERSIONS: Final = 100


@dataclass(frozen=True, slots=True)
class UpgradeStatus:
    """How many items hold a score of which version, in each of the three places."""

    index: str
    on_sale: int
    live: dict[str, int]
    next: dict[str, int]
    previous: dict[str, int]
    failed: dict[str, int]
    unscored: int  # on sale, without a live score

    def to_dict(self) -> dict[str, Any]:
        """For printing."""
        return asdict(self)


def upgrade_status(es: Elasticsearch, index: str) -> UpgradeStatus:
    """Count the items on sale by version.

    Raises:
        InputError: the index lacks fields.
    """
    check_index(es, index)
    names = {
        "live": LIVE.version,
        "next": NEXT.version,
        "previous": PREVIOUS.version,
        "failed": fields.IMAGE_SCORE_FAILED_VERSION,
    }
    on_sale = {"term": {fields.STATUS: fields.ON_SALE}}
    with server_errors(f"count versions in {index}"):
        answer = es.search(
            index=index,
            size=0,
            track_total_hits=True,
            query=on_sale,
            aggs={
                **{name: {"terms": {"field": field, "size": _VERSIONS}} for name, field in names.items()},
                "unscored": {"missing": {"field": LIVE.version}},
            },
        )
    check_complete(answer.body)
    found = answer["aggregations"]

    def counts(name: str) -> dict[str, int]:
        return {bucket["key"]: int(bucket["doc_count"]) for bucket in found[name]["buckets"]}

    return UpgradeStatus(
        index=index,
        on_sale=int(answer["hits"]["total"]["value"]),
        live=counts("live"),
        next=counts("next"),
        previous=counts("previous"),
        failed=counts("failed"),
        unscored=int(found["unscored"]["doc_count"]),
    )


def only_version(es: Elasticsearch, index: str, place: Kept, version: str | None = None) -> str:
    """The version that `place` holds, or the one asked for, if it is there.

    Raises:
        InputError: none, several, or not that one.
    """
    query = {"exists": {"field": _FIELDS[place].version}}
    with server_errors(f"count versions in {index}"):
        answer = es.search(
            index=index,
            size=0,
            query=query,
            aggs={"versions": {"terms": {"field": _FIELDS[place].version, "size": _VERSIONS}}},
        )
    held = {b["key"]: b["doc_count"] for b in answer["aggregations"]["versions"]["buckets"]}
    if not held:
        hint = "run `rank-cli ingest backfill --into next`" if place == "next" else None
        raise InputError(f"no item of {index} holds a {place} score", hint=hint)
    if version is not None and version not in held:
        raise InputError(f"no item of {index} holds a {place} score of {version}", hint=_listed(held))
    if version is None and len(held) > 1:
        raise InputError(
            f"items of {index} hold {place} scores of {len(held)} versions",
            hint=f"name one with --version: {_listed(held)}",
        )
    return version or str(next(iter(held)))


def _listed(held: dict[str, int]) -> str:
    return ", ".join(f"{version} ({n} items)" for version, n in held.items())


def to_move(move: Move, version: str) -> dict[str, Any]:
    """The query for the items that a move is still to be made for."""
    place = NEXT if move == "switch" else PREVIOUS
    return {"term": {place.version: version}}


def move_scores(
    es: Elasticsearch,
    index: str,
    move: Move,
    version: str,
    *,
    now_ms: int,
    chunk: int = CHUNK,
    per_second: float | None = None,
    on_progress: Callable[[int], None] = lambda _n: None,
) -> int:
    """Make the scores of `version` live; how many items were moved.

    Args:
        es: a client.
        index: index or alias.
        move: `switch` takes them from next, `rollback` from previous.
        version: of the scores that become live.
        now_ms: the clock, epoch ms.
        chunk: items in one request.
        per_second: items per second at most.
        on_progress: told how many more are moved.

    Raises:
        ServerError: the server refused, or is gone. What was moved until then stays moved.
        BulkError: it refused some items.
    """
    params = {"move": move, "version": version, "now_ms": now_ms}
    return _update(
        es,
        index,
        to_move(move, version),
        params,
        chunk=chunk,
        per_second=per_second,
        on_progress=on_progress,
    )


def clean_scores(
    es: Elasticsearch,
    index: str,
    places: Sequence[Kept],
    *,
    now_ms: int,
    chunk: int = CHUNK,
    per_second: float | None = None,
    on_progress: Callable[[int], None] = lambda _n: None,
) -> int:
    """Remove what is kept in `places`; of how many items. The live score stays as it is.

    Raises:
        ServerError: the server refused, or is gone.
        BulkError: it refused some items.
    """
    held = [{"exists": {"field": _FIELDS[place].version}} for place in places]
    query = {"bool": {"should": held, "minimum_should_match": 1}}
    params = {"move": "drop", "drop": list(places), "now_ms": now_ms}
    return _update(es, index, query, params, chunk=chunk, per_second=per_second, on_progress=on_progress)


def _update(
    es: Elasticsearch,
    index: str,
    query: dict[str, Any],
    params: dict[str, Any],
    *,
    chunk: int,
    per_second: float | None,
    on_progress: Callable[[int], None],
) -> int:
    patient = es.options(request_timeout=_TIMEOUT_S, max_retries=0)
    moved = stuck = 0
    with server_errors(f"refresh {index}"):
        es.indices.refresh(index=index)
    while True:
        with _script_is_stored(), server_errors(f"{params['move']} in {index}"):
            answer = patient.update_by_query(
                index=index,
                query=query,
                script={"id": SCORE_MOVE, "params": params},
                max_docs=chunk,
                conflicts="proceed",  # somebody wrote the item: it is found again, as it is now
                pipeline="_none",  # the live score was checked when it was written
                requests_per_second=per_second,
                refresh=True,
            ).body
        _check(answer)
        updated = int(answer["updated"])
        moved += updated
        on_progress(updated)
        if not int(answer["total"]):
            return moved
        stuck = 0 if updated else stuck + 1
        if stuck == _STUCK:
            left = count_items(es, index, query)
            message = f"{left} items are written by others again and again, and cannot be moved"
            raise ServerError("Elasticsearch", message, hint="run the same command again later")


@contextmanager
def _script_is_stored() -> Iterator[None]:
    try:
        yield
    except ServerError as e:
        if NO_SCRIPT in str(e):
            e.hint = APPLY
        raise


def _check(answer: dict[str, Any]) -> None:
    failures = answer.get("failures") or []
    if failures:
        raise BulkError(
            {str(f.get("id")): str(reason({"error": f.get("cause", f)}) or "refused") for f in failures}
        )
    if answer.get("timed_out"):
        raise ServerError("Elasticsearch", "the move timed out", hint="run the same command again")


__all__ = [
    "CHUNK",
    "Kept",
    "Move",
    "UpgradeStatus",
    "clean_scores",
    "move_scores",
    "only_version",
    "to_move",
    "upgrade_status",
]
