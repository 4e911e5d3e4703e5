"""`rank-cli search`: one page under a profile, each score as its parts, and two profiles side by side."""

from __future__ import annotations

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
    profile_named,
)

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from ranking.explain import Explanation, RankSteps
    from ranking.profile import Profile
    from ranking.search import Page, Pair

_BRIEF = ("rank", "item_id", "score", "image_score", "age_days")


def search(
    query: Annotated[str, typer.Argument(help="What the user typed.")],
    profile: Annotated[
        str, typer.Option("--profile", help="File, shipped or published name, or NAME@VERSION.")
    ] = "control",
    platform: PlatformOption = None,
    at: AtOption = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Each score as its parts, and what each did to the rank.")
    ] = False,
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="PROFILE", help="Also serve this one, side by side.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="With --compare: write both pages, with photos, here.")
    ] = None,
    photos_root: Annotated[
        Path | None,
        typer.Option("--photos-root", help="Folder below which --html may read local photos."),
    ] = None,
    size: Annotated[int, typer.Option("--size", "-n", min=1, max=1000, help="Hits to print.")] = 10,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Search under a profile, at any clock.

    Example: rank-cli search "red dress" --profile additive --at 2026-11-20T09:00:00Z --explain
    """
    from ranking.errors import InputError
    from ranking.es import connect
    from ranking.search import Searcher

    now_ms = clock(at)
    check_platform(platform)
    if html is not None and compare is None:
        raise InputError("--html writes a comparison", hint="add --compare PROFILE")
    es, name = connect(), index_name(index)
    found = profile_named(es, profile).for_platform(platform)
    if compare is not None:
        other = profile_named(es, compare).for_platform(platform)
        labels = _labels((profile, compare), (found, other))
        result = _compare(es, name, query, (found, other), labels, now_ms=now_ms, size=size)
        if html is not None:
            _write_html(es, name, result, html, now_ms=now_ms, platform=platform, photos_root=photos_root)
        _print_comparison(result, now_ms=now_ms, html=html, fmt=fmt)
        return
    searcher = Searcher(es, name, found)
    if explain:
        _print_explained(query, found, searcher.page_and_window(query, now_ms=now_ms, size=size), now_ms, fmt)
        return
    page = searcher.search(query, now_ms=now_ms, size=size)
    from ranking.explain import explain_items

    hits = [row.row() for row in explain_items(found, page.items, now_ms)]
    rows = [{key: row[key] for key in _BRIEF} for row in hits]
    if fmt is out.Format.json:
        out.as_json(_head(query, found, now_ms, page) | {"hits": rows})
    else:
        out.table(rows)
        out.note(_foot(found, now_ms, page))


def _print_explained(query: str, profile: Profile, pair: Pair, now_ms: int, fmt: out.Format) -> None:
    rows, steps = _explain(profile, pair, now_ms)
    page = pair.page
    if fmt is out.Format.json:
        hits = [
            row.row() | {"ranks": dict(zip(steps.stages, steps.ranks[row.item_id], strict=True))}
            for row in rows
        ]
        ranks = {"ranks_over": steps.candidates, "ranks_over_all_matches": steps.complete}
        out.as_json(_head(query, profile, now_ms, page) | ranks | {"hits": hits})
        return
    out.table([_explained_row(profile, row, steps) for row in rows], right=("ranks",))
    out.note(_foot(profile, now_ms, page))
    exact = sum(bool(row.exact) for row in rows)
    out.note(
        f"ranks by {', then '.join(steps.stages)}, over {steps.among}; "
        f"{exact} of {len(rows)} scores recomputed bit for bit"
    )


def _explain(profile: Profile, pair: Pair, now_ms: int) -> tuple[list[Explanation], RankSteps]:
    from ranking.explain import explain_items, rank_steps

    complete = pair.rel_floor is None
    steps = rank_steps(profile, [*pair.page.items, *pair.rest], now_ms, complete=complete)
    return explain_items(profile, pair.page.items, now_ms), steps


def _explained_row(profile: Profile, row: Explanation, steps: RankSteps) -> dict[str, Any]:
    factors = {f"x {factor.field}": value for factor, value in zip(profile.factors, row.factors, strict=True)}
    return {
        "rank": row.rank,
        "item_id": row.item_id,
        "rel": row.rel,
        "image_score": row.image_score,
        "+ image": row.image_part,
        "x freshness": row.freshness,
        **factors,
        "final": row.recomputed,
        "age_days": row.age_days,
        "ranks": steps.words(row.item_id),
    }


class _Comparison:
    """Both pages of one search, explained."""

    def __init__(
        self,
        query: str,
        profiles: tuple[Profile, Profile],
        labels: tuple[str, str],
        pairs: tuple[Pair, Pair],
        now_ms: int,
        k: int,
    ) -> None:
        from ranking.preview import compare_pages

        self.query, self.profiles, self.labels, self.pairs = query, profiles, labels, pairs
        self.explained = [_explain(side, pair, now_ms) for side, pair in zip(profiles, pairs, strict=True)]
        self.found = compare_pages(
            query,
            (pairs[0].page.items, pairs[1].page.items),
            profiles,
            now_ms=now_ms,
            k=k,
            hits=pairs[0].page.total_hits,
        )


def _compare(
    es: Elasticsearch,
    index: str,
    query: str,
    profiles: tuple[Profile, Profile],
    labels: tuple[str, str],
    *,
    now_ms: int,
    size: int,
) -> _Comparison:
    from ranking.search import Searcher

    before, after = (
        Searcher(es, index, side).page_and_window(query, now_ms=now_ms, size=size) for side in profiles
    )
    return _Comparison(query, profiles, labels, (before, after), now_ms, size)


def _print_comparison(found: _Comparison, *, now_ms: int, html: Path | None, fmt: out.Format) -> None:
    (old, _), (new, steps) = found.explained
    if fmt is out.Format.json:
        sides = {
            name: {
                "profile": label,
                "profile_hash": profile.hash,
                "hits": [
                    row.row() | {"ranks": dict(zip(s.stages, s.ranks[row.item_id], strict=True))}
                    for row in rows
                ],
            }
            for name, label, profile, (rows, s) in zip(
                ("baseline", "contender"), found.labels, found.profiles, found.explained, strict=True
            )
        }
        out.as_json(
            {
                "query": found.query,
                "now_ms": now_ms,
                **sides,
                "change": found.found.as_dict(),
                "html": str(html) if html else None,
            }
        )
        return
    before = {row.item_id: row.rank for row in old}
    out.table(
        [
            {"rank": row.rank, f"in {found.labels[0]}": before.get(row.item_id)}
            | {k: v for k, v in _explained_row(found.profiles[1], row, steps).items() if k != "rank"}
            for row in new
        ],
        title=f"{found.labels[1]}, against {found.labels[0]}",
        right=("ranks", f"in {found.labels[0]}"),
    )
    left = ", ".join(found.found.left) or "none"
    out.note(f"{len(found.found.entered)} of {found.found.k} items change; left: {left}")
    out.note(_foot(found.profiles[1], now_ms, found.pairs[1].page))


def _write_html(
    es: Elasticsearch,
    index: str,
    found: _Comparison,
    path: Path,
    *,
    now_ms: int,
    platform: str | None,
    photos_root: Path | None,
) -> None:
    from replay.report import fetch_item_cards
    from replay.report.side_by_side import Side, build_side_by_side

    items = [item for pair in found.pairs for item in pair.page.items]
    cards = fetch_item_cards(es, index, [item.item_id for item in items], photo_root=photos_root)
    left, right = (
        Side(label, profile, rows, steps)
        for label, profile, (rows, steps) in zip(found.labels, found.profiles, found.explained, strict=True)
    )
    build_side_by_side(
        found.query,
        left,
        right,
        found.found,
        items=cards,
        ai_items=frozenset(item.item_id for item in items if (item.ai_prob or 0.0) > 0.5),
        now_ms=now_ms,
        platform=platform,
        out=path,
    )
    out.note(f"wrote {path}")


def _labels(names: tuple[str, str], profiles: tuple[Profile, Profile]) -> tuple[str, str]:
    """What each side is called: a file by its profile's name, and by its hash too where both are the same."""
    first, second = (
        profile.name if "/" in name or name.endswith((".yaml", ".yml", ".json")) else name
        for name, profile in zip(names, profiles, strict=True)
    )
    if first == second:
        return f"{first} {profiles[0].hash} (left)", f"{second} {profiles[1].hash} (right)"
    return first, second


def _head(query: str, profile: Profile, now_ms: int, page: Page) -> dict[str, Any]:
    return {
        "query": query,
        "profile": profile.name,
        "profile_hash": profile.hash,
        "now_ms": now_ms,
        "total_hits": page.total_hits,
        "took_ms": page.took_ms,
        "execution": page.execution,
    }


def _foot(profile: Profile, now_ms: int, page: Page) -> str:
    from ranking.clock import format_time

    counted = page.total_hits is not None
    hits = f"{page.total_hits} hits" if counted else f"{len(page.items)} hits or more (not counted)"
    how = (
        "" if page.execution == profile.execution else f" (run as {page.execution}: a node lacks the plugin)"
    )
    return f"{hits}, {page.took_ms} ms, {profile.summary}{how}, clock {format_time(now_ms)}"
