"""`rank-cli replay verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption
from ranking.cli.replay._cluster import ask_cluster, parity_rows
from ranking.cli.replay._options import Folder, Live


def verify(
    folder: Folder,
    live: Live = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="With --live: at most so many searches.")
    ] = None,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Recompute every logged score and page; exit 2 where one does not come out bit for bit.

    Example: rank-cli replay verify captures --live --limit 100
    """
    from replay import read_log
    from replay import verify as verify_log

    log = read_log(folder)
    parity = verify_log(log)
    today = ask_cluster(log, index, limit) if live else None
    if fmt is out.Format.json:
        out.as_json({"parity": parity.as_dict(), "live": today.as_dict() if today else None})
    else:
        out.table(parity_rows(parity, today))
        for failure in parity.failures[:5]:
            out.note(
                f"{failure.query!r} rank {failure.rank} {failure.item_id}: logged {failure.logged!r}, "
                f"formula {failure.recomputed!r}, {failure.ulp} ulp; rel {failure.rel!r}, "
                f"image {failure.image_score!r}, created {failure.created_ms!r}"
            )
    if not parity.holds or (today is not None and not today.holds):
        raise typer.Exit(2)
