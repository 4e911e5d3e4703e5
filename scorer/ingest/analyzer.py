"""Messages become documents: parsed, their photos loaded and scored, what is wrong with them set aside.

An item whose photo is missing or broken goes on without `image_score` (the profile's `missing` value
applies at query time); only a message that cannot be understood at all is kept out of the index.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

import numpy as np

from ranking import fields
from ranking.errors import InputError, ServerError
from ranking.item_message import AiGenerated, ItemMessage, iso_ms, parse_message
from scorer.ingest.newest import newest
from scorer.ingest.observe import Observer
from scorer.ingest.photo_memory import KnownScore, PhotoMemory
from scorer.ingest.photos import KnownPhoto, Photo, PhotoError, Pixels
from scorer.ingest.records import DeadLetter, Record, Stage
from scorer.provenance import more_suspicious
from scorer.serving.client import BadScoresError, Scored

_AHEAD: Final = 64  # photos of one batch that are loaded before they are scored


class Scorer(Protocol):
    """What scores a batch: `scorer.serving.ScoreClient`, or a stand-in in tests."""

    def score(self, images: Pixels, /) -> Scored:
        """Scores of uint8 [n, height, width, 3]."""


class Loader(Protocol):
    """What loads photos: `scorer.ingest.photos.PhotoLoader`."""

    def submit(self, url: str, /) -> Future[Photo]:
        """Begin to load one photo."""


class KnowingLoader(Loader, Protocol):
    """A loader that leaves a photo undecoded where its score is known; needed with a `PhotoMemory`."""

    def submit_unless(self, url: str, known: Callable[[str], bool], /) -> Future[Photo | KnownPhoto]:
        """Begin to read one photo, and to decode it unless `known` says so of its digest."""


@dataclass(slots=True)  # not frozen: that quadruples what making one costs, and its source grows anyway
class Document:
    """One document to write, whole or in part, and the record it came from."""

    item_id: str
    version: int  # updated_at, epoch ms
    source: dict[str, Any]
    record: Record
    emptied: frozenset[str] = frozenset()  # fields of the item that it no longer has
    is_partial: bool = False  # holds only what changed

    @property
    def merged(self) -> dict[str, Any]:
        """What is merged into the item where the index has it already: `source`, and nulls for what went."""
        return {**dict.fromkeys(self.emptied), **self.source}

    @property
    def has_photo(self) -> bool:
        """Whether it says anything of the item's photo."""
        return not self.is_partial or fields.IMAGE_URL in self.merged

    @property
    def is_scored(self) -> bool:
        """Whether it carries an image score."""
        return fields.IMAGE_SCORE in self.source

    @property
    def is_deleted(self) -> bool:
        """Whether it marks its item as deleted."""
        return bool(self.source.get(fields.STATUS) == fields.DELETED)


@dataclass(slots=True)
class Analysis:
    """What became of one batch of records."""

    documents: list[Document] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    superseded: int = 0  # records with a newer one of the same item in the same batch
    reused: int = 0  # documents with a score that was known, so that nothing was scored for them
    awaiting_score: int = 0  # documents that go on unscored because the scorer was given up


_Loading = tuple[Document, ItemMessage, "Future[Any]", KnownScore | None]


@dataclass(slots=True)
class _ToScore:
    """One photo, and the documents that show it."""

    documents: list[Document]
    photo: Photo


