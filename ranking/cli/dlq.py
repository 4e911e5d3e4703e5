"""`rank-cli ingest dlq`: messages that could not be used, on Kafka and on other brokers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption

dlq_app = typer.Typer(no_args_is_help=True, help="Messages that could not be used, and why.")
Topic = Annotated[str, typer.Option(help="Kafka topic of the item messages.")]
Broker = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="URL",
        envvar="RANK_BROKER_URL",
        help="redis://, nats:// or amqp://: the dead letters there. Default: Kafka.",
    ),
]


class DeadLetterStage(StrEnum):
    """Where a message could not be used."""

    parse = "parse"
    photo = "photo"
    score = "score"
    write = "write"


@dlq_app.command("list")
def dlq_list(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of the newest.")] = 20,
    topic: Topic = "items",
    source: Broker = None,
    format: FormatOption = Format.table,
) -> None:
    """Show the newest messages that could not be used, with the reason; oldest first.

    Example: rank-cli ingest dlq list --limit 5 --format json
    """
    from scorer.ingest import dead_letter_topic, read_dead_letters

    name = dead_letter_topic(topic)
    place: tuple[str, ...] = ("partition", "offset", "dlq_partition", "dlq_offset")
    if source is not None:
        from scorer.ingest.broker_letters import ID, read_dead_letters_at

        place = (ID,)
        letters, total = read_dead_letters_at(source, topic, limit=limit)
    else:
        from ranking.kafka import bootstrap_of

        letters, total = read_dead_letters(bootstrap_of(), name, limit=limit)
    if format is Format.json:
        out.as_json({"topic": name, "n_total": total, "dead_letters": letters})
        return
    columns = ("at", "stage", "item_id", "reason", *place)
    out.table([{column: letter.get(column) for column in columns} for letter in letters])
    out.note(f"{len(letters)} of {total} dead letters in {name}")


@dlq_app.command("replay")
def dlq_replay(
    stage: Annotated[DeadLetterStage | None, typer.Option(help="Only letters of this stage.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only letters whose reason has this in it.")] = None,
    item: Annotated[str | None, typer.Option(help="Only letters of this item.")] = None,
    max_replays: Annotated[
        int | None, typer.Option(min=1, help="Leave letters alone that were put back so often already.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, the oldest first.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and put nothing back.")] = False,
    topic: Topic = "items",
    source: Broker = None,
    format: FormatOption = Format.table,
) -> None:
    """Put the original messages of dead letters back on their topic, for `ingest stream` to try again.

    Reads what is there when it starts, so a message that fails again comes back as one new letter. The
    letters stay: `rank-cli ingest dlq drop` takes them away. An item that has changed since is not set back.

    Example: rank-cli ingest dlq replay --stage photo --reason timed --dry-run
    """
    from scorer.ingest import dead_letter_topic
    from scorer.ingest.dlq import Filter, replay

    name = dead_letter_topic(topic)
    only = Filter(stage=stage and stage.value, item_id=item, reason=reason, max_replays=max_replays)
    with out.progress("dead letters") as advance:
        if source is not None:
            from scorer.ingest.broker_letters import replay_at

            done = replay_at(
                source, topic, only=only, dry_run=dry_run, limit=limit, on_letter=lambda _: advance(1)
            )
        else:
            from ranking.kafka import bootstrap_of

            done = replay(
                bootstrap_of(), name, only=only, dry_run=dry_run, limit=limit, on_letter=lambda _: advance(1)
            )
    row = {"topic": name, **done.to_dict(), "dry_run": dry_run}
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
    if done.unusable:
        out.note(f"{done.unusable} hold no message that could be put back")
    if dry_run and done.matched:
        out.note("nothing was put back; leave out --dry-run for that")


@dlq_app.command("drop")
def dlq_drop(
    through: Annotated[
        str | None,
        typer.Option(
            help="The last `dlq_offset` of `dlq list` to delete (`dlq_id` with --from). Default: all."
        ),
    ] = None,
    partition: Annotated[int, typer.Option(min=0, help="Kafka partition of --through.")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it, only say how many.")] = False,
    topic: Topic = "items",
    source: Broker = None,
    format: FormatOption = Format.table,
) -> None:
    """Delete dead letters for good, all or up to one of `dlq list`. They are deleted from the oldest on.

    Example: rank-cli ingest dlq drop --through 41 --yes
    """
    from scorer.ingest import dead_letter_topic
    from scorer.ingest.dlq import drop

    name = dead_letter_topic(topic)
    if source is not None:
        from scorer.ingest.broker_letters import drop_at

        n = drop_at(source, topic, through=through, dry_run=not yes)
    else:
        from ranking.kafka import bootstrap_of

        last = None if through is None else {partition: _offset(through)}
        n = drop(bootstrap_of(), name, through=last, dry_run=not yes)
    row = {"topic": name, "n_dropped" if yes else "n_to_drop": n}
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
    if not yes and n:
        out.note("nothing was deleted; say --yes for that, it cannot be undone")


def _offset(text: str) -> int:
    if not text.isdecimal():
        raise typer.BadParameter(f"{text!r} is no offset; `rank-cli ingest dlq list` shows each dlq_offset")
    return int(text)
