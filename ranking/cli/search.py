"""`rank-cli search`: one page under a profile, and each score as its parts."""

from __future__ import annotations

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


def search(
    query: Annotated[str, typer.Argument(help="What the user typed.")],
    profile: Annotated[
        str, typer.Option("--profile", help="File, shipped name, or the name of a published profile.")
    ] = "control",
    platform: PlatformOption = None,
    at: AtOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print each score as its parts.")] = False,
    size: Annotated[int, typer.Option("--size", "-n", min=1, max=1000, help="Hits to print.")] = 10,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Search under a profile, at any clock.

    Example: rank-cli search "red dress" --profile additive --at 2026-11-20T09:00:00Z --explain
    """
    from ranking.clock import format_time
    from ranking.es import connect
    from ranking.explain import explain_items
    from ranking.search import Searcher

    now_ms = clock(at)
    check_platform(platform)
    es = connect()
    found = profile_named(es, profile).for_platform(platform)
    page = Searcher(es, index_name(index), found).search(query, now_ms=now_ms, size=size)
    rows = [row.row() for row in explain_items(found, page.items, now_ms)]
    if not explain:
        rows = [
            {key: row[key] for key in ("rank", "item_id", "score", "image_score", "age_days")} for row in rows
        ]
    if fmt is out.Format.json:
        out.as_json(
            {
                "query": query,
                "profile": found.name,
                "profile_hash": found.hash,
                "now_ms": now_ms,
                "total_hits": page.total_hits,
                "took_ms": page.took_ms,
                "hits": rows,
            }
        )
        return
    out.table(rows)
    out.note(
        f"{page.total_hits} hits, {page.took_ms} ms, {found.summary}, clock {format_time(now_ms)}"
        + (f"; score = f32({found.execution} of combined x freshness)" if explain else "")
    )
