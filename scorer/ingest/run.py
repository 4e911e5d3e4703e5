"""The whole ingest from settings: opens the engines, runs the stream, closes what it opened."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

from elasticsearch import Elasticsearch

from ranking import es as elastic
from ranking.item_message import DEFAULT_TOPIC
from ranking.kafka import PARTITIONS, bootstrap_of, ensure_topics, open_consumer
from ranking.settings import Settings, get_settings
from scorer.ingest.analyzer import Analyzer
from scorer.ingest.dead_letters import DeadLetterQueue, dead_letter_topic
from scorer.ingest.feeder import Feeder
from scorer.ingest.photos import PhotoLoader, PhotoSource
from scorer.ingest.stream import IngestSummary, Progress, Stream
from scorer.provenance import Classifier
from scorer.serving.client import ONLINE, Priority, ScoreClient

DEFAULT_GROUP: Final = "rank-ingest"


def run_stream(
    settings: Settings | None = None,
    *,
    photos: PhotoSource | None = None,
    classifier: Classifier | None = None,
    topic: str = DEFAULT_TOPIC,
    group: str = DEFAULT_GROUP,
    index: str | None = None,
    until_empty: bool = False,
    stop_after_idle_s: float | None = None,
    batch: int = 64,
    score_batch: int = 16,
    in_flight: int = 2,
    wait_s: float | None = None,
    deadline_s: float = 30.0,
    priority: Priority = ONLINE,
    es: Elasticsearch | None = None,
    triton_url: str | None = None,
    kafka_bootstrap: str | None = None,
    stop: threading.Event | None = None,
    on_progress: Progress | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> IngestSummary:
    """Consume item messages into the index until stopped, drained or idle.

    Args:
        settings: where the engines are; those of the process by default.
        photos: where photos may come from; by default the web and `data:` addresses only.
        classifier: asked how probably a generator made a photo, where its file does not say so.
        topic: its dead letters go to `{topic}.dlq`; both are made where they are missing.
        group: consumer group; processes with the same group share the topic's partitions.
        index: index or alias to write to; the settings' by default. It must exist.
        until_empty: return when the topic has been read to its end.
        stop_after_idle_s: return when nothing came for so long.
        batch: messages taken at a time.
        score_batch: photos in one request to Triton.
        in_flight: batches worked on at a time.
        wait_s: how long to wait for an engine that goes away; None waits for ever, so nothing is lost or
            left unscored because an engine was down.
        deadline_s: limit of one request to Triton.
        priority: 1 is scored before 2.
        es, triton_url, kafka_bootstrap: instead of the settings'.
        stop: set it to finish what was read, commit and return.
        on_progress: called with the summary so far, after each batch.
        on_wait: told which engine it waits for.

    Raises:
        ServerError: an engine is not there at the start, or refuses for good.
    """
    settings = settings or get_settings()
    stop = stop or threading.Event()
    bootstrap = bootstrap_of(kafka_bootstrap, settings)
    index = index or settings.index

    scorer = ScoreClient(
        triton_url,
        deadline_s=deadline_s,
        wait_s=wait_s,
        priority=priority,
        stop=stop,
        on_wait=on_wait,
        settings=settings,
    )
    scorer.check()
    feeder = Feeder(es or elastic.connect(settings), index, wait_s=wait_s, stop=stop, on_wait=on_wait)
    feeder.check()
    ensure_topics(bootstrap, {topic: PARTITIONS})
    dead_letters = DeadLetterQueue(bootstrap, dead_letter_topic(topic), stop=stop)
    loader = PhotoLoader.for_size(photos or PhotoSource(), scorer.image_size, classifier=classifier)
    stream = Stream(
        open_consumer(bootstrap, group),
        topic,
        analyzer=Analyzer(scorer, loader, score_batch=score_batch),
        feeder=feeder,
        dead_letters=dead_letters,
        batch=batch,
        in_flight=in_flight,
        stop=stop,
    )
    try:
        return stream.run(
            until_empty=until_empty, stop_after_idle_s=stop_after_idle_s, on_progress=on_progress
        )
    finally:
        loader.close()
        dead_letters.close()


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; a second SIGINT interrupts as usual."""
    stop = threading.Event()

    def handle(signum: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signum, previous[signal.Signals(signum)])

    signals = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.getsignal(number) for number in signals}
    for number in signals:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def quiet_retries() -> None:
    """Keep the retry library's own log lines off stderr; `on_wait` says the same in a sentence."""
    logging.getLogger("stamina").addHandler(logging.NullHandler())
    logging.getLogger("stamina").propagate = False


__all__ = ["DEFAULT_GROUP", "quiet_retries", "run_stream", "stop_on_signals"]
