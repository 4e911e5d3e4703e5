"""Follows deletes: a deleted document leaves no sequence number that a search could find.

The ids of the copy are read once, while writes go on, and kept in memory as compact batches (about 15 bytes
an id). Whether all of a batch are still in the old index is one count, so that under the write block only the
batches that have lost something are looked at id by id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from elasticsearch import Elasticsearch

from index_templates.copying import delete_versions, horizon, ids_with_versions, versions
from ranking.es import server_errors

_BATCH: Final = 5_000  # ids in one count


class Ledger:
    """The ids that were copied to an index, and the check that the old index still has them."""

    def __init__(self, old: str, new: str) -> None:
        self.old = old
        self.new = new
        self._batches: list[bytes] = []
        self._seen = 0  # sequence numbers of `new` below it are in the batches

    def drop_deleted(self, es: Elasticsearch) -> int:
        """Remove from `new` what `old` has no longer; how many.

        While `old` is written to, a delete that is not refreshed yet is left for the next call.
        """
        self._read_on(es)
        with server_errors(f"refresh {self.old}"):
            es.indices.refresh(index=self.old)
        dropped = 0
        for i, packed in enumerate(self._batches):
            ids: list[str] = json.loads(packed)
            if self._count(es, ids) == len(ids):
                continue
            held = versions(es, self.old, ids)
            gone = versions(es, self.new, [doc_id for doc_id in ids if doc_id not in held])
            delete_versions(es, self.new, gone)
            self._batches[i] = _pack(held)
            dropped += len(gone)
        return dropped

    def _read_on(self, es: Elasticsearch) -> None:
        """Add the ids that came to `new` since the last call; an id may stand in two batches."""
        _, end = horizon(es, self.new)
        if end == self._seen:
            return
        with server_errors(f"refresh {self.new}"):
            es.indices.refresh(index=self.new)
        written = {"range": {"_seq_no": {"gte": self._seen}}}
        for found in ids_with_versions(es, self.new, written, size=_BATCH):
            self._batches.append(_pack(found))
        self._seen = end

    def _count(self, es: Elasticsearch, ids: list[str]) -> int:
        with server_errors(f"count in {self.old}"):
            return int(es.count(index=self.old, query={"ids": {"values": ids}})["count"])


def _pack(ids: Mapping[str, int]) -> bytes:
    return json.dumps(list(ids), separators=(",", ":")).encode()