class Analyzer:
    """Turns records into documents.

    Args:
        scorer: scores photos.
        loader: loads photos.
        score_batch: photos in one request to the scorer.
        memory: knows scores already; it needs a loader with `submit_unless`.
        index_unscored: where the scorer fails, let items go on without a score instead of failing. They have
            no `image_score_version`, by which a backfill finds them.
        now_ms: the clock, epoch ms.
        observer: told of stages and errors.
    """

    def __init__(
        self,
        scorer: Scorer,
        loader: Loader | KnowingLoader,
        *,
        score_batch: int = 16,
        memory: PhotoMemory | None = None,
        index_unscored: bool = False,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        observer: Observer | None = None,
    ) -> None:
        self._scorer = scorer
        self._loader = loader
        self._score_batch = score_batch
        self._memory = memory
        self._index_unscored = index_unscored
        self._now_ms = now_ms
        self._observer = observer or Observer()

    def analyze(self, records: Sequence[Record]) -> Analysis:
        """Documents of `records` and dead letters.

        Of one item, its newest whole message and what changed by itself since then, in order of their age.

        Raises:
            ServerError: the scorer failed, and `index_unscored` is not chosen.
        """
        result = Analysis()
        shown: list[tuple[Document, ItemMessage]] = []
        parsed = [(m, record) for record in records if (m := self._parse(record, result)) is not None]
        news, result.superseded = newest(parsed)
        for message, record in news:
            document = _document(message, record)
            result.documents.append(document)
            if message.is_deleted or not document.has_photo:
                continue
            if message.image_url:
                shown.append((document, message))
            elif not message.is_partial:
                self._set_aside(result, record, "photo", "the item has no photo", document.item_id)
        for batch in self._loaded(_ahead(self._begin(shown, result), _AHEAD), result):
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
            self._observer.item(record, "parse")
            return None

    def _begin(self, shown: Sequence[tuple[Document, ItemMessage]], result: Analysis) -> Iterator[_Loading]:
        """Begin to load the photos whose score is not known by the item and the photo's address alone."""
        held: dict[str, KnownScore] = {}
        if self._memory is not None and shown:
            with self._observer.stage("lookup", len(shown)):
                held = self._memory.of_items([document.item_id for document, _ in shown])
        for document, message in shown:
            url, known = message.image_url or "", held.get(document.item_id)
            if self._memory is None:
                yield document, message, self._loader.submit(url), None
            elif known is not None and self._memory.same_address(known, message.stored_url):
                self._reuse(document, known, result)
            else:
                started = self._loader.submit_unless(  # type: ignore[union-attr]
                    url, partial(self._is_known, held=known)
                )
                yield document, message, started, known

    def _loaded(self, loading: Iterable[_Loading], result: Analysis) -> Iterator[list[_ToScore]]:
        """Batches in the order of the records, as soon as their photos are there."""
        batch: list[_ToScore] = []
        for document, message, started, held in loading:
            try:
                with self._observer.stage("photo", 1):
                    photo: Photo | KnownPhoto = started.result()
                known = self._known(photo.digest, held)
                if known is None and isinstance(photo, KnownPhoto):  # another model went live in between
                    photo = self._loader.submit(message.image_url or "").result()
            except PhotoError as e:
                self._set_aside(result, document.record, "photo", str(e), document.item_id)
                continue
            if self._memory is not None and photo.digest is not None:
                document.source[fields.IMAGE_HASH] = photo.digest
            if known is not None:
                self._reuse(document, known, result)
                continue
            assert isinstance(photo, Photo)
            _flag(document, photo.ai)
            same = [one for one in batch if photo.digest is not None and one.photo.digest == photo.digest]
            if same and self._memory is not None:
                same[0].documents.append(document)
                result.reused += 1
            else:
                batch.append(_ToScore([document], photo))
            if len(batch) == self._score_batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _is_known(self, digest: str, *, held: KnownScore | None) -> bool:
        return self._known(digest, held) is not None

    def _known(self, digest: str | None, held: KnownScore | None) -> KnownScore | None:
        if self._memory is None or digest is None:
            return None
        return self._memory.of_photo(digest, held)

    def _reuse(self, document: Document, known: KnownScore, result: Analysis) -> None:
        if known.digest is not None:
            document.source[fields.IMAGE_HASH] = known.digest
        document.source[fields.IMAGE_SCORE] = known.score
        document.source[fields.IMAGE_SCORE_VERSION] = known.version
        document.source[fields.IMAGE_SCORED_AT] = known.scored_at
        _flag(document, known.ai)
        result.reused += 1

    def _score(self, batch: Sequence[_ToScore], result: Analysis) -> None:
        images = np.stack([one.photo.pixels for one in batch])
        try:
            with self._observer.stage("score", len(batch)):
                scored = self._scorer.score(images)
            scores, bad, version = scored.scores, np.zeros(len(batch), dtype=np.bool_), scored.model_version
        except BadScoresError as e:
            scores, bad, version = e.scores, e.bad, e.model_version
        except ServerError:
            self._observer.error("score_unavailable", len(batch))
            if not self._index_unscored:
                raise
            result.awaiting_score += sum(len(one.documents) for one in batch)
            return
        scored_at = iso_ms(self._now_ms())
        for one, score, is_bad in zip(batch, scores, bad, strict=True):
            if is_bad:
                reason = f"the model answered {score}, which is no score in [0, 1] (weights {version})"
                for document in one.documents:
                    self._set_aside(result, document.record, "score", reason, document.item_id)
                continue
            for document in one.documents:
                document.source[fields.IMAGE_SCORE] = float(score)
                document.source[fields.IMAGE_SCORE_VERSION] = version
                document.source[fields.IMAGE_SCORED_AT] = scored_at
            if self._memory is not None:
                self._memory.remember(
                    KnownScore(one.photo.digest, float(score), version, scored_at, one.photo.ai)
                )

    def _set_aside(
        self, result: Analysis, record: Record, stage: Stage, reason: str, item_id: str | None
    ) -> None:
        self._observer.error(stage)
        result.dead_letters.append(DeadLetter(record, stage, reason, iso_ms(self._now_ms()), item_id))


def _ahead(loading: Iterable[_Loading], n: int) -> Iterator[_Loading]:
    """`loading`, of which as many as `n` are begun before they are asked for: what is decoded takes room."""
    begun: deque[_Loading] = deque()
    for one in loading:
        begun.append(one)
        if len(begun) > n:
            yield begun.popleft()
    yield from begun


def _document(message: ItemMessage, record: Record) -> Document:
    source = message.to_document()
    emptied = message.speaks_of.difference(source)
    return Document(message.item_id, message.updated_at, source, record, emptied, message.is_partial)


def _flag(document: Document, ai: AiGenerated | None) -> None:
    """What is known of how the photo was made, beside what the message said."""
    said = document.source.get(fields.AI_GENERATED)
    found = more_suspicious(None if said is None else AiGenerated.model_validate(said), ai)
    if found is not None:
        document.source[fields.AI_GENERATED] = found.model_dump(exclude_none=True)


def _tombstone(record: Record) -> dict[str, Any]:
    """A record without a value is a delete of its key, at the time that Kafka stamped it."""
    if not record.key:
        raise InputError("a record with neither key nor value")
    return {
        fields.ITEM_ID: record.key.decode(),
        fields.STATUS: fields.DELETED,
        fields.UPDATED_AT: record.timestamp_ms,
    }


__all__ = ["Analysis", "Analyzer", "Document", "KnowingLoader", "Loader", "Scorer"]
