"""`rank-cli replay record`."""

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


def record(
    folder: Folder,
    queries: Annotated[Path, typer.Option("--queries", help="Queries to serve, one a line.")],
    profile: Annotated[str, typer.Option("--profile", help="File, shipped or published name.")] = "control",
    platform: PlatformOption = None,
    at: AtOption = None,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Serve a list of queries and capture each search.

    Example: rank-cli replay record captures --queries queries.txt --profile additive
    """
    from ranking.capture import write_captures
    from ranking.es import connect
    from ranking.search import Searcher

    now_ms, texts = clock(at), read_lines(queries)
    check_platform(platform)
    es = connect()
    served = profile_named(es, profile)
    searcher = Searcher(es, index_name(index), served)
    with out.progress("capturing searches", len(texts)) as advance:
        records = []
        for text in texts:
            records.append(searcher.capture(text, now_ms=now_ms, platform=platform))
            advance(1)
    n = write_captures(folder, records, [served.for_platform(platform)])
    if fmt is out.Format.json:
        out.as_json({"searches_captured": n, "folder": str(folder), "profile_hash": records[0].profile_hash})
    else:
        out.note(f"captured {n} searches in {folder}")
