"""`rank-cli replay explore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import (
    AtOption,
    IndexOption,
    PlatformOption,
    check_platform,
    clock,
    index_name,
    profile_named,
    read_lines,
)
from ranking.cli.replay._options import Folder


def explore(
    folder: Folder,
    queries: Annotated[Path, typer.Option("--queries", help="Queries to serve, one a line.")],
    profile: Annotated[str, typer.Option("--profile", help="File, shipped or published name.")] = "control",
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            help="How pages are drawn: 'swap-pairs PROB DEPTH', 'shuffle-top DEPTH' or "
            "'plackett-luce TEMPERATURE CANDIDATES'.",
        ),
    ] = "swap-pairs 0.5 10",
    platform: PlatformOption = None,
    at: AtOption = None,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Serve queries in an order that is drawn, and capture each page with the probability of its draw.

    Example: rank-cli replay explore captures --queries queries.txt --policy 'swap-pairs 0.5 10'
    """
    from ranking.capture import write_captures
    from ranking.es import connect
    from ranking.explore import parse_policy
    from ranking.explorer import Explorer

    try:
        drawn_by = parse_policy(policy)
    except ValueError as e:
        raise typer.BadParameter(str(e), param_hint="--policy") from None
    now_ms, texts = clock(at), read_lines(queries)
    check_platform(platform)
    es = connect()
    served = profile_named(es, profile)
    explorer = Explorer(es, index_name(index), served, drawn_by)
    records = []
    with out.progress("serving explored searches", len(texts)) as advance:
        for text in texts:
            records.append(explorer.capture(text, now_ms=now_ms, platform=platform))
            advance(1)
    n = write_captures(folder, records, [served.for_platform(platform)])
    if fmt is out.Format.json:
        out.as_json({"searches_captured": n, "folder": str(folder), "policy": drawn_by.name})
    else:
        out.note(f"captured {n} explored searches ({drawn_by.name}) in {folder}")
