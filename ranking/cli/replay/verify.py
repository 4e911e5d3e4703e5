"""`rank-cli replay verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption
from ranking.cli.replay._cluster import ask_cluster, parity_rows
from ranking.cli.replay._options import Folder, Live

_SHOWN = 5


def verify(
    folder: Folder,
    live: Live = False,
    fixed: Annotated[
        bool,
        typer.Option(
            "--fixed",
            help="As --live, in one point in time; what the replay proves of the log's other profiles is "
            "held against the cluster too.",
        ),
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="With --live: at most so many searches.")
    ] = None,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Recompute every logged score and page; exit 2 where one does not come out bit for bit.

    Example: rank-cli replay verify captures --live --fixed --limit 100
    """
    from replay import read_log
    from replay.batches import count_searches
    from replay.evaluation import verify_folder
    from replay.failing import failure_parts

    with out.progress("verifying searches", count_searches(folder)) as advance:
        parity = verify_folder(folder, advance=advance)  # in pieces: a log of any size
    asked = live or fixed
    log = read_log(folder) if asked or parity.failures else None
    failing = failure_parts(log, parity.failures) if log else []
    today = ask_cluster(log, index, limit, fixed=fixed) if log and asked else None
    if fmt is out.Format.json:
        found = {**parity.as_dict(), "failures": [one.as_dict() for one in failing]}
        out.as_json({"parity": found, "live": today.as_dict() if today else None})
    else:
        out.table(parity_rows(parity, today))
        for failure in [*failing[:_SHOWN], *(today.failures[:_SHOWN] if today else [])]:
            out.note(failure.sentence)
    if not parity.holds or (today is not None and not today.holds):
        raise typer.Exit(2)
