"""Plays a load test with its notes and progress, and prints what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ranking.cli import _output as out

if TYPE_CHECKING:
    from loadtest import Check, Kind, Plan, Result, RoundResult, Side, Slo, Source, Step, Summary
    from loadtest.counters import Watch

LONG_ROUND_S = 3600  # a longer round is remarked on
LATE = 0.2  # share of the p99 of latency above which the sender is named as a limit
UNITS: dict[str, str] = {
    "search": "searches",
    "publish": "messages",
    "searchable": "items found",
    "score": "requests",
}


def play(
    sources: Sequence[Source],
    *,
    labels: Mapping[Side, str],
    said: Mapping[str, Any],
    plan: Plan,
    watches: Mapping[Kind, Watch],
) -> Result:
    """Run it, with a progress bar and a note on every round."""
    from loadtest import KINDS, SIDES, expected, run_rounds

    def note(done: Sequence[RoundResult]) -> None:
        first = done[0]
        parts = [_of_round(one) for one in sorted(done, key=lambda one: KINDS.index(one.kind))]
        side = f"{first.side} " if len(labels) > 1 else "round "
        out.note(f"{side}{first.number + 1}/{plan.rounds}: {'; '.join(parts)}")

    sides = [side for side in SIDES if side in labels]
    if plan.mode == "open":
        _announce(plan, sources, len(sides))
    with out.progress("requests", expected(sources, plan, sides)) as advance:
        return run_rounds(
            sources, labels=labels, said=said, plan=plan, watches=watches, advance=advance, note=note
        )


def _of_round(one: RoundResult) -> str:
    from loadtest.page import figure

    p99 = one.latency.percentile_ms(99)
    shown = "no answer" if p99 is None else f"p99 {figure(p99)} ms"
    bad = f", {sum(one.errors.values())} errors" if one.errors else ""
    long = f" in {one.seconds:.1f} s" if one.kind != "searchable" else ""
    return f"{one.n} {UNITS[one.kind]}{long}, {shown}{bad}"


def _announce(plan: Plan, sources: Sequence[Source], n_sides: int) -> None:
    from ranking.clock import format_duration

    n = n_sides * plan.rounds
    last = max(one.at[-1] for one in sources)
    always, beside = (
        " and ".join(f"{len(one.at)} {UNITS[one.kind]}" for one in sources if (one.only is None) == wanted)
        for wanted in (True, False)
    )
    with_ = f", {plan.rounds} of them with {beside}" if beside else ""
    out.note(f"{n} rounds of {always}{with_}, {round(last) if last >= 10 else round(last, 1)} s each")
    if last > LONG_ROUND_S:
        all_of_it = format_duration(round(n * last / 3600) * 3_600_000)
        faster = round(plan.speed_up * last / 60)
        hint = f"; --speed-up {faster} makes a round a minute" if plan.shape == "logged" else ""
        out.note(f"this will take {all_of_it}{hint}")


def finish(
    found: Result, limits: Slo | None, *, result_file: Path | None, html: Path | None, fmt: out.Format
) -> None:
    """Write the files that are asked for, print the figures, and exit 2 where a limit does not hold."""
    from loadtest import judge, read_steps, summarise, throughput_at_slo, write_page, write_result

    if result_file is not None:
        write_result(found, result_file)
        out.note(f"wrote {result_file}")
    summary = summarise(found)
    checks = judge(limits, summary) if limits is not None else []
    steps = read_steps(found, limits)
    throughput = throughput_at_slo(limits, found) if limits is not None and steps else None
    if html is not None:
        write_page(found, summary, html, checks=checks, steps=steps, throughput=throughput)
        out.note(f"wrote {html}")
    if fmt is out.Format.json:
        out.as_json(
            {
                "sides": dict(found.labels),
                "workload": dict(found.workload),
                **summary.as_dict(),
                "steps": [step.as_dict() for step in steps],
                "throughput_at_slo": throughput,
                "slo": [check.as_dict() for check in checks],
                "slo_holds": all(check.holds for check in checks) if checks else None,
            }
        )
    else:
        _print(found, summary, checks, steps, throughput)
    if not all(check.holds for check in checks):
        raise typer.Exit(2)


def _print(
    found: Result,
    summary: Summary,
    checks: Sequence[Check],
    steps: Sequence[Step],
    throughput: Mapping[Kind, Mapping[Side, float | None]] | None,
) -> None:
    from loadtest.page import percent_name, verdict

    both = len(found.labels) > 1
    for side, label in found.labels.items():
        out.note(f"{side}: {label}" if both else label)
    out.table(
        [
            {"kind": row.kind, "ms": row.measure, "": percent_name(row.percentile), **_of_row(row, both)}
            for row in summary.rows
        ]
    )
    if steps:
        out.table([_of_step(step, both) for step in steps])
    rows = []
    for kind, sides in summary.figures.items():
        for side, one in sides.items():
            row: dict[str, Any] = {"kind": kind} | ({"side": side} if both else {})
            row |= {
                "sent": one.n,
                "per second": None if kind == "searchable" else one.per_second,
                "errors": one.n_errors,
                "late p99 ms": one.late_p99_ms,
            }
            if throughput is not None:
                row["at SLO per second"] = throughput.get(kind, {}).get(side)
            rows.append(row)
            for what, n in one.errors.items():
                out.note(f"{kind}{f', {side}' if both else ''}: {n} × {what}")
    out.table(rows)
    _print_servers(summary, both)
    _warn_of_the_sender(summary, both)
    if checks:
        out.table([check.as_dict() for check in checks])
    out.note(verdict(summary, checks))


def _of_row(row: Any, both: bool) -> dict[str, Any]:
    if not both:
        low, high = row.contender_low, row.contender_high
        return {"found": row.contender, "95 % interval": "" if low is None else f"{low:.4g} to {high:.4g}"}
    interval = "" if row.ratio_low is None else f"{row.ratio_low:.3f} to {row.ratio_high:.3f}"
    return {
        "baseline": row.baseline,
        "contender": row.contender,
        "ratio": row.ratio,
        "95 % interval": interval,
    }


def _of_step(step: Step, both: bool) -> dict[str, Any]:
    return {
        "step": step.kind,
        **({"side": step.side} if both else {}),
        "rate": step.rate,
        "answered per second": None if step.kind == "searchable" else step.per_second,
        "p50 ms": step.p50_ms,
        "p99 ms": step.p99_ms,
        "errors": step.n_errors,
        "SLO": "" if step.holds is None else "holds" if step.holds else "does not hold",
    }


def _print_servers(summary: Summary, both: bool) -> None:
    seen = [
        (kind, side, one.server)
        for kind, sides in summary.figures.items()
        for side, one in sides.items()
        if one.server
    ]
    model = [(side, server) for kind, side, server in seen if kind == "score"]
    cluster = [(side, server) for kind, side, server in seen if kind != "score"]
    if cluster:
        out.table(
            [
                {
                    "Elasticsearch": side if both else "",
                    "rejected": server["rejected"],
                    "queue": server["queue_max"],
                    "GC ms": server["gc_young_ms"] + server["gc_old_ms"],
                    "indexed": server["indexed"],
                    "indexing ms": server["indexing_ms"],
                    "merge ms": server["merge_ms"],
                }
                for side, server in cluster
            ]
        )
    elif any(kind != "score" for kind in summary.figures):
        out.note("Elasticsearch's own counters are not shown: the login lacks the cluster privilege monitor")
    if model:
        out.table(
            [
                {
                    "Triton": side if both else "",
                    "photos": server["photos"],
                    "photos per batch": server["photos"] / max(server["batches"], 1),
                    "queue ms per request": server["queue_ms"] / max(server["requests"], 1),
                    "compute ms per request": server["compute_ms"] / max(server["requests"], 1),
                    "failed": server["failed"],
                }
                for side, server in model
            ]
        )


def _warn_of_the_sender(summary: Summary, both: bool) -> None:
    for kind, sides in summary.figures.items():
        p99 = summary.row("latency", 99.0, kind)
        for side, one in sides.items():
            latency = p99.baseline if side == "baseline" else p99.contender
            if latency and one.late_p99_ms and one.late_p99_ms > LATE * latency:
                late = f"{one.late_p99_ms:.3g} ms late (p99)"
                where = f"{kind}{f', {side}' if both else ''}"
                out.note(f"{where}: requests started up to {late}: the sender was a limit too")
