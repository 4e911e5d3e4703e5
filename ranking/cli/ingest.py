"""`rank-cli ingest`: item messages on Kafka become scored documents in the index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name
from ranking.cli._output import Format, FormatOption

if TYPE_CHECKING:
    from scorer.ingest import IngestSummary

app = typer.Typer(no_args_is_help=True, help="Item messages on Kafka become scored documents in the index.")
dlq_app = typer.Typer(no_args_is_help=True, help="Messages that could not be used, and why.")
app.add_typer(dlq_app, name="dlq")

Topic = Annotated[str, typer.Option(help="Kafka topic of the item messages.")]
PhotosRoot = Annotated[
    Path | None,
    typer.Option(
        envvar="RANK_PHOTOS_ROOT",
        exists=True,
        file_okay=False,
        help="Photos in files are read below this folder only; without it, none are.",
    ),
]


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
    batch: Annotated[int, typer.Option(min=1, help="Messages taken at a time.")] = 64,
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
    format: FormatOption = Format.table,
) -> None:
    """Consume item messages: score their photos, write them to the index. Ctrl-C ends it cleanly.

    What a photo's file says of how it was made (C2PA, IPTC, a generator's marks) becomes `ai_generated`.
    A message that cannot be used goes to the topic's dead letters (`rank-cli ingest dlq list`), an item
    without a usable photo into the index without an image score. Older data never overwrites newer.

    Example: rank-cli ingest stream --photos-root photos --until-empty
    """
    from scorer.ingest import PhotoSource, run_stream, stop_on_signals
    from scorer.ingest.run import quiet_retries
    from scorer.serving import BACKFILL, ONLINE

    def waiting(why: str) -> None:
        out.note(f"waiting: {why}")

    classifier = None
    if ai_classifier is not None:
        from scorer.provenance import load_classifier

        classifier = load_classifier(ai_classifier)
    quiet_retries()
    with stop_on_signals() as stop, out.progress("messages") as advance:
        seen = 0

        def progress(summary: IngestSummary) -> None:
            nonlocal seen
            advance(summary.received - seen)
            seen = summary.received

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
            stop=stop,
            on_progress=progress,
            on_wait=waiting,
        )
    row = summary.to_dict()
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
    if summary.interrupted:
        out.note("stopped while an engine was gone; the next run takes up what was not finished")
    if summary.dead_letters:
        out.note(f"{summary.dead_letters} dead letters; see `rank-cli ingest dlq list --topic {topic}`")


@app.command("publish")
def ingest_publish(
    file: Annotated[Path, typer.Argument(help="JSON Lines, one item message a line.")],
    topic: Topic = "items",
    format: FormatOption = Format.table,
) -> None:
    """Put the item messages of a file on the topic; returns once the brokers have them.

    A message has item_id, title, created_at, updated_at, and may have description, category, price, status
    (on_sale, sold, deleted), image_url and ai_generated {probability, source}.

    Example: rank-cli ingest publish items.jsonl
    """
    from ranking.kafka import bootstrap_of
    from scorer.ingest import publish, read_jsonl

    total = sum(1 for _ in read_jsonl(file))  # a wrong line is found before anything is sent
    with out.progress("published", total) as advance:
        n = publish(read_jsonl(file), bootstrap_of(), topic=topic, on_progress=advance)
    row = {"topic": topic, "n_published": n}
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])


@dlq_app.command("list")
def dlq_list(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of the newest.")] = 20,
    topic: Topic = "items",
    format: FormatOption = Format.table,
) -> None:
    """Show the newest messages that could not be used, with the reason; oldest first.

    Example: rank-cli ingest dlq list --limit 5 --format json
    """
    from ranking.kafka import bootstrap_of
    from scorer.ingest import dead_letter_topic, read_dead_letters

    name = dead_letter_topic(topic)
    letters, total = read_dead_letters(bootstrap_of(), name, limit=limit)
    if format is Format.json:
        out.as_json({"topic": name, "n_total": total, "dead_letters": letters})
        return
    columns = ("at", "stage", "item_id", "reason", "partition", "offset")
    out.table([{column: letter.get(column) for column in columns} for letter in letters])
    out.note(f"{len(letters)} of {total} dead letters in {name}")
