"""The work on one batch of records, whichever broker they came from."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ranking.item_message import iso_ms
from scorer.ingest.analyzer import Analyzer
from scorer.ingest.feeder import Feeder
from scorer.ingest.observe import Observer
from scorer.ingest.records import DeadLetter, Record


class DeadLetters(Protocol):
    """Where records go that cannot be used."""

    def put(self, letters: Iterable[DeadLetter], /) -> int:
        """Write `letters`; how many they were. They are safe once this returns."""


@dataclass(slots=True)
class IngestSummary:
    """What one run did. received = indexed + stale + dead letters of stages `parse` and `write`."""

    received: int = 0  # records read, those delivered again included
    indexed: int = 0  # documents that the index took = scored + unscored + deleted + partial
    scored: int = 0  # of these, with an image score
    unscored: int = 0  # of these, on the shelf without an image score
    deleted: int = 0  # of these, marked as deleted
    partial: int = 0  # of these, changes that say nothing of the photo, as of a price
    waiting: int = 0  # changes of items that are not there, or deleted: kept until the item comes
    reused: int = 0  # scores that were known, by photo hash or address: nothing was scored for them
    awaiting_score: int = 0  # went on unscored because the scorer was given up; a backfill finds them
    stale: int = 0  # older than what the index or the batch already had
    dead_letters: int = 0  # of all stages; an item with a broken photo is both indexed and here
    seconds: float = 0.0
    interrupted: bool = False  # stopped before all was finished; what was at work is delivered again

    def to_dict(self) -> dict[str, Any]:
        """For printing: counts, seconds and items per second."""
        rate = self.received / self.seconds if self.seconds else 0.0
        return {**asdict(self), "seconds": round(self.seconds, 3), "per_second": round(rate, 1)}

    def add(self, other: IngestSummary) -> None:
        """Add the counts of one more batch; batches overlap, so their seconds are not added."""
        for name, value in asdict(other).items():
            if name not in ("seconds", "interrupted"):
                setattr(self, name, getattr(self, name) + value)


class Worker:
    """Analyzer, then feeder, then dead letters. Once it returns, each record is safe and may be acknowledged.

    Args:
        analyzer: records to documents.
        feeder: documents to the index.
        dead_letters: where records go that cannot be used.
        observer: told of each batch.
    """

    def __init__(
        self,
        analyzer: Analyzer,
        feeder: Feeder,
        dead_letters: DeadLetters,
        *,
        observer: Observer | None = None,
    ) -> None:
        self._analyzer = analyzer
        self._feeder = feeder
        self._dead_letters = dead_letters
        self._observer = observer or Observer()

    def __call__(self, records: list[Record]) -> IngestSummary:
        """Work on one batch; its counts.

        Raises:
            ServerError: an engine refuses for good, or is still gone; some of the batch may be written.
        """
        began = time.monotonic()
        with self._observer.batch(records):
            done = self._work(records)
        done.seconds = time.monotonic() - began
        return done

    def _work(self, records: list[Record]) -> IngestSummary:
        analysis = self._analyzer.analyze(records)
        fed = self._feeder.write(analysis.documents)
        at = iso_ms(time.time_ns() // 1_000_000)
        letters = [
            *analysis.dead_letters,
            *(DeadLetter(doc.record, "write", reason, at, doc.item_id) for doc, reason in fed.refused),
        ]
        if fed.refused:
            self._observer.error("write", len(fed.refused))
        if letters:
            with self._observer.stage("dead_letter", len(letters)):
                self._dead_letters.put(letters)
        deleted = scored = partial = 0
        for document in fed.written:
            deleted += document.is_deleted
            scored += document.is_scored
            partial += not document.has_photo
        done = IngestSummary(
            received=len(records),
            indexed=len(fed.written),
            scored=scored,
            unscored=len(fed.written) - scored - deleted - partial,
            deleted=deleted,
            partial=partial,
            waiting=fed.waiting,
            reused=analysis.reused,
            awaiting_score=analysis.awaiting_score,
            stale=len(fed.stale) + analysis.superseded,
            dead_letters=len(letters),
        )
        self._observer.finished(asdict(done))
        return done


__all__ = ["DeadLetters", "IngestSummary", "Worker"]
