"""A scratch index as of a moment: the documents that were there, with the values they had.

It has the mapping, the analysis and the number of shards of the original, and the same ids, so that every
document lies in the shard where it lay. What BM25 counts (documents, terms, lengths) is then equal, and
relevance with it, bit for bit, as far as the original held no documents that were deleted or replaced and not
yet merged away: Lucene counts those until a merge, and no history knows when that came.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from elasticsearch import Elasticsearch, helpers

from ranking import fields
from ranking.clock import format_time, now_ms
from ranking.errors import BulkError, InputError
from ranking.es import server_errors
from replay.history.store import History

PREFIX: Final = "rank-scratch-"
MARK: Final = "rank_toolkit_scratch"  # in the mapping's _meta: only what carries it is ever removed
_KEPT: Final = (
    "analysis",
    "similarity",
    "number_of_shards",
    "number_of_routing_shards",
    "routing_partition_size",
    "sort",
    "max_result_window",
    "mapping",
)
_CHUNK: Final = 2_000
_SAMPLE: Final = 100  # documents whose ids are looked at


@dataclass(frozen=True, slots=True)
class Scratch:
    """A scratch index."""

    name: str
    of: str  # the index whose shape it has
    at_ms: int
    documents: int
    shards: int
    made_ms: int
    caveats: tuple[str, ...] = ()  # why its statistics may differ from those of the original then

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self) | {"at": format_time(self.at_ms), "made": format_time(self.made_ms)}


@contextmanager
def scratch_index(
    es: Elasticsearch,
    history: History,
    at_ms: int,
    *,
    index: str,
    advance: Callable[[int], object] = lambda _n: None,
) -> Iterator[Scratch]:
    """Make a scratch index as of `at_ms`; it is removed at the end, after a failure and after Ctrl-C too.

    Args:
        es: the cluster.
        history: items as intervals; it must know the fields that the base query searches.
        at_ms: the moment, epoch ms.
        index: an index or alias whose mapping, settings and shards it takes.
        advance: told how many more documents were written.

    Raises:
        InputError: the history has no document then, or lacks the text.
        ServerError: the server refused.
    """
    name = f"{PREFIX}{secrets.token_hex(5)}"
    try:
        yield build_scratch(es, history, at_ms, index=index, name=name, advance=advance)
    finally:
        remove(es, name)


def build_scratch(
    es: Elasticsearch,
    history: History,
    at_ms: int,
    *,
    index: str,
    name: str,
    advance: Callable[[int], object] = lambda _n: None,
) -> Scratch:
    """Make a scratch index and leave it; see `scratch_index`."""
    places = history.alive(at_ms)
    if not len(places):
        raise InputError(f"the history has no document at {format_time(at_ms)}")
    if fields.TITLE not in history.names:
        raise InputError(
            f"the history has no {fields.TITLE}: relevance cannot be rebuilt from it",
            hint="build it from the ingest topic or from whole documents",
        )
    concrete, settings, mappings = _shape(es, index)
    made_ms = now_ms()
    mark = {"at_ms": at_ms, "of": concrete, "made_ms": made_ms}
    mappings["_meta"] = {**mappings.get("_meta", {}), MARK: mark}
    with server_errors(f"make {name}"):
        es.indices.create(index=name, settings=settings, mappings=mappings)
    written = _write(es, history, places, name, advance)
    shards = int(settings["number_of_shards"])
    return Scratch(name, concrete, at_ms, written, shards, made_ms, _caveats(es, concrete, shards))


def leftovers(es: Elasticsearch) -> list[Scratch]:
    """Scratch indices that are there: of a process that was killed, or one that runs now."""
    with server_errors("list scratch indices"):
        found = es.indices.get(index=f"{PREFIX}*", expand_wildcards="all").body
    scratches = []
    for name, state in sorted(found.items()):
        mark = state["mappings"].get("_meta", {}).get(MARK)
        if mark is not None:
            count = es.count(index=name)["count"]
            shards = int(state["settings"]["index"]["number_of_shards"])
            scratches.append(Scratch(name, mark["of"], mark["at_ms"], count, shards, mark["made_ms"]))
    return scratches


def remove(es: Elasticsearch, name: str) -> None:
    """Take a scratch index away; nothing where it is not there.

    Raises:
        InputError: the name is not that of a scratch index.
    """
    if not name.startswith(PREFIX) or "*" in name or "," in name:
        raise InputError(f"{name!r} is not a scratch index")
    with server_errors(f"remove {name}"):
        es.options(ignore_status=404).indices.delete(index=name)


def _shape(es: Elasticsearch, index: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    with server_errors(f"read the shape of {index}"):
        found = es.indices.get(index=index).body
    if len(found) != 1:
        raise InputError(
            f"{index} stands for {len(found)} indices: {', '.join(sorted(found)) or 'none'}",
            hint="name one with --index",
        )
    concrete, state = next(iter(found.items()))
    original = state["settings"]["index"]
    settings = {key: original[key] for key in _KEPT if key in original}
    settings |= {"number_of_replicas": 0, "refresh_interval": "-1"}
    return concrete, settings, dict(state["mappings"])


def _caveats(es: Elasticsearch, index: str, shards: int) -> tuple[str, ...]:
    """What the original shows of why statistics may differ: deleted documents, and other ids."""
    found = []
    with server_errors(f"look at {index}"):
        deleted = es.indices.stats(index=index, metric="docs")["_all"]["primaries"]["docs"]["deleted"]
        wanted = {"includes": [fields.ITEM_ID]}
        hits = es.search(index=index, size=_SAMPLE, source=wanted, sort="_doc")["hits"]["hits"]
    if deleted:
        found.append(f"{index} counts {deleted} deleted documents that are not merged away now")
    other = [hit for hit in hits if "_routing" in hit or hit["_id"] != hit["_source"].get(fields.ITEM_ID)]
    if shards > 1 and other:
        found.append(f"{index} places documents by another key than {fields.ITEM_ID}: shards differ")
    return tuple(found)


def _write(
    es: Elasticsearch,
    history: History,
    places: Any,
    name: str,
    advance: Callable[[int], object],
) -> int:
    """Each document once: nothing is replaced, so nothing deleted is counted."""
    failures: dict[str, str] = {}
    for chunk in np.array_split(places, max(1, -(-len(places) // _CHUNK))):
        documents = history.documents(chunk)
        actions = ({"_index": name, "_id": doc[fields.ITEM_ID], **doc} for doc in documents)
        with server_errors(f"write to {name}"):
            for ok, result in helpers.streaming_bulk(es, actions, raise_on_error=False, chunk_size=_CHUNK):
                if not ok:
                    outcome = result["index"]
                    failures[outcome["_id"]] = str(outcome["error"].get("reason", outcome["error"]))
        advance(len(chunk))
    if failures:
        raise BulkError(failures)
    with server_errors(f"refresh {name}"):
        es.indices.refresh(index=name)
    return len(places)
