"""`rank-cli loadtest`: captured searches sent again as load."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name, profile_named

if TYPE_CHECKING:
    from loadtest import Check, Plan, Result, Side, Slo, Summary

LONG_ROUND_S = 3600  # a longer round is remarked on
LATE = 0.2  # share of the p99 of latency above which the sender is named as a limit

app = typer.Typer(no_args_is_help=True, help="Load tests: captured searches sent again, against an SLO.")


class ShapeName(StrEnum):
    """How the rate changes over a round."""

    logged = "logged"
    soak = "soak"
    ramp = "ramp"
    step = "step"
    spike = "spike"
    knee = "knee"


SloOption = Annotated[
    Path | None, typer.Option("--slo", help="YAML file of limits; exit 2 where one does not hold.")
]
HtmlOption = Annotated[Path | None, typer.Option("--html", help="Write one self-contained page here.")]


@app.command("run")
def run(
    folder: Annotated[
        Path, typer.Argument(help="Capture folder, as of `replay record`.", metavar="CAPTURES")
    ],
    baseline: Annotated[str, typer.Option("--baseline", help="File, shipped or published name.")] = "control",
    contender: Annotated[
        str, typer.Option("--contender", help="The profile that is judged; as --baseline.")
    ] = "additive",
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Of each side, in turns; intervals need five.")
    ] = 6,
    shape: Annotated[
        ShapeName, typer.Option("--shape", help="logged: the log's arrivals. Others follow --rate.")
    ] = ShapeName.logged,
    speed_up: Annotated[
        float, typer.Option("--speed-up", help="With logged: 60 replays an hour in a minute.")
    ] = 1.0,
    rate: Annotated[
        float, typer.Option("--rate", min=0.01, help="Searches/s of soak; what other shapes go by.")
    ] = 20.0,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="Of a round, unless --shape logged.")
    ] = 30.0,
    users: Annotated[
        int | None,
        typer.Option("--users", min=1, help="A closed workload of so many users: they wait for answers."),
    ] = None,
    think: Annotated[
        float, typer.Option("--think", min=0, help="With --users: seconds from an answer to the next search.")
    ] = 0.0,
    connections: Annotated[
        int, typer.Option("--connections", min=1, help="Unanswered searches at once; more of them wait.")
    ] = 256,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds until an answer counts as a timeout.")
    ] = 30.0,
    slo: SloOption = None,
    result_file: Annotated[
        Path | None, typer.Option("--out", help="Write the result here, for `loadtest report`.")
    ] = None,
    html: HtmlOption = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Send the load to a cluster on another machine too.")
    ] = False,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Send captured searches under two profiles in turns, and compare latency, errors and the server's load.

    Searches keep their logged clock, platform and filters. Latency counts from the intended start, service
    time from the actual one.

    Example: rank-cli loadtest run captures --contender additive --speed-up 60 --slo slo.yaml
    """
    from loadtest import (
        Plan,
        RoundResult,
        cluster_target,
        expected,
        read_slo,
        read_workload,
        run_load,
        write_result,
    )
    from ranking.errors import InputError
    from ranking.es import connect
    from ranking.settings import get_settings

    limits = read_slo(slo) if slo is not None else None
    if users is not None and shape is not ShapeName.logged:
        raise InputError(
            f"--shape {shape.value} is for an open workload, and --users makes a closed one",
            hint="leave one of the two out",
        )
    target = cluster_target(get_settings(), allow_remote=allow_remote, timeout=timeout)
    searches = read_workload(folder)
    plan = Plan(
        mode="open" if users is None else "closed",
        shape=shape.value,
        speed_up=speed_up,
        rate=rate,
        seconds=seconds,
        users=users or 1,
        think=think,
        connections=connections,
        rounds=rounds,
    )
    total = expected(plan, searches)
    es = connect()

    def note(one: RoundResult) -> None:
        p99 = one.latency.percentile_ms(99)
        shown = "no answer" if p99 is None else f"p99 {p99:.4g} ms"
        bad = f", {sum(one.errors.values())} errors" if one.errors else ""
        out.note(
            f"{one.side} {one.number + 1}/{rounds}: {one.n} searches in {one.seconds:.1f} s, {shown}{bad}"
        )

    profiles: dict[Side, Any] = {
        "baseline": profile_named(es, baseline),
        "contender": profile_named(es, contender),
    }
    if plan.mode == "open":
        _announce(plan, plan.arrivals(searches)[0])
    with out.progress("searches", total) as advance:
        found = run_load(
            es,
            target,
            index_name(index),
            profiles=profiles,
            searches=searches,
            plan=plan,
            advance=advance,
            note=note,
        )
    if result_file is not None:
        write_result(found, result_file)
        out.note(f"wrote {result_file}")
    _show(found, limits, html, fmt)


