"""The paper's online path as a Beam pipeline: messages -> analyzer -> feeder, dead letters beside.

    messages -> key by item -> batches by size and time -> analyze and write -> (dead letters)

The analyzer and the feeder are those of `rank-cli ingest stream`; only what stands around them differs. All
changes of one item have one key, so they are worked on one batch at a time; the order itself is kept by the
document versions (`updated_at`), whichever batch comes first. A bundle that fails is tried again by the
runner, which the versions make harmless: a message is acknowledged only after its bundle is through.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import apache_beam as beam
from apache_beam.metrics.metric import Metrics

from ranking import fields
from ranking.es import connect
from ranking.item_message import iso_ms
from scorer.backfill.scoring import ScorerSpec
from scorer.ingest.analyzer import Analyzer
from scorer.ingest.feeder import Feeder
from scorer.ingest.photos import PhotoLoader, PhotoSource
from scorer.ingest.records import DeadLetter, Record
from scorer.serving.client import ONLINE

NAMESPACE: Final = "ingest"
DEAD_LETTERS: Final = "dead_letters"
_MIN_BYTES: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """What a worker needs. No key and no address with a password: those are in its own environment.

    Args:
        index: index or alias to write to; it must exist.
        scorer: which model.
        photos: where photos may come from.
        batch: messages worked on at a time.
        batch_s: how long a batch waits to be full.
        keys: into so many keys the items are spread; at most so many batches are at work at a time.
        score_batch: photos in one request to the model.
        wait_s: how long to wait for an engine that is gone, before the bundle is given back to the runner.
    """

    index: str
    scorer: ScorerSpec = field(default_factory=lambda: ScorerSpec(wait_s=60.0, priority=ONLINE))
    photos: PhotoSource = field(default_factory=PhotoSource)
    batch: int = 64
    batch_s: float = 1.0
    keys: int = 64
    score_batch: int = 16
    wait_s: float = 60.0


def to_record(message: Any, source: str = "") -> Record:
    """A record of the ingest from a Pub/Sub message, or from bytes.

    A message without data is a tombstone of the item that its attribute `item_id` or its ordering key names.
    """
    if isinstance(message, bytes):
        return Record(value=message, topic=source)
    attributes = message.attributes or {}
    key = attributes.get(fields.ITEM_ID) or message.ordering_key
    published = message.publish_time
    return Record(
        value=message.data if len(message.data or b"") >= _MIN_BYTES else None,
        key=key.encode() if key else None,
        topic=source,
        timestamp_ms=None if published is None else int(published.timestamp() * 1000),
    )


def item_key(record: Record, keys: int) -> int:
    """The same number in [0, keys) for every change of one item; by the whole message where it has none."""
    name = record.key
    if name is None:
        try:
            name = str(json.loads(record.value or b"")[fields.ITEM_ID]).encode()
        except (ValueError, KeyError, TypeError):
            name = record.value or b""
    return zlib.crc32(name) % keys


class AnalyzeAndWrite(beam.DoFn):
    """A batch of records is scored and written; what cannot be used goes to the output `dead_letters`."""

    def __init__(self, settings: PipelineSettings, now_ms: Callable[[], int] | None = None) -> None:
        self._settings = settings
        self._now_ms = now_ms

    def setup(self) -> None:
        """Open what this thread needs."""
        from ranking.clock import now_ms

        settings = self._settings
        self._clock = self._now_ms or now_ms
        self._es = connect()
        scorer = settings.scorer.open()
        self._loader = PhotoLoader.for_size(settings.photos, scorer.image_size)
        self._analyzer = Analyzer(scorer, self._loader, score_batch=settings.score_batch, now_ms=self._clock)
        self._feeder = Feeder(self._es, settings.index, wait_s=settings.wait_s)
        self._feeder.check()

    def process(self, keyed: tuple[int, Iterable[Record]]) -> Iterator[Any]:
        """Analyze and write one batch.

        Raises:
            ServerError: an engine is still gone after `wait_s`: the runner gives the bundle out again.
        """
        _, batch = keyed
        records = list(batch)
        analysis = self._analyzer.analyze(records)
        fed = self._feeder.write(analysis.documents)
        at = iso_ms(self._clock())
        letters = [
            *analysis.dead_letters,
            *(DeadLetter(doc.record, "write", why, at, doc.item_id) for doc, why in fed.refused),
        ]
        counts = {
            "received": len(records),
            "indexed": len(fed.written),
            "scored": sum(document.is_scored for document in fed.written),
            "stale": len(fed.stale) + analysis.superseded,
            "dead_letters": len(letters),
        }
        for name, n in counts.items():
            Metrics.counter(NAMESPACE, name).inc(n)
        Metrics.distribution(NAMESPACE, "batch_size").update(len(records))
        for letter in letters:
            text = json.dumps(letter.to_dict(), ensure_ascii=False).encode()
            yield beam.pvalue.TaggedOutput(DEAD_LETTERS, text)

    def teardown(self) -> None:
        """Close it."""
        for name in ("_loader", "_es"):
            if hasattr(self, name):
                getattr(self, name).close()


def ingest(messages: Any, settings: PipelineSettings, *, source: str = "") -> Any:
    """Put the steps behind a collection of messages; the collection of dead letters, as JSON in bytes.

    Args:
        messages: Pub/Sub messages, or bytes.
        settings: what workers need.
        source: where the messages are from; it stands in dead letters as `topic`.
    """
    keys = settings.keys
    batches = beam.GroupIntoBatches(settings.batch, max_buffering_duration_secs=settings.batch_s)
    outputs = (
        messages
        | "records" >> beam.Map(to_record, source)
        | "key by item"
        >> beam.Map(lambda record: (item_key(record, keys), record)).with_output_types(tuple[int, Record])
        | "batches" >> batches
        | "analyze and write" >> beam.ParDo(AnalyzeAndWrite(settings)).with_outputs(DEAD_LETTERS)
    )
    return outputs[DEAD_LETTERS]


__all__ = [
    "DEAD_LETTERS",
    "NAMESPACE",
    "AnalyzeAndWrite",
    "PipelineSettings",
    "ingest",
    "item_key",
    "to_record",
]
