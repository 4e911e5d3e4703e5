"""The audit of roll-outs: numbered entries in one index, written once, never changed.

    rank-rollouts/NAME@VERSION-0001    who, when, what, why, and the figures behind it

A number is claimed with `op_type: create`, so of two operators at once one gets it and the other a refusal; a
key with `create_doc` and without `index` cannot change what is there. Entries are read by id, which needs no
refresh: what was written a moment ago is seen. The state of a roll-out is what its entries add up to
(`monitoring.rollout.state`); there is no other record of it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from elasticsearch import ConflictError, Elasticsearch, NotFoundError

from ranking.clock import format_time, parse_time
from ranking.errors import ServerError, StalePlan
from ranking.es import reason, server_errors

INDEX: Final = "rank-rollouts"
MAPPINGS: Final[dict[str, Any]] = {
    "dynamic": "strict",
    "properties": {
        "name": {"type": "keyword"},
        "version": {"type": "integer"},
        "rollout": {"type": "keyword"},
        "number": {"type": "integer"},
        "action": {"type": "keyword"},
        "at": {"type": "date"},
        "by": {"type": "keyword"},
        "from_percent": {"type": "float"},
        "percent": {"type": "float"},
        "reason": {"type": "text"},
        "found": {"type": "boolean"},
        "simulated": {"type": "boolean"},
        "plan_json": {"type": "keyword", "index": False, "doc_values": False},
        "figures_json": {"type": "keyword", "index": False, "doc_values": False},
        "write_id": {"type": "keyword", "index": False, "doc_values": False},
    },
}
SETTINGS: Final = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
_AT_ONCE: Final = 200  # entries read together

Action = Literal[
    "started",  # the canary serves the first step
    "decided",  # what a check is about to do, with the figures: written before it is done
    "advanced",  # the canary serves more
    "changed",  # somebody gave it another share
    "held",  # nothing to do yet; written where the reason is a new one
    "breached",  # a guardrail is breached, and nobody allowed to roll back by itself
    "paused",
    "resumed",
    "finished",  # the canary serves everybody
    "rolled_back",
    "aborted",  # an operator ended it
    "superseded",  # another version was published in its place
]
ENDS: Final[tuple[Action, ...]] = ("finished", "rolled_back", "aborted", "superseded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the audit."""

    name: str  # of the profile
    version: int  # of the canary
    number: int  # 1, 2, ... within the roll-out
    action: Action
    at_ms: int
    by: str | None
    percent: float  # that the canary serves from now on; 0 and 100 at an end
    from_percent: float  # that it served before
    reason: str
    found: bool = False  # not done by the one who wrote it: found done, after a crash or by other means
    figures: Mapping[str, Any] | None = None
    plan: Mapping[str, Any] | None = field(default=None)  # of the first entry

    @property
    def rollout(self) -> str:
        """Such as `additive@3`."""
        return f"{self.name}@{self.version}"

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return {
            "rollout": self.rollout,
            "number": self.number,
            "action": self.action,
            "at": format_time(self.at_ms),
            "by": self.by,
            "from_percent": self.from_percent,
            "percent": self.percent,
            "reason": self.reason,
            "found": self.found,
            "figures": self.figures,
        }


def ensure_index(es: Elasticsearch, index: str = INDEX) -> None:
    """Make the index where there is none."""
    with server_errors(f"make {index}"):
        if not es.indices.exists(index=index):
            es.options(ignore_status=400).indices.create(index=index, mappings=MAPPINGS, settings=SETTINGS)


