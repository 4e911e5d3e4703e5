"""`rank-cli apply-boost` and `rank-cli boost`: preview a profile, publish it, see what is live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import (
    AtOption,
    IndexOption,
    PlatformOption,
    check_platform,
    clock,
    index_name,
    read_lines,
)

if TYPE_CHECKING:
    from ranking.preview import QueryPreview

app = typer.Typer(no_args_is_help=True, help="Published profiles.")


def apply_boost(
    profile: Annotated[str, typer.Argument(help="A profile file, or the name of a shipped one.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Preview only; publish nothing.")] = False,
    queries: Annotated[
        Path | None, typer.Option("--queries", help="Sample queries, one a line, for the preview.")
    ] = None,
    print_query: Annotated[
        str | None,
        typer.Option("--print-query", metavar="TEXT", help="Print the search body for TEXT, and stop."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Publish without asking.")] = False,
    platform: PlatformOption = None,
    at: AtOption = None,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Preview what a profile changes, then publish it.

    Example: rank-cli apply-boost additive --queries queries.txt --dry-run
    """
    from ranking.profile import builtin_profiles, find_profile

    contender, now_ms = find_profile(profile), clock(at)
    check_platform(platform)
    if print_query is not None:
        from ranking.query import search_body

        body = search_body(contender.for_platform(platform), print_query, now_ms=now_ms)
        out.raw(json.dumps(body, indent=2, ensure_ascii=False))
        return

    from ranking.es import connect
    from ranking.preview import preview, sample_queries
    from ranking.publish import publish, read_published

    es, name = connect(), index_name(index)
    live = read_published(es, contender.name)
    baseline = live.profile if live else builtin_profiles()["control"]
    texts = read_lines(queries) if queries else sample_queries(es, name)
    rows = preview(es, name, baseline, contender, texts, now_ms=now_ms, platform=platform)
    result: dict[str, Any] = {
        "profile": contender.name,
        "hash": contender.hash,
        "baseline": baseline.name if live is None else f"{live.profile.name}@{live.version}",
        "platform": platform,
        "preview": [row.as_dict() for row in rows],
        "published_version": None,
    }
    if fmt is out.Format.table:
        out.table([row.row() for row in rows], title=f"{contender.summary}, against {result['baseline']}")
        _summarize(rows)
    unchanged = live is not None and live.profile == contender
    if unchanged:
        out.note(
            f"{contender.name} is live already, version {live.version if live else 0}: nothing to publish"
        )
    elif dry_run:
        out.note("dry run: nothing was published")
    else:
        if not yes and not typer.confirm(f"Publish {contender.name} ({contender.hash})?", err=True):
            out.note("nothing was published")
            raise typer.Exit(1)
        version = publish(es, contender, now_ms=now_ms, replaces=live)
        result["published_version"] = version
        out.note(f"published {contender.name} version {version}")
    if fmt is out.Format.json:
        out.as_json(result)


@app.command("list")
def list_boosts(fmt: out.FormatOption = out.Format.table) -> None:
    """The live profiles.

    Example: rank-cli boost list --format json
    """
    from ranking.es import connect
    from ranking.publish import list_published

    rows = [
        {
            "name": found.profile.name,
            "version": found.version,
            "hash": found.profile.hash,
            "formula": found.profile.summary,
            "execution": found.profile.execution,
            "published_at": found.published_at,
        }
        for found in list_published(connect())
    ]
    if fmt is out.Format.json:
        out.as_json({"profiles": rows})
    else:
        out.table(rows)


@app.command("lint")
def lint_boost(
    profile: Annotated[str, typer.Argument(help="A profile file, or the name of a shipped one.")],
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Check a profile file and the body it makes; exit 2 where a rule is broken.

    Example: rank-cli boost lint profiles/mine.yaml
    """
    from ranking.lint import lint_body
    from ranking.profile import find_profile
    from ranking.query import boosted_query

    found = find_profile(profile)
    findings = lint_body({"query": boosted_query(found, "lint", now_ms=clock(None)).to_dict()})
    if fmt is out.Format.json:
        out.as_json({"profile": found.name, "hash": found.hash, "findings": findings})
    else:
        for finding in findings:
            out.raw(finding)
        out.note(f"{found.name} ({found.hash}): {len(findings)} findings")
    if findings:
        raise typer.Exit(2)


def _summarize(rows: list[QueryPreview]) -> None:
    if not rows:
        return
    n = len(rows)
    entered = sum(row.entered for row in rows) / n
    gain = sum(row.image_score[1] - row.image_score[0] for row in rows) / n
    fresh = sum(row.freshness[1] - row.freshness[0] for row in rows) / n
    cost = sum(row.took_ms[1] for row in rows) / max(1, sum(row.took_ms[0] for row in rows))
    out.note(
        f"over {n} queries: {entered:.1f} of 10 items change, image score {gain:+.3f}, "
        f"freshness {fresh:+.3f}, time on the server x{cost:.2f}"
    )
