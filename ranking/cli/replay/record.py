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
)
from ranking.cli.replay._options import Folder


def record(
    folder: Folder,
    queries: Annotated[
        Path,
        typer.Option(
            "--queries",
            help="Searches to serve: one query a line, or JSON lines with query, platform, user_id, "
            "session_id, search_id, at, filters.",
        ),
    ],
    profile: Annotated[str, typer.Option("--profile", help="File, shipped or published name.")] = "control",
    platform: PlatformOption = None,
    at: AtOption = None,
    sample: Annotated[
        float,
        typer.Option(
            "--sample", help="Share of users (of searches, where no user is named) that are captured."
        ),
    ] = 1.0,
    salt: Annotated[str, typer.Option("--salt", help="Another salt samples other users.")] = "",
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Serve a list of searches and capture each, or a sample that is the same every time.

    A line without a platform or a clock of its own takes those of --platform and --at.

    Example: rank-cli replay record captures --queries queries.jsonl --profile additive --sample 0.1
    """
    from ranking.es import connect
    from ranking.query_log import count_queries, read_query_log
    from ranking.recording import record_queries
    from ranking.sampling import check_rate
    from ranking.search import Searcher

    now_ms = clock(at)
    check_platform(platform)
    check_rate(sample, "--sample")
    total = count_queries(queries)
    es = connect()
    searcher = Searcher(es, index_name(index), profile_named(es, profile))
    with out.progress("searches", total) as advance:
        done = record_queries(
            searcher,
            read_query_log(queries),
            folder,
            now_ms=now_ms,
            platform=platform,
            sample=sample,
            salt=salt,
            advance=advance,
        )
    if fmt is out.Format.json:
        out.as_json(
            {
                "searches": total,
                "searches_captured": done.searches,
                "sample": sample,
                "folder": str(folder),
                "profile_hashes": list(done.profile_hashes),
            }
        )
    else:
        out.note(f"captured {done.searches} of {total} searches in {folder}")
