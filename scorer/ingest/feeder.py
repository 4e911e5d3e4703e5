"""Writes documents to Elasticsearch so that each ends at its newest version, whatever fails on the way.

A new item is made; one that is there is merged by the stored script `rank-item-update-v1`: what arrives
twice changes nothing, what arrives late (by `updated_at`) is stale, and what others wrote beside it
(attributes, embeddings, a newer score) stays. A partial one (a price alone) of an item that is not there
waits with it: the item is made as a deleted one, and shown once a whole message comes. On a cluster without
that script a document is replaced whole under `version_type: external_gte`, which is as safe against older
messages but not against losing what others wrote; partial ones are refused there.

What may pass (429, 503, a lost connection) is tried again with jittered backoff for as long as the caller
waits, and `Pace` lets less through in the meantime; what will not is reported item by item with the
server's reason.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from elasticsearch import ApiError, AuthorizationException, ConnectionTimeout, Elasticsearch, TransportError

from ranking import fields
from ranking.errors import ServerError
from ranking.es import server_errors
from scorer.bulk import ENGINE, FATAL_TYPES, PASSING_STATUS, PASSING_TYPES, send_until_taken
from scorer.ingest.analyzer import Document
from scorer.ingest.merging import ANSWERED, UPDATE_SCRIPT, bulk_lines, is_stale
from scorer.ingest.observe import Observer
from scorer.ingest.pace import Pace

_OVERLOAD: Final = frozenset({429, 503, 504})
_MAX_BYTES: Final = 8_000_000  # of one bulk request, where it holds more than one document

Sending = tuple[Document, bytes]  # a document, and its lines in a bulk request


@dataclass(slots=True)
class FeedResult:
    """What became of the documents of one call."""

    written: list[Document] = field(default_factory=list)
    stale: list[Document] = field(default_factory=list)  # the index holds something newer
    refused: list[tuple[Document, str]] = field(default_factory=list)  # for good, with the server's reason
    waiting: int = 0  # of `written`, partial ones of items that are not there, or deleted

    def add(self, other: FeedResult) -> None:
        """Add what became of others."""
        self.written += other.written
        self.stale += other.stale
        self.refused += other.refused
        self.waiting += other.waiting


class Feeder:
    """Bulk writer of item documents.

    Args:
        es: a client.
        index: index or alias to write to; it must exist.
        wait_s: how long to try again while the server refuses or is gone; None waits for ever.
        max_docs: documents in one bulk request, at most.
        max_requests: bulk requests at a time, at most; both shrink while the server pushes back.
        stop: once set, waiting ends at the next failed attempt.
        on_wait: told why, when it begins to wait.
        observer: told of requests, errors and the pace.
    """

    def __init__(
        self,
        es: Elasticsearch,
        index: str,
        *,
        wait_s: float | None = None,
        max_docs: int = 500,
        max_requests: int = 4,
        stop: threading.Event | None = None,
        on_wait: Callable[[str], None] | None = None,
        observer: Observer | None = None,
    ) -> None:
        # Retries are made here, where only what failed is sent again.
        self._es = es.options(max_retries=0, retry_on_timeout=False)
        self._index = index
        self._wait_s = wait_s
        self._observer = observer or Observer()
        self.pace = Pace(max_requests, max_docs, on_change=self._observer.pace)
        self._stop = stop or threading.Event()
        self._on_wait = on_wait
        self._require_alias: bool | None = None
        self._merges: bool | None = None  # with the stored script; None until the server was asked
        self._merges_parts = True  # and that script knows partial documents
        self._likely_new = True  # most of the last request's items were not there before
        self._pool: ThreadPoolExecutor | None = None

    def check(self) -> None:
        """See that there is something to write to, so that a bulk does not create an index by accident.

        Raises:
            ServerError: the index is not there, or the server is not.
        """
        with server_errors(f"looking for {self._index}"):
            self._require_alias = bool(self._es.indices.exists_alias(name=self._index))
            there = self._require_alias or bool(self._es.indices.exists(index=self._index))
            self._merges = self._has_script()
        if not there:
            raise _no_index(self._index)

    def _has_script(self) -> bool:
        try:
            stored = self._es.options(ignore_status=404).get_script(id=UPDATE_SCRIPT)
        except AuthorizationException:
            return True  # a writer may use stored scripts and not read them; a bulk request would say
        source = str(stored.get("script", {}).get("source", ""))
        self._merges_parts = fields.PARTIALS in source
        return bool(stored.get("found"))

    def write(self, documents: Sequence[Document]) -> FeedResult:
        """Write every document, or say which were refused for good.

        Raises:
            ServerError: the server is still gone after `wait_s`, or refuses the request as such.
        """
        result = FeedResult()
        if self._merges is None and documents:
            with server_errors(f"looking for {UPDATE_SCRIPT}"):
                self._merges = self._has_script()
        chunks = list(self._chunks(self._mergeable(documents, result)))
        if len(chunks) < 2 or self.pace.max_requests == 1:
            for chunk in chunks:
                result.add(self._write_chunk(chunk))
            return result
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.pace.max_requests, thread_name_prefix="bulk")
        here = [contextvars.copy_context() for _ in chunks]  # spans of the caller hold in the threads
        work = [
            self._pool.submit(c.run, self._write_chunk, chunk) for c, chunk in zip(here, chunks, strict=True)
        ]
        for one in work:
            result.add(one.result())
        return result

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _chunks(self, documents: Sequence[Document]) -> Iterator[list[Sending]]:
        chunk: list[Sending] = []
        size = 0
        merges = bool(self._merges)
        for document in documents:
            lines = bulk_lines(document, merges=merges, likely_new=self._likely_new)
            if chunk and (len(chunk) == self.pace.max_docs or size + len(lines) > _MAX_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append((document, lines))
            size += len(lines)
        if chunk:
            yield chunk

    def _mergeable(self, documents: Sequence[Document], result: FeedResult) -> Sequence[Document]:
        """What this cluster can write; partial documents need the script as this version has it."""
        partial = [document for document in documents if document.is_partial]
        if not partial:
            return documents
        if self._merges and self._merges_parts:
            return documents
        state = "older than this program" if self._merges else "not there"
        for document in partial:
            why = f"a partial message needs the stored script {UPDATE_SCRIPT}, which is {state}: run "
            self._refuse(
                document, f"{why}`rank-cli templates apply`, then `rank-cli ingest dlq replay`", result
            )
        return [document for document in documents if not document.is_partial]

    def _write_chunk(self, chunk: list[Sending]) -> FeedResult:
        result = FeedResult()
        send_until_taken(
            chunk,
            lambda pending: self._round(pending, result),
            what="documents",
            wait_s=self._wait_s,
            stop=self._stop,
            on_wait=self._on_wait,
        )
        return result

    def _round(self, documents: Sequence[Sending], result: FeedResult) -> tuple[Sequence[Sending], str]:
        """Each document once, in requests as large as the pace allows; the documents to send again, and why.

        Where one request is pushed back, those behind it wait for the next round.
        """
        rest = documents
        while rest:
            with self.pace.request() as began:
                part, rest = rest[: self.pace.docs], rest[self.pace.docs :]
                with self._observer.stage("bulk", len(part)):
                    again, why, overloaded = self._send(part, result)
                if overloaded:
                    self._observer.error("bulk_pushed_back", len(again))
                    self.pace.pushed_back(began, len(part))
                elif not again:
                    self.pace.taken()
            if again:
                return [*again, *rest], why
        return [], ""

    def _send(self, documents: Sequence[Sending], result: FeedResult) -> tuple[list[Sending], str, bool]:
        """One bulk request; the documents to send again, why, and whether for lack of room."""
        try:
            answer = self._es.bulk(
                index=self._index,
                operations=[lines for _, lines in documents],  # type: ignore[misc]  # bytes go as they are
                require_alias=self._require_alias or None,
                filter_path=ANSWERED,
            )
        except ApiError as e:
            if e.status_code in PASSING_STATUS:
                return list(documents), f"HTTP {e.status_code}", e.status_code in _OVERLOAD
            if e.status_code == 413 and len(documents) > 1:
                half = len(documents) // 2
                first, why, overloaded = self._send(documents[:half], result)
                second, why_too, overloaded_too = self._send(documents[half:], result)
                return first + second, why or why_too, overloaded or overloaded_too
            if e.status_code == 413:
                self._refuse(documents[0][0], "the document is larger than the server takes", result)
                return [], "", False
            with server_errors(f"writing to {self._index}"):
                raise
        except TransportError as e:
            return list(documents), str(e.message).splitlines()[0], isinstance(e, ConnectionTimeout)
        there: list[Document] = []
        again, why, overloaded = self._sort(documents, answer["items"], result, there)
        if there:
            likely_new = self._likely_new  # of all of them, not of those that were there
            merged = [(one, bulk_lines(one, merges=True, likely_new=False)) for one in there]
            more, why_too, overloaded_too = self._send(merged, result)
            self._likely_new = likely_new
            again, why, overloaded = again + more, why or why_too, overloaded or overloaded_too
        return again, why, overloaded

    def _sort(
        self,
        documents: Sequence[Sending],
        items: Sequence[Mapping[str, Any]],
        result: FeedResult,
        there: list[Document],
    ) -> tuple[list[Sending], str, bool]:
        """Enter in `result` what became of each, and in `there` the items that were to be made and exist."""
        again: list[Sending] = []
        why, overloaded = "", False
        failures = f"{self._index}-failures"
        rejected: list[tuple[Document, str]] = []
        n_new = 0
        for sending, item in zip(documents, items, strict=True):
            document = sending[0]
            ((action, outcome),) = item.items()
            status, error = outcome["status"], outcome.get("error") or {}
            n_new += status == 201
            kind = error.get("type", "")
            landed = outcome.get("_index", "")
            if action == "create" and status == 409 and not landed.startswith(failures):
                there.append(document)
            elif status in (200, 201, 409) and landed.startswith(failures):
                rejected.append((document, landed))
            elif status < 300 and not is_stale(document, held := outcome.get("get", {}).get("_source", {})):
                result.written.append(document)
                result.waiting += document.is_partial and "waiting" in held.get(fields.PARTIALS, ())
                self._observer.item(document.record, "written")
            elif status < 300 or (status == 409 and not self._merges):
                result.stale.append(document)
                self._observer.item(document.record, "stale")
            elif kind in FATAL_TYPES:
                if kind == "index_not_found_exception":
                    raise _no_index(self._index)
                raise ServerError(ENGINE, f"writing to {self._index}: {error.get('reason')}")
            elif UPDATE_SCRIPT in str(error) and "unable to find script" in str(error):
                raise ServerError(
                    ENGINE,
                    f"the script {UPDATE_SCRIPT} is gone from the cluster",
                    hint="run `rank-cli templates apply`",
                )
            elif status in PASSING_STATUS or kind in PASSING_TYPES or status == 409:
                again.append(sending)  # 409: other writers met it more often than the server tries
                why = f"{kind}: {error.get('reason')}"
                overloaded = overloaded or status in _OVERLOAD
            else:
                self._refuse(document, _reason(error), result)
        self._likely_new = 2 * n_new >= len(items)
        for document, reason in self._rejected(rejected):
            self._refuse(document, f"the ingest pipeline rejected it: {reason}", result)
        return again, why, overloaded

    def _rejected(self, documents: Sequence[tuple[Document, str]]) -> Iterator[tuple[Document, str]]:
        """Why the pipeline rejected each, as it wrote down; where that stands, if this key may not read it.

        Args:
            documents: and the index that each was sent to instead.
        """
        if not documents:
            return
        wanted = [{"_index": landed, "_id": one.item_id, "_source": "reason"} for one, landed in documents]
        try:
            found = self._es.mget(docs=wanted)["docs"]
        except (ApiError, TransportError):
            found = [{}] * len(documents)
        for (document, landed), one in zip(documents, found, strict=True):
            yield document, one.get("_source", {}).get("reason") or f"see {landed}/_doc/{document.item_id}"

    def _refuse(self, document: Document, why: str, result: FeedResult) -> None:
        result.refused.append((document, why))
        self._observer.item(document.record, "refused")


def _no_index(index: str) -> ServerError:
    return ServerError(
        ENGINE,
        f"there is no index or alias {index!r}",
        hint="run `rank-cli templates apply` and `rank-cli index create`",
    )


def _reason(error: Mapping[str, Any]) -> str:
    text = f"{error.get('type', 'error')}: {error.get('reason', 'no reason given')}"
    cause: Mapping[str, Any] = error
    while isinstance(cause.get("caused_by"), Mapping):  # of a script, the last says what is wrong
        cause = cause["caused_by"]
    return text if cause is error or not cause.get("reason") else f"{text} ({cause['reason']})"


__all__ = ["FeedResult", "Feeder"]
