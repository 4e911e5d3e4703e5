"""What was applied to a family: one document per `apply` or `rollback`, with before and after of each step.

The documents live in `rank-history-FAMILY` and are numbered. A number is claimed with `op_type: create`, so
of two engineers who apply at once one gets it and the other a refusal. Every write is refreshed before it is
answered, so a reader sees it and needs no right to refresh.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from elasticsearch import ApiError, ConflictError, Elasticsearch

from index_templates.plan import Step
from ranking.clock import format_time, parse_time
from ranking.errors import StalePlan
from ranking.es import server_errors

Change = Literal["apply", "rollback"]
_MAPPINGS: Final[dict[str, Any]] = {
    "dynamic": False,
    "properties": {
        "type": {"type": "keyword"},
        "number": {"type": "integer"},
        "change": {"type": "keyword"},
        "state": {"type": "keyword"},
        "at": {"type": "date"},
    },
}
_SETTINGS: Final = {"index.number_of_shards": 1, "index.auto_expand_replicas": "0-1"}
_SHARD_PATIENCE_S: Final = 30.0
_STILL_WRITING_MS: Final = 60_000  # an apply takes a second; one that is older was cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change of a family's templates."""

    number: int  # 1, 2, ... within the family
    change: Change
    at: str  # ISO 8601
    state: Literal["writing", "written"]
    steps: tuple[Step, ...]
    undoes: tuple[int, ...] = field(default=())  # numbers that a rollback took back

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object, names of the steps only."""
        return {
            "number": self.number,
            "change": self.change,
            "at": self.at,
            "state": self.state,
            "undoes": list(self.undoes),
            "steps": [{"action": step.action, "name": step.name} for step in self.steps],
        }


def history_index(family: str) -> str:
    """Where a family's changes and migrations are kept."""
    return f"rank-history-{family}"


def ensure_history(es: Elasticsearch, family: str) -> str:
    """Make the history index of a family where there is none; its name."""
    name = history_index(family)
    with server_errors(f"make {name}"):
        if not es.indices.exists(index=name):
            es.options(ignore_status=400).indices.create(index=name, mappings=_MAPPINGS, settings=_SETTINGS)
    return name


def read_history(es: Elasticsearch, family: str) -> list[Entry]:
    """Every change of a family, oldest first.

    Raises:
        ServerError: the cluster refused.
    """
    hits = search_history(
        es, family, query={"term": {"type": "templates"}}, sort=[{"number": "asc"}], size=10_000
    )
    return [_read(hit["_source"]) for hit in hits]


def search_history(es: Elasticsearch, family: str, **search: Any) -> list[dict[str, Any]]:
    """The hits of a search in a family's history; waits for the shard of an index that was made a moment ago.

    Raises:
        ServerError: the cluster refused.
    """
    name = history_index(family)
    deadline = time.monotonic() + _SHARD_PATIENCE_S
    with server_errors(f"read {name}"):
        if not es.indices.exists(index=name):
            return []
        while True:
            try:
                hits: list[dict[str, Any]] = es.search(index=name, **search)["hits"]["hits"]
                return hits
            except ApiError as e:
                if e.status_code != 503 or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


def begin(
    es: Elasticsearch,
    family: str,
    steps: Sequence[Step],
    *,
    change: Change,
    entries: Sequence[Entry],
    now_ms: int,
    undoes: Sequence[int] = (),
) -> Entry:
    """Claim the next number and keep the steps, before anything is written.

    Raises:
        StalePlan: somebody else is applying, or did since `entries` were read.
    """
    last = entries[-1] if entries else None
    if last is not None and last.state == "writing" and now_ms - parse_time(last.at) < _STILL_WRITING_MS:
        raise StalePlan([f"templates of {family} (change {last.number} is being written)"])
    entry = Entry(
        number=last.number + 1 if last else 1,
        change=change,
        at=format_time(now_ms),
        state="writing",
        steps=tuple(steps),
        undoes=tuple(undoes),
    )
    name = ensure_history(es, family)
    with server_errors(f"write {name}"):
        try:
            es.create(index=name, id=_id(entry), document=_document(entry), refresh=True)
        except ConflictError:
            raise StalePlan([f"templates of {family} (change {entry.number})"]) from None
    return entry


def finish(es: Elasticsearch, family: str, entry: Entry) -> Entry:
    """Mark a change as written."""
    done = replace(entry, state="written")
    with server_errors(f"write {history_index(family)}"):
        es.index(index=history_index(family), id=_id(done), document=_document(done), refresh=True)
    return done


def _id(entry: Entry) -> str:
    return f"templates-{entry.number:06d}"


def _document(entry: Entry) -> dict[str, Any]:
    steps = [{"name": step.name, "before": step.before, "after": step.after} for step in entry.steps]
    return {
        "type": "templates",
        "number": entry.number,
        "change": entry.change,
        "at": entry.at,
        "state": entry.state,
        "undoes": list(entry.undoes),
        "steps_json": json.dumps(steps),  # as text: bodies of templates would become fields
    }


def _read(source: dict[str, Any]) -> Entry:
    return Entry(
        number=source["number"],
        change=source["change"],
        at=source["at"],
        state=source["state"],
        steps=tuple(
            Step.between(step["name"], step["before"], step["after"])
            for step in json.loads(source["steps_json"])
        ),
        undoes=tuple(source["undoes"]),
    )
