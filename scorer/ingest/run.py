"""The whole ingest from settings: opens the engines, runs the stream, closes what it opened."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Final, Literal, TypedDict, Unpack

from elasticsearch import Elasticsearch

from ranking import es as elastic
from ranking.item_message import DEFAULT_TOPIC
from ranking.kafka import PARTITIONS, bootstrap_of, ensure_topics, open_consumer
from ranking.settings import Settings, get_settings
from scorer.ingest.analyzer import Analyzer, Scorer
from scorer.ingest.dead_letters import DeadLetterQueue, dead_letter_topic
from scorer.ingest.degraded import GivingUp
from scorer.ingest.feeder import Feeder
from scorer.ingest.health import Health
from scorer.ingest.observe import Observer
from scorer.ingest.photo_memory import LiveVersion, PhotoMemory
from scorer.ingest.photos import PhotoLoader, PhotoSource
from scorer.ingest.stream import IngestSummary, Progress, Stream
from scorer.provenance import Classifier
from scorer.serving.client import ONLINE, Priority, ScoreClient

DEFAULT_GROUP: Final = "rank-ingest"
STOP_DEADLINE_S: Final = 25.0  # Kubernetes kills after 30
WhenScoringFails = Literal["wait", "index-unscored"]


@dataclass(frozen=True, slots=True)
class Tools:
    """What turns records into documents of the index, opened."""

    analyzer: Analyzer
    feeder: Feeder
    loader: PhotoLoader

    def close(self) -> None:
        """End the threads."""
        self.loader.close()
        self.feeder.close()


class ToolOptions(TypedDict, total=False):
    """How records become documents; what is left out has the default of `open_tools`."""

    photos: PhotoSource | None  # where photos may come from; by default the web and `data:` addresses only
    classifier: Classifier | None  # how probably a generator made a photo whose file does not say so
    index: str | None  # index or alias to write to; the settings' by default. It must exist
    score_batch: int  # photos in one request to Triton
    bulk_requests: int  # to Elasticsearch at a time, at most
    wait_s: float | None  # for an engine that goes away; None waits for ever, so nothing is lost
    deadline_s: float  # of one request to Triton
    priority: Priority  # 1 is scored before 2
    when_scoring_fails: WhenScoringFails  # wait for Triton, or let items go on unscored after `give_up_s`
    give_up_s: float
    reuse_scores: bool  # do not score a photo again that the same weights have scored, by its hash
    trust_urls: bool  # an item's photo is the same as long as its address is, without reading it
    es: Elasticsearch | None  # instead of the settings'
    triton_url: str | None  # instead of the settings'


def open_tools(
    settings: Settings,
    *,
    photos: PhotoSource | None = None,
    classifier: Classifier | None = None,
    index: str | None = None,
    score_batch: int = 16,
    bulk_requests: int = 4,
    wait_s: float | None = None,
    deadline_s: float = 30.0,
    priority: Priority = ONLINE,
    when_scoring_fails: WhenScoringFails = "wait",
    give_up_s: float = 10.0,
    reuse_scores: bool = True,
    trust_urls: bool = True,
    es: Elasticsearch | None = None,
    triton_url: str | None = None,
    stop: threading.Event | None = None,
    on_wait: Callable[[str], None] | None = None,
    observer: Observer | None = None,
) -> Tools:
    """Open Triton and Elasticsearch; `ToolOptions` says what each argument is for.

    Raises:
        ServerError: an engine is not there, or there is no such index.
    """
    index = index or settings.index
    patience = give_up_s if when_scoring_fails == "index-unscored" else wait_s

    def client(wait_s: float | None, deadline_s: float = deadline_s) -> ScoreClient:
        return ScoreClient(
            triton_url,
            deadline_s=deadline_s,
            wait_s=wait_s,
            priority=priority,
            stop=stop,
            on_wait=None if wait_s == 0 else on_wait,
            settings=settings,
        )

    patient = client(patience)
    patient.check()
    scorer: Scorer = patient
    if when_scoring_fails == "index-unscored":
        scorer = GivingUp(patient, client(0), on_change=on_wait)
    es = es or elastic.connect(settings)
    feeder = Feeder(
        es,
        index,
        wait_s=wait_s,
        max_requests=bulk_requests,
        stop=stop,
        on_wait=on_wait,
        observer=observer,
    )
    feeder.check()
    memory = None
    if reuse_scores:
        live = LiveVersion(client(0, 5.0).probe)
        live()  # known before the first batch
        memory = PhotoMemory(es, index, live, trust_urls=trust_urls)
        if not memory.may_read() and on_wait:
            on_wait(f"this login may not read {index}: a change of the price alone is scored again")
    loader = PhotoLoader.for_size(photos or PhotoSource(), patient.image_size, classifier=classifier)
    analyzer = Analyzer(
        scorer,
        loader,
        score_batch=score_batch,
        memory=memory,
        index_unscored=when_scoring_fails == "index-unscored",
        observer=observer,
    )
    return Tools(analyzer, feeder, loader)


def run_stream(
    settings: Settings | None = None,
    *,
    topic: str = DEFAULT_TOPIC,
    group: str = DEFAULT_GROUP,
    until_empty: bool = False,
    stop_after_idle_s: float | None = None,
    batch: int = 64,
    in_flight: int = 3,
    kafka_bootstrap: str | None = None,
    broker_url: str | None = None,
    stop: threading.Event | None = None,
    stop_deadline_s: float | None = None,
    on_progress: Progress | None = None,
    on_wait: Callable[[str], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    observer: Observer | None = None,
    health: Health | None = None,
    **tool_options: Unpack[ToolOptions],
) -> IngestSummary:
    """Consume item messages into the index until stopped, drained or idle.

    Args:
        settings: where the engines are; those of the process by default.
        topic: its dead letters go to `{topic}.dlq`; both are made where they are missing.
        group: consumer group; processes with the same group share the topic's partitions.
        until_empty: return when the topic has been read to its end.
        stop_after_idle_s: return when nothing came for so long.
        batch: messages taken at a time.
        in_flight: batches worked on at a time.
        kafka_bootstrap: instead of the settings'.
        broker_url: redis://, nats:// or amqp:// instead of Kafka; see `scorer.ingest.brokers`.
        stop: set it to finish what was read, commit and return.
        stop_deadline_s: how long that may take; what is not finished then is delivered again.
        on_progress: called with the summary so far, after each batch.
        on_wait: told which engine it waits for.
        on_note: told what somebody should know, as messages that Kafka deleted before they were read.
        observer: told of stages, errors and lag.
        health: told whether work goes on.
        tool_options: photos, index, scoring: see `ToolOptions`.

    Raises:
        ServerError: an engine is not there at the start, or refuses for good.
    """
    settings = settings or get_settings()
    stop = stop or threading.Event()
    health = health or Health()

    def waiting(why: str) -> None:
        health.waiting(why)
        if on_wait:
            on_wait(why)

    if broker_url is None:
        bootstrap = bootstrap_of(kafka_bootstrap, settings)
    else:
        from scorer.ingest.brokers import run_broker
        from scorer.ingest.doors import door

        at = door(broker_url, topic=topic, group=group, at_once=batch * (in_flight + 1))
    tools = open_tools(settings, stop=stop, on_wait=waiting, observer=observer, **tool_options)
    try:
        if broker_url is not None:
            return run_broker(
                at,
                analyzer=tools.analyzer,
                feeder=tools.feeder,
                batch=batch,
                in_flight=in_flight,
                until_empty=until_empty,
                stop_after_idle_s=stop_after_idle_s,
                stop=stop,
                stop_deadline_s=stop_deadline_s,
                on_progress=on_progress,
                observer=observer,
                health=health,
            )
        ensure_topics(bootstrap, {topic: PARTITIONS})
        dead_letters = DeadLetterQueue(bootstrap, dead_letter_topic(topic), stop=stop)
        stream = Stream(
            open_consumer(bootstrap, group),
            topic,
            analyzer=tools.analyzer,
            feeder=tools.feeder,
            dead_letters=dead_letters,
            batch=batch,
            in_flight=in_flight,
            stop=stop,
            stop_deadline_s=stop_deadline_s,
            observer=observer,
            health=health,
            on_note=on_note,
        )
        try:
            return stream.run(
                until_empty=until_empty, stop_after_idle_s=stop_after_idle_s, on_progress=on_progress
            )
        finally:
            dead_letters.close()
    finally:
        tools.close()


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


def collect_less() -> None:
    """Make Python's garbage collections rarer and shorter, in a process that does nothing but ingest.

    Messages and documents hold no cycles: they go as soon as a batch is done, and looking through them and
    through all that was imported took a tenth of the consumer's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def quiet_retries() -> None:
    """Keep the retry library's own log lines off stderr; `on_wait` says the same in a sentence."""
    logging.getLogger("stamina").addHandler(logging.NullHandler())
    logging.getLogger("stamina").propagate = False


__all__ = [
    "DEFAULT_GROUP",
    "STOP_DEADLINE_S",
    "ToolOptions",
    "Tools",
    "WhenScoringFails",
    "collect_less",
    "open_tools",
    "quiet_retries",
    "run_stream",
    "stop_on_signals",
]