@app.command("report")
def report(
    file: Annotated[Path, typer.Argument(help="What `loadtest run --out` wrote.", metavar="FILE")],
    slo: SloOption = None,
    html: HtmlOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Print, draw or judge a load test again; sends nothing.

    Example: rank-cli loadtest report load.json --slo slo.yaml --html load.html
    """
    from loadtest import read_result, read_slo

    limits = read_slo(slo) if slo is not None else None
    _show(read_result(file), limits, html, fmt)


def _announce(plan: Plan, at: tuple[float, ...]) -> None:
    from ranking.clock import format_duration

    long = round(at[-1]) if at[-1] >= 10 else round(at[-1], 1)
    out.note(f"{2 * plan.rounds} rounds of {len(at)} searches, {long} s each")
    if at[-1] > LONG_ROUND_S:
        all_of_it = format_duration(round(2 * plan.rounds * at[-1] / 3600) * 3_600_000)
        faster = round(plan.speed_up * at[-1] / 60)
        hint = f"; --speed-up {faster} makes a round a minute" if plan.shape == "logged" else ""
        out.note(f"this will take {all_of_it}{hint}")


def _show(found: Result, limits: Slo | None, html: Path | None, fmt: out.Format) -> None:
    from loadtest import judge, summarise, throughput_at_slo, write_page

    summary = summarise(found)
    checks = judge(limits, summary) if limits is not None else []
    stepped = any(one.steps for one in found.rounds)
    throughput = throughput_at_slo(limits, found) if limits is not None and stepped else None
    if html is not None:
        write_page(found, summary, html, checks=checks, throughput=throughput)
        out.note(f"wrote {html}")
    if fmt is out.Format.json:
        out.as_json(
            {
                "profiles": dict(found.profiles),
                "workload": dict(found.workload),
                **summary.as_dict(),
                "throughput_at_slo": throughput,
                "slo": [check.as_dict() for check in checks],
                "slo_holds": all(check.holds for check in checks) if checks else None,
            }
        )
    else:
        _print(found, summary, checks, throughput)
    if not all(check.holds for check in checks):
        raise typer.Exit(2)


def _print(
    found: Result, summary: Summary, checks: list[Check], throughput: dict[Side, float | None] | None
) -> None:
    from loadtest.page import percent_name, verdict

    out.note(f"baseline {found.profiles['baseline']}, contender {found.profiles['contender']}")
    out.table(
        [
            {
                "ms": row.measure,
                "": percent_name(row.percentile),
                "baseline": row.baseline,
                "contender": row.contender,
                "ratio": row.ratio,
                "95 % interval": ""
                if row.ratio_low is None
                else f"{row.ratio_low:.3f} to {row.ratio_high:.3f}",
            }
            for row in summary.rows
        ]
    )
    sides: list[dict[str, Any]] = []
    for name, side in summary.sides.items():
        row: dict[str, Any] = {
            "side": name,
            "searches": side.n,
            "per second": side.per_second,
            "errors": side.n_errors,
            "late p99 ms": side.late_p99_ms,
            "rejected": side.server.get("rejected"),
            "queue": side.server.get("queue_max"),
            "GC ms": side.server["gc_young_ms"] + side.server["gc_old_ms"] if side.server else None,
        }
        if throughput is not None:
            row["at SLO per second"] = throughput[name]
        sides.append(row)
        for kind, n in side.errors.items():
            out.note(f"{name}: {n} × {kind}")
    out.table(sides)
    for name, side in summary.sides.items():
        p99 = summary.row("latency", 99.0)
        latency = p99.baseline if name == "baseline" else p99.contender
        if latency and side.late_p99_ms and side.late_p99_ms > LATE * latency:
            late = f"{side.late_p99_ms:.3g} ms late (p99)"
            out.note(f"{name}: searches started up to {late}: the sender was a limit too")
    if not any(side.server for side in summary.sides.values()):
        out.note("the server's own counters are not shown: the login lacks the cluster privilege monitor")
    if checks:
        out.table([check.as_dict() for check in checks])
    out.note(verdict(summary, checks))
