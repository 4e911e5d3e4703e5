"""`rank-cli replay import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ranking.cli import _output as out
from ranking.cli._options import AtOption, PlatformOption, clock
from ranking.cli.replay._options import Folder

LogFormat = Literal["ubi", "shown", "slow-log", "metarank", "trec-run", "trec-qrels", "quepid"]


def import_log(
    log_format: Annotated[
        LogFormat,
        typer.Argument(
            help="ubi, shown (JSON lines of query, time, shown ids), slow-log, metarank, trec-run, "
            "trec-qrels, quepid.",
            metavar="FORMAT",
        ),
    ],
    folder: Folder,
    files: Annotated[list[Path], typer.Argument(help="The log's files; .gz is read too.", metavar="FILE...")],
    at: AtOption = None,
    index: Annotated[
        str, typer.Option("--index", help="Index that was searched, where the log does not say.")
    ] = "",
    platform: PlatformOption = None,
    first_position: Annotated[
        int, typer.Option("--first-position", min=0, max=1, help="What the log calls the first place.")
    ] = 1,
    topics: Annotated[
        Path | None, typer.Option("--topics", help="TREC: query text of each topic, `id TAB text` lines.")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Where malformed rows go; DIR/rejects-FORMAT.jsonl.")
    ] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Clicks and judgments are simulated, and are called so.")
    ] = False,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Import a log into a capture folder; malformed rows go to a file with line and reason.

    Importing the same file again changes nothing. Searches of which the log holds shown ids alone are kept as
    such: `replay verify` and `replay check` say how many they are.

    Example: rank-cli replay import ubi captures ubi_queries.jsonl ubi_events.jsonl
    """
    from replay.importing import ImportOptions, read_topics
    from replay.importing import import_log as run

    options = ImportOptions(
        at_ms=None if at is None else clock(at),
        index=index,
        platform=platform,
        first_position=first_position,
        topics=read_topics(topics) if topics else {},
        simulated=simulated,
    )
    with out.progress("rows") as advance:
        summary = run(log_format, files, folder, options=options, reject_file=rejects, advance=advance)
    if fmt is out.Format.json:
        out.as_json(summary.as_dict())
        return
    out.table(
        [
            {
                "rows": summary.rows,
                "searches": summary.searches,
                "shown ids alone": summary.shown_only,
                "events": summary.events,
                "judgments": summary.judgments,
                "already there": summary.already_there,
                "ignored": sum(summary.ignored.values()),
                "rejected": summary.rejected,
            }
        ]
    )
    for what, n in summary.ignored.items():
        out.note(f"ignored: {n} {what}")
    for reason, n in summary.reasons.items():
        out.note(f"rejected: {n} {reason}")
    if summary.reject_file:
        out.note(f"the rejected rows are in {summary.reject_file}")
