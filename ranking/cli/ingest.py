"""`rank-cli ingest`: item messages on Kafka become scored documents in the index."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, PhotosRoot, index_name
from ranking.cli._output import Format, FormatOption
from ranking.cli.backfill import backfill
from ranking.cli.dlq import Topic, dlq_app
from ranking.cli.upgrade import app as upgrade_app

if TYPE_CHECKING:
    from scorer.ingest import IngestSummary

app = typer.Typer(no_args_is_help=True, help="Item messages on Kafka become scored documents in the index.")
app.command("backfill")(backfill)
app.add_typer(dlq_app, name="dlq")
app.add_typer(upgrade_app, name="upgrade")


class WhenScoringFails(StrEnum):
    """What becomes of items while Triton is gone."""

    wait = "wait"
    index_unscored = "index-unscored"


class LogFormat(StrEnum):
    """How notes are written."""

    text = "text"
    json = "json"


@app.command("stream")
def ingest_stream(
    photos_root: PhotosRoot = None,
    topic: Topic = "items",
    group: Annotated[
        str, typer.Option(help="Consumer group; processes of one group share the work.")
    ] = "rank-ingest",
    index: IndexOption = None,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="Stop when the topic has been read to its end.")
    ] = False,
    stop_after_idle_s: Annotated[
        float | None, typer.Option(min=0.0, help="Stop when nothing came for so many seconds.")
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            min=1, help="Messages taken at a time; from Kafka up to 500 while that is soon done with."
        ),
    ] = 64,
    wait_s: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Seconds to wait for an engine that goes away. Default: for ever, so nothing is lost.",
        ),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Let requests of others to Triton go first.")
    ] = False,
    allow_private_hosts: Annotated[
        bool, typer.Option("--allow-private-hosts", help="Download photos from private addresses too.")
    ] = False,
    ai_classifier: Annotated[
        str | None,
        typer.Option(
            "--ai-classifier",
            help="module:attribute of a classifier that is asked whether a photo is generated.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL",
            envvar="RANK_BROKER_URL",
            help="redis://, nats:// or amqp://: read the Redis stream, JetStream subject or RabbitMQ queue "
            "of the topic's name. Default: Kafka.",
        ),
    ] = None,
    when_scoring_fails: Annotated[
        WhenScoringFails,
        typer.Option(
            help="wait for Triton, or let items go on without image_score_version for the backfill."
        ),
    ] = WhenScoringFails.wait,
    give_up_s: Annotated[
        float, typer.Option(min=0.0, help="With index-unscored: seconds to wait for Triton before that.")
    ] = 10.0,
    recheck_photos: Annotated[
        bool,
        typer.Option(
            "--recheck-photos",
            help="Read a photo although its address is the same; it is scored only if its bytes differ.",
        ),
    ] = False,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Score every photo, those too that these weights have scored.")
    ] = False,
    stop_deadline_s: Annotated[
        float, typer.Option(min=0.0, help="Seconds to finish in after SIGTERM; the rest is delivered again.")
    ] = 25.0,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Serve /metrics, /healthz and /readyz on this port; 0 takes a free one."
        ),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(help="Address that the metrics are served on; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    log_format: Annotated[
        LogFormat, typer.Option(help="Notes on stderr as text or as JSON lines.")
    ] = LogFormat.text,
    format: FormatOption = Format.table,
) -> None:
    """Consume item messages: score their photos, write them to the index. Ctrl-C ends it cleanly.

    What a photo's file says of how it was made (C2PA, IPTC, a generator's marks) becomes `ai_generated`.
    A message that cannot be used goes to the topic's dead letters (`rank-cli ingest dlq list`), an item
    without a usable photo into the index without an image score. Older data never overwrites newer, and a
    photo that the live weights have scored is not scored again: a change of the price costs no inference.

    Example: rank-cli ingest stream --photos-root photos --until-empty
    """
    from scorer.ingest import PhotoSource, run_stream, stop_on_signals
    from scorer.ingest.health import Health
    from scorer.ingest.logs import Log
    from scorer.ingest.observe import Observer, Observers
    from scorer.ingest.run import collect_less, quiet_retries
    from scorer.serving import BACKFILL, ONLINE

    log = Log(log_format.value, out.note)
    health = Health()
    observers: list[Observer] = [log]
    classifier = None
    if ai_classifier is not None:
        from scorer.provenance import load_classifier

        classifier = load_classifier(ai_classifier)
    quiet_retries()
    with ExitStack() as stack:
        if metrics_port is not None:
            from scorer.ingest.metrics import Metrics, serving

            metrics = Metrics()
            observers.append(metrics)
            port = stack.enter_context(serving(metrics, health, metrics_port, metrics_host))
            log.say("serving", f"metrics at http://{metrics_host}:{port}/metrics", port=port)
        with suppress(ImportError):
            from scorer.ingest.tracing import Tracing

            observers.append(Tracing((source or "kafka").partition(":")[0]))
        stop = stack.enter_context(stop_on_signals())
        advance = _nothing if log_format is LogFormat.json else stack.enter_context(out.progress("messages"))
        seen = 0

        def progress(summary: IngestSummary) -> None:
            nonlocal seen
            advance(summary.received - seen)
            seen = summary.received

        collect_less()
        summary = run_stream(
            photos=PhotoSource(root=photos_root, allow_private_hosts=allow_private_hosts),
            classifier=classifier,
            topic=topic,
            group=group,
            index=index_name(index),
            until_empty=until_empty,
            stop_after_idle_s=stop_after_idle_s,
            batch=batch,
            wait_s=wait_s,
            priority=BACKFILL if background else ONLINE,
            when_scoring_fails=when_scoring_fails.value,
            give_up_s=give_up_s,
            reuse_scores=not rescore,
            trust_urls=not recheck_photos,
            broker_url=source,
            stop=stop,
            stop_deadline_s=stop_deadline_s,
            on_progress=progress,
            on_wait=lambda why: log.say("waiting", f"waiting: {why}", level="warning"),
            on_note=lambda what: log.say("note", what, level="warning"),
            observer=Observers(*observers),
            health=health,
        )
    row = summary.to_dict()
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
    if summary.interrupted:
        log.say("interrupted", "stopped before all was finished; the next run takes up what was not")
    if summary.awaiting_score:
        words = f"{summary.awaiting_score} items went on unscored; `rank-cli ingest backfill` scores them"
        log.say("awaiting_score", words, n=summary.awaiting_score)
    if summary.dead_letters:
        where = "" if source is None else " --from URL"
        words = f"{summary.dead_letters} dead letters; see `rank-cli ingest dlq list --topic {topic}{where}`"
        log.say("dead_letters", words, n=summary.dead_letters)
    if summary.interrupted:
        _leave_now()


def _nothing(_n: int) -> None:
    """No progress bar between JSON lines."""


def _leave_now() -> None:
    """End the process without waiting for threads that are still at an engine that does not answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread.name.startswith(("ingest", "photos", "bulk")) for thread in threading.enumerate()):
        os._exit(0)