def append(es: Elasticsearch, entry: Entry, index: str = INDEX) -> Entry:
    """Write an entry under its number.

    Raises:
        StalePlan: the number is taken: somebody else was faster.
    """
    mine = uuid.uuid4().hex  # tells our own entry, where an answer was lost, from a colleague's
    simulated = bool(entry.figures and entry.figures.get("simulated"))
    document = {
        **{key: value for key, value in entry.as_dict().items() if key != "figures"},
        "name": entry.name,
        "version": entry.version,
        "simulated": simulated,
        "plan_json": None if entry.plan is None else json.dumps(entry.plan),
        "figures_json": None if entry.figures is None else json.dumps(entry.figures),
        "write_id": mine,
    }
    with server_errors(f"write {_id(entry.rollout, entry.number)}"):
        try:
            es.index(
                index=index,
                id=_id(entry.rollout, entry.number),
                document=document,
                op_type="create",
                refresh=True,
            )
        except ConflictError:
            there = es.get(index=index, id=_id(entry.rollout, entry.number))["_source"]
            if there["write_id"] == mine:
                return entry
            by = f" by {there['by']}" if there.get("by") else ""
            raise StalePlan(
                [f"roll-out {entry.rollout} ({there['action']} at {there['at']}{by})"],
                hint="run the command again: it starts from what is there now",
            ) from None
    return entry


def append_next(es: Elasticsearch, entry: Entry, index: str = INDEX) -> Entry:
    """Write an entry under the first number that is free: for what is done already and must be recorded."""
    while True:
        try:
            return append(es, entry, index)
        except StalePlan:
            entry = replace(entry, number=entry.number + 1)


def read_entries(es: Elasticsearch, rollout: str, index: str = INDEX) -> list[Entry]:
    """Every entry of a roll-out, oldest first; what was written a moment ago too."""
    found: list[Entry] = []
    with server_errors(f"read {index}"):
        while True:
            ids = [_id(rollout, len(found) + i + 1) for i in range(_AT_ONCE)]
            docs = es.mget(index=index, ids=ids)["docs"]
            if refused := [reason(doc) for doc in docs if "error" in doc]:
                raise ServerError("Elasticsearch", f"read {index}: {refused[0]}")
            there = [doc["_source"] for doc in docs if doc.get("found")]
            found += [_entry(source) for source in there]
            if len(there) < _AT_ONCE:
                return found


def newest(es: Elasticsearch, name: str, index: str = INDEX) -> str | None:
    """The latest roll-out of a profile, such as `additive@3`; None where there never was one."""
    with server_errors(f"read {index}"):
        try:
            hits = es.search(
                index=index,
                query={"bool": {"filter": [{"term": {"name": name}}, {"term": {"action": "started"}}]}},
                sort=[{"version": "desc"}],
                size=1,
            )["hits"]["hits"]
        except NotFoundError:
            return None
    return str(hits[0]["_source"]["rollout"]) if hits else None


def rollouts(es: Elasticsearch, index: str = INDEX) -> list[str]:
    """Every roll-out there was, the latest first."""
    with server_errors(f"read {index}"):
        try:
            hits = es.search(
                index=index, query={"term": {"action": "started"}}, sort=[{"at": "desc"}], size=1000
            )["hits"]["hits"]
        except NotFoundError:
            return []
    return [str(hit["_source"]["rollout"]) for hit in hits]


def _id(rollout: str, number: int) -> str:
    return f"{rollout}-{number:04}"


def _entry(source: Mapping[str, Any]) -> Entry:
    plan, figures = source.get("plan_json"), source.get("figures_json")
    return Entry(
        name=source["name"],
        version=source["version"],
        number=source["number"],
        action=source["action"],
        at_ms=parse_time(source["at"]),
        by=source.get("by"),
        percent=source["percent"],
        from_percent=source["from_percent"],
        reason=source["reason"],
        found=bool(source.get("found")),
        figures=json.loads(figures) if figures else None,
        plan=json.loads(plan) if plan else None,
    )


__all__: Sequence[str] = [
    "ENDS",
    "INDEX",
    "MAPPINGS",
    "SETTINGS",
    "Action",
    "Entry",
    "append",
    "append_next",
    "ensure_index",
    "newest",
    "read_entries",
    "rollouts",
]
