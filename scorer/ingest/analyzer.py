"""Messages become documents: parsed, their photos loaded and scored, what is wrong with them set aside.

An item whose photo is missing or broken goes on without `image_score` (the profile's `missing` value
applies at query time); only a message that cannot be understood at all is kept out of the index.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ranking import fields
from ranking.errors import InputError
from ranking.item_message import ItemMessage, iso_ms, parse_message
from scorer.ingest.photos import Photo, PhotoError, Pixels
from scorer.ingest.records import DeadLetter, Record, Stage
from scorer.provenance import more_suspicious
from scorer.serving.client import BadScoresError, Scored


class Scorer(Protocol):
    """What scores a batch: `scorer.serving.ScoreClient`, or a stand-in in tests."""

    def score(self, images: Pixels, /) -> Scored:
        """Scores of uint8 [n, height, width, 3]."""


class Loader(Protocol):
    """What loads photos: `scorer.ingest.photos.PhotoLoader`."""

    def submit(self, url: str, /) -> Future[Photo]:
        """Begin to load one photo."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document to write, and the record it came from."""

    item_id: str
    version: int  # updated_at, epoch ms
    source: dict[str, Any]
    record: Record

    @property
    def is_scored(self) -> bool:
        """Whether it carries an image score."""
        return fields.IMAGE_SCORE in self.source

    @property
    def is_deleted(self) -> bool:
        """Whether it marks its item as deleted."""
        return bool(self.source[fields.STATUS] == fields.DELETED)


@dataclass(slots=True)
class Analysis:
    """What became of one batch of records."""

    documents: list[Document] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    superseded: int = 0  # records with a newer one of the same item in the same batch


class Analyzer:
    """Turns records into documents.

    Args:
        scorer: scores photos.
        loader: loads photos.
        score_batch: photos in one request to the scorer.
        now_ms: the clock, epoch ms.
    """

    def __init__(
        self,
        scorer: Scorer,
        loader: Loader,
        *,
        score_batch: int = 16,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._scorer = scorer
        self._loader = loader
        self._score_batch = score_batch
        self._now_ms = now_ms

    def analyze(self, records: Sequence[Record]) -> Analysis:
        """Documents of `records`, one for each item (its newest), and dead letters."""
        result = Analysis()
        newest: dict[str, tuple[ItemMessage, Record]] = {}
        for record in records:
            message = self._parse(record, result)
            if message is None:
                continue
            known = newest.get(message.item_id)
            result.superseded += known is not None
            if known is None or message.updated_at >= known[0].updated_at:
                newest[message.item_id] = (message, record)
        result.documents = [
            Document(message.item_id, message.updated_at, message.to_document(), record)
            for message, record in newest.values()
        ]
        loading = [
            (document, message, self._loader.submit(message.image_url))
            for document, (message, _) in zip(result.documents, newest.values(), strict=True)
            if message.image_url and not message.is_deleted
        ]
        for document, (message, _) in zip(result.documents, newest.values(), strict=True):
            if not message.image_url and not message.is_deleted:
                self._set_aside(result, document.record, "photo", "the item has no photo", document.item_id)
        for batch in self._loaded(loading, result):
            self._score(batch, result)
        return result

    def _parse(self, record: Record, result: Analysis) -> ItemMessage | None:
        try:
            if record.value is not None:
                return parse_message(record.value)
            return parse_message(_tombstone(record))
        except (InputError, UnicodeDecodeError) as e:
            key = record.key.decode(errors="replace") if record.key else None
            self._set_aside(result, record, "parse", str(e), key)
            return None

    def _loaded(
        self, loading: Sequence[tuple[Document, ItemMessage, Future[Photo]]], result: Analysis
    ) -> Iterator[list[tuple[Document, Pixels]]]:
        """Batches in the order of the records, as soon as their photos are there."""
        batch: list[tuple[Document, Pixels]] = []
        for document, message, loaded in loading:
            try:
                photo = loaded.result()
                batch.append((document, photo.pixels))
                ai = more_suspicious(message.ai_generated, photo.ai)
                if ai is not None:
                    document.source[fields.AI_GENERATED] = ai.model_dump(exclude_none=True)
            except PhotoError as e:
                self._set_aside(result, document.record, "photo", str(e), document.item_id)
            if len(batch) == self._score_batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _score(self, batch: Sequence[tuple[Document, Pixels]], result: Analysis) -> None:
        images = np.stack([pixels for _, pixels in batch])
        try:
            scored = self._scorer.score(images)
            scores, bad, version = scored.scores, np.zeros(len(batch), dtype=np.bool_), scored.model_version
        except BadScoresError as e:
            scores, bad, version = e.scores, e.bad, e.model_version
        scored_at = iso_ms(self._now_ms())
        for (document, _), score, is_bad in zip(batch, scores, bad, strict=True):
            if is_bad:
                reason = f"the model answered {score}, which is no score in [0, 1] (weights {version})"
                self._set_aside(result, document.record, "score", reason, document.item_id)
                continue
            document.source[fields.IMAGE_SCORE] = float(score)
            document.source[fields.IMAGE_SCORE_VERSION] = version
            document.source[fields.IMAGE_SCORED_AT] = scored_at

    def _set_aside(
        self, result: Analysis, record: Record, stage: Stage, reason: str, item_id: str | None
    ) -> None:
        result.dead_letters.append(DeadLetter(record, stage, reason, iso_ms(self._now_ms()), item_id))


def _tombstone(record: Record) -> dict[str, Any]:
    """A record without a value is a delete of its key, at the time that Kafka stamped it."""
    if not record.key:
        raise InputError("a record with neither key nor value")
    return {
        fields.ITEM_ID: record.key.decode(),
        fields.STATUS: fields.DELETED,
        fields.UPDATED_AT: record.timestamp_ms,
    }


__all__ = ["Analysis", "Analyzer", "Document", "Loader", "Scorer"]