@app.command("publish")
def ingest_publish(
    file: Annotated[Path, typer.Argument(help="JSON Lines, one item message a line.")],
    topic: Topic = "items",
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", help="redis://, nats:// or amqp://. Default: Kafka."),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Each line names only what changed, besides item_id and updated_at."),
    ] = False,
    format: FormatOption = Format.table,
) -> None:
    """Put the item messages of a file on the topic; returns once the brokers have them.

    A message has item_id, title, created_at, updated_at, and may have description, category, price, status
    (on_sale, sold, deleted), image_url and ai_generated {probability, source}. With "partial": true it names
    only the fields that changed, and a null takes a field away.

    Example: rank-cli ingest publish items.jsonl
    """
    from ranking.kafka import bootstrap_of
    from scorer.ingest import publish, read_jsonl

    total = sum(1 for _ in read_jsonl(file, partial=partial))  # a wrong line is found before it sends
    with out.progress("published", total) as advance:
        if to is None:
            messages = read_jsonl(file, partial=partial)
            n = publish(messages, bootstrap_of(), topic=topic, on_progress=advance)
        else:
            from scorer.ingest.brokers import publish_to

            n = publish_to(to, read_jsonl(file, partial=partial), topic=topic, on_progress=advance)
    row = {"topic": topic, "n_published": n}
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
