"""What the ingest tells whoever watches it; `scorer.ingest.metrics` and `scorer.ingest.tracing` listen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Literal

from scorer.ingest.records import Record

Doing = Literal["lookup", "photo", "score", "bulk", "dead_letter"]
Outcome = Literal["written", "stale", "refused", "parse"]


class Observer:
    """Told what happens; does nothing. Its methods are called from several threads."""

    def batch(self, _records: Sequence[Record]) -> AbstractContextManager[None]:
        """Around the work on one batch of records."""
        return contextlib.nullcontext()

    def stage(self, _doing: Doing, _n: int) -> AbstractContextManager[None]:
        """Around one stage of a batch: `n` items are looked up, loaded, scored, written."""
        return contextlib.nullcontext()

    def item(self, record: Record, outcome: Outcome) -> None:
        """A record has arrived: its document is in the index, or is refused there."""

    def error(self, kind: str, n: int = 1) -> None:
        """Something went wrong `n` times: `photo`, `parse`, `write`, `bulk_pushed_back`, ..."""

    def pace(self, requests: float, docs: float) -> None:
        """Bulk requests at a time, and documents in one, from now on at most."""

    def lag(self, partitions: Mapping[int, int]) -> None:
        """Records that wait, by partition."""

    def finished(self, counts: Mapping[str, Any]) -> None:
        """A batch is in the index; the counts of `IngestSummary` for it alone."""


class Observers(Observer):
    """Several as one."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    @contextlib.contextmanager
    def batch(self, records: Sequence[Record]) -> Iterator[None]:
        """Around the work on one batch of records."""
        with ExitStack() as stack:
            for observer in self._observers:
                stack.enter_context(observer.batch(records))
            yield

    @contextlib.contextmanager
    def stage(self, doing: Doing, n: int) -> Iterator[None]:
        """Around one stage of a batch."""
        with ExitStack() as stack:
            for observer in self._observers:
                stack.enter_context(observer.stage(doing, n))
            yield

    def item(self, record: Record, outcome: Outcome) -> None:
        """A record has arrived."""
        for observer in self._observers:
            observer.item(record, outcome)

    def error(self, kind: str, n: int = 1) -> None:
        """Something went wrong."""
        for observer in self._observers:
            observer.error(kind, n)

    def pace(self, requests: float, docs: float) -> None:
        """Bulk requests at a time, and documents in one."""
        for observer in self._observers:
            observer.pace(requests, docs)

    def lag(self, partitions: Mapping[int, int]) -> None:
        """Records that wait, by partition."""
        for observer in self._observers:
            observer.lag(partitions)

    def finished(self, counts: Mapping[str, Any]) -> None:
        """A batch is in the index."""
        for observer in self._observers:
            observer.finished(counts)


__all__ = ["Doing", "Observer", "Observers", "Outcome"]
