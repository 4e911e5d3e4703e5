"""`rank-cli replay`: capture searches, verify a log, rank it under other profiles, report."""

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
    duration,
    index_name,
    profile_named,
    read_lines,
)

if TYPE_CHECKING:
    from replay.compare import Comparison
    from replay.live import LiveParity
    from replay.parity import Parity

app = typer.Typer(no_args_is_help=True, help="Past searches: capture, verify, re-rank, report.")

Folder = Annotated[Path, typer.Argument(help="A capture folder.", metavar="DIR")]
Live = Annotated[bool, typer.Option("--live", help="Also ask the cluster, each search at its logged clock.")]


@app.command()
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


@app.command()
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
    today = _ask_cluster(log, index, limit) if live else None
    if fmt is out.Format.json:
        out.as_json({"parity": parity.as_dict(), "live": today.as_dict() if today else None})
    else:
        out.table(_parity_rows(parity, today))
        for failure in parity.failures[:5]:
            out.note(
                f"{failure.query!r} rank {failure.rank} {failure.item_id}: logged {failure.logged!r}, "
                f"formula {failure.recomputed!r}, {failure.ulp} ulp; rel {failure.rel!r}, "
                f"image {failure.image_score!r}, created {failure.created_ms!r}"
            )
    if not parity.holds or (today is not None and not today.holds):
        raise typer.Exit(2)


@app.command()
def run(
    folder: Folder,
    baseline: Annotated[str, typer.Option("--baseline", help="Profile: file or shipped name.")] = "control",
    contender: Annotated[
        list[str] | None, typer.Option("--contender", help="Profile to compare; may be given again.")
    ] = None,
    shift: Annotated[
        str, typer.Option("--shift", help="Move every clock, such as 7d: what the page would be then.")
    ] = "0",
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Length of the page that is measured.")] = 10,
    report: Annotated[Path | None, typer.Option("--report", help="Write the HTML report here.")] = None,
    live: Live = False,
    index: IndexOption = None,
    photos: Annotated[
        Path | None, typer.Option("--photos", help="Folder below which the report may read item photos.")
    ] = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Rank every captured search under other profiles, and say what changes, how sure, how exact.

    Example: rank-cli replay run captures --contender additive --contender multiplicative --report report.html
    """
    from ranking.profile import find_profile
    from replay import compare_rankings, rank, read_log
    from replay import verify as verify_log
    from replay.judgments import read_judgments

    shift_ms = duration(shift, "--shift")
    log = read_log(folder)
    parity, judgments = verify_log(log), read_judgments(folder)
    before = rank(log, find_profile(baseline), clock_shift_ms=shift_ms)
    names = contender or ["additive", "multiplicative"]
    comparisons = [
        compare_rankings(log, before, rank(log, find_profile(name), clock_shift_ms=shift_ms), judgments, k=k)
        for name in names
    ]
    today = _ask_cluster(log, index, None) if live else None
    if report is not None:
        from ranking.es import connect
        from replay.reporting import write_report

        es = connect() if photos is not None or live else None
        write_report(
            log,
            folder,
            comparisons,
            parity,
            live=today,
            judgments=judgments,
            out=report,
            es=es,
            photo_root=photos,
        )
        out.note(f"wrote {report}")
    if fmt is out.Format.json:
        out.as_json(
            {
                "parity": parity.as_dict(),
                "live": today.as_dict() if today else None,
                "comparisons": [found.as_dict() for found in comparisons],
                "report": str(report) if report else None,
            }
        )
    else:
        out.table(_parity_rows(parity, today))
        for found in comparisons:
            out.table(_rows(found), title=_title(found), right=("95 % interval", "p"))


def _ask_cluster(log: Any, index: str | None, limit: int | None) -> LiveParity:
    from ranking.es import connect
    from replay import verify_live

    with out.progress("asking the cluster", min(limit or len(log), len(log))) as advance:
        return verify_live(connect(), log, index=index, limit=limit, advance=advance)


def _parity_rows(parity: Parity, today: LiveParity | None) -> list[dict[str, Any]]:
    rows = [
        {
            "against": "the log",
            "scores": parity.scores,
            "bit-equal": parity.bit_equal,
            "worst ulp": parity.worst_ulp,
            "searches": parity.searches,
            "identical pages": parity.identical_topk,
            "index drift": "",
        }
    ]
    if today is not None:
        drift = today.drift
        rows.append(
            {
                "against": "the cluster, parts of today",
                "scores": today.scores,
                "bit-equal": today.bit_equal,
                "worst ulp": None,
                "searches": today.searches,
                "identical pages": drift.identical_pages,
                "index drift": (
                    f"rel equal {drift.rel_equal}/{drift.common_items}, rescored {drift.rescored}, "
                    f"left {drift.left}, entered {drift.entered}"
                ),
            }
        )
    if parity.unknown_profile:
        out.note(f"{parity.unknown_profile} searches were served by a profile that the log does not hold")
    return rows


def _title(found: Comparison) -> str:
    judged = " (simulated judgments)" if found.simulated_judgments else ""
    return (
        f"\n{found.contender.profile.name} against {found.baseline.profile.name}, "
        f"{len(found.entered)} searches, proven at {found.k} for {found.proven}, "
        f"{found.entered.mean():.2f} of {found.k} items change{judged}"
    )


def _rows(found: Comparison) -> list[dict[str, Any]]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:+.4f}"

    return [
        {
            "measure": row.measure,
            "segment": row.segment,
            "n": row.n,
            "baseline": f"{row.baseline:.4f}",
            "contender": f"{row.contender:.4f}",
            "delta": number(row.delta),
            "95 % interval": f"{number(row.low)} to {number(row.high)}" if row.low is not None else "",
            "p": "" if row.p is None else f"{row.p:.2g}",
        }
        for row in found.differences
    ]
