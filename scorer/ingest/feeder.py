"""Writes documents to Elasticsearch so that each ends at its newest version, whatever fails on the way.

`version_type: external_gte` with `updated_at` as the version makes a write repeatable: what arrives twice
changes nothing, what arrives late is refused with 409 and counted as stale. What may pass (429, 503, a lost
connection) is tried again with jittered backoff for as long as the caller waits; what will not is reported
item by item with the server's reason.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import stamina
from elasticsearch import ApiError, Elasticsearch, TransportError

from ranking.errors import ServerError
from ranking.es import server_errors
from scorer.ingest.analyzer import Document

ENGINE: Final = "Elasticsearch"
_PASSING_STATUS: Final = frozenset({429, 502, 503, 504})
_PASSING_TYPES: Final = frozenset({"cluster_block_exception", "unavailable_shards_exception"})
_FATAL_TYPES: Final = frozenset({"index_not_found_exception", "security_exception"})
_MAX_BYTES: Final = 8_000_000  # of one bulk request, about


class _TryAgain(Exception):
    """Something was refused that may be taken later."""


@dataclass(slots=True)
class FeedResult:
    """What became of the documents of one call."""

    written: list[Document] = field(default_factory=list)
    stale: list[Document] = field(default_factory=list)  # the index holds something newer
    refused: list[tuple[Document, str]] = field(default_factory=list)  # for good, with the server's reason


class Feeder:
    """Bulk writer of item documents.

    Args:
        es: a client.
        index: index or alias to write to; it must exist.
        wait_s: how long to try again while the server refuses or is gone; None waits for ever.
        max_docs: documents in one bulk request.
        stop: once set, waiting ends at the next failed attempt.
        on_wait: told why, when it begins to wait.
    """

    def __init__(
        self,
        es: Elasticsearch,
        index: str,
        *,
        wait_s: float | None = None,
        max_docs: int = 500,
        stop: threading.Event | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        # Retries are made here, where only what failed is sent again.
        self._es = es.options(max_retries=0, retry_on_timeout=False)
        self._index = index
        self._wait_s = wait_s
        self._max_docs = max_docs
        self._stop = stop or threading.Event()
        self._on_wait = on_wait
        self._require_alias: bool | None = None

    def check(self) -> None:
        """See that there is something to write to, so that a bulk does not create an index by accident.

        Raises:
            ServerError: the index is not there, or the server is not.
        """
        with server_errors(f"looking for {self._index}"):
            self._require_alias = bool(self._es.indices.exists_alias(name=self._index))
            there = self._require_alias or bool(self._es.indices.exists(index=self._index))
        if not there:
            raise _no_index(self._index)

    def write(self, documents: Sequence[Document]) -> FeedResult:
        """Write every document, or say which were refused for good.

        Raises:
            ServerError: the server is still gone after `wait_s`, or refuses the request as such.
        """
        result = FeedResult()
        for chunk in self._chunks(documents):
            self._write_chunk(chunk, result)
        return result

    def _chunks(self, documents: Sequence[Document]) -> Iterator[list[Document]]:
        chunk: list[Document] = []
        size = 0
        for document in documents:
            weight = 500 + sum(len(v) for v in document.source.values() if isinstance(v, str))
            if chunk and (len(chunk) == self._max_docs or size + weight > _MAX_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(document)
            size += weight
        if chunk:
            yield chunk

    def _write_chunk(self, chunk: list[Document], result: FeedResult) -> None:
        pending = chunk
        attempts = 1 if self._wait_s == 0 else None
        told = False

        def again(error: Exception) -> bool:
            nonlocal told
            if not isinstance(error, _TryAgain) or self._stop.is_set():
                return False
            if self._on_wait and not told:
                self._on_wait(f"{ENGINE}: {error}")
            told = True
            return True

        try:
            for attempt in stamina.retry_context(
                on=again,
                attempts=attempts,
                timeout=self._wait_s or None,
                wait_initial=0.2,
                wait_max=5.0,
                wait_jitter=1.0,
            ):
                with attempt:
                    pending, why = self._send(pending, result)
                    _raise_if(pending, why)
        except _TryAgain as e:
            raise ServerError(
                ENGINE,
                f"{len(pending)} documents are not written yet: {e}",
                hint="nothing is lost; run `rank-cli stack status`, then the same command again",
            ) from e

    def _send(self, documents: Sequence[Document], result: FeedResult) -> tuple[list[Document], str]:
        """One bulk request; the documents to send again, and why."""
        operations: list[Mapping[str, Any]] = []
        for document in documents:
            action = {"_id": document.item_id, "version": document.version, "version_type": "external_gte"}
            operations += [{"index": action}, document.source]
        try:
            answer = self._es.bulk(
                index=self._index, operations=operations, require_alias=self._require_alias or None
            )
        except ApiError as e:
            if e.status_code in _PASSING_STATUS:
                return list(documents), f"HTTP {e.status_code}"
            if e.status_code == 413 and len(documents) > 1:
                half = len(documents) // 2
                first, why = self._send(documents[:half], result)
                second, why_too = self._send(documents[half:], result)
                return first + second, why or why_too
            if e.status_code == 413:
                result.refused.append((documents[0], "the document is larger than the server takes"))
                return [], ""
            with server_errors(f"writing to {self._index}"):
                raise
        except TransportError as e:
            return list(documents), str(e.message).splitlines()[0]
        return self._sort(documents, answer["items"], result)

    def _sort(
        self, documents: Sequence[Document], items: Sequence[Mapping[str, Any]], result: FeedResult
    ) -> tuple[list[Document], str]:
        again: list[Document] = []
        why = ""
        for document, item in zip(documents, items, strict=True):
            outcome = item["index"]
            status, error = int(outcome["status"]), outcome.get("error") or {}
            kind = error.get("type", "")
            landed = str(outcome.get("_index", ""))
            if status < 300 and landed.startswith(f"{self._index}-failures"):
                why_not = f"the ingest pipeline rejected it: see {landed}/_doc/{document.item_id}"
                result.refused.append((document, why_not))
            elif status < 300:
                result.written.append(document)
            elif kind in _FATAL_TYPES:
                if kind == "index_not_found_exception":
                    raise _no_index(self._index)
                raise ServerError(ENGINE, f"writing to {self._index}: {error.get('reason')}")
            elif status == 409:
                result.stale.append(document)
            elif status in _PASSING_STATUS or kind in _PASSING_TYPES:
                again.append(document)
                why = f"{kind}: {error.get('reason')}"
            else:
                result.refused.append((document, _reason(error)))
        return again, why


def _raise_if(pending: Sequence[Document], why: str) -> None:
    if pending:
        raise _TryAgain(why)


def _no_index(index: str) -> ServerError:
    return ServerError(
        ENGINE,
        f"there is no index or alias {index!r}",
        hint="run `rank-cli templates apply` and `rank-cli index create`",
    )


def _reason(error: Mapping[str, Any]) -> str:
    cause = error.get("caused_by") or {}
    text = f"{error.get('type', 'error')}: {error.get('reason', 'no reason given')}"
    return f"{text} ({cause['reason']})" if cause.get("reason") else text


__all__ = ["FeedResult", "Feeder"]
