"""`rank-cli replay run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, duration
from ranking.cli.replay._cluster import ask_cluster, parity_rows
from ranking.cli.replay._options import Folder, Live

if TYPE_CHECKING:
    from replay.compare import Comparison


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
    today = ask_cluster(log, index, None) if live else None
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
        out.table(parity_rows(parity, today))
        for found in comparisons:
            out.table(_rows(found), title=_title(found), right=("95 % interval", "p"))


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
