"""A load test as one self-contained HTML page: the verdict, then every kind of request by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtest.histogram import PERCENTILES, merged
from loadtest.results import Result, Side
from loadtest.sender import Kind
from loadtest.slo import Check, Step
from loadtest.summary import MEASURES, Figures, Row, Summary
from ranking.html_file import render_page
from ranking.whole_file import write_text

WIDTH, HEIGHT = 900, 200  # pixels of a drawing
DRAWN = tuple(1 - 10 ** (-i / 20) for i in range(61))  # shares from 0 to 0.999, evenly in nines
GOOD_NEWS = ("rejected", "write_rejected", "failed")  # shown at zero too
TITLES: dict[Kind, str] = {
    "search": "Searches",
    "publish": "Item messages, until the brokers have them",
    "searchable": "Items, until a search finds them",
    "score": "Photos, until Triton has scored them",
}
MEASURE_TITLES = {
    "latency": "latency, from the intended start",
    "service_time": "service time, from the actual start",
    "took": "took, as Elasticsearch says",
}


def write_page(
    result: Result,
    summary: Summary,
    out: Path,
    *,
    checks: Sequence[Check] = (),
    steps: Sequence[Step] = (),
    throughput: Mapping[Kind, Mapping[Side, float | None]] | None = None,
) -> Path:
    """Write the page, whole or not at all; returns `out`."""
    text = render_page(
        "loadtest",
        filters={"figure": figure},
        result=result,
        checks=checks,
        verdict=verdict(summary, checks),
        kinds=[_kind(kind, result, summary, steps, (throughput or {}).get(kind)) for kind in result.kinds],
        size=(WIDTH, HEIGHT),
    )
    return write_text(out, [text])


def verdict(summary: Summary, checks: Sequence[Check]) -> str:
    """In one sentence: whether the SLO holds, else how the p99 of latency moved, or what it is."""
    broken = [check.what for check in checks if not check.holds]
    if broken:
        return f"The SLO does not hold: {', '.join(broken)}."
    if checks:
        return f"The SLO holds: {len(checks)} of {len(checks)} limits."
    first = next(iter(summary.figures), None)
    if first is None:
        return "Nothing was sent."
    row = summary.row("latency", 99.0, first)
    if row.contender is None:
        return "Nothing was answered."
    if row.ratio is None:
        found = {kind: summary.row("latency", 99.0, kind).contender for kind in summary.figures}
        said = [f"{kind} {figure(ms)} ms" for kind, ms in found.items() if ms is not None]
        return f"Latency at p99: {', '.join(said)}."
    if row.ratio_low is None or row.ratio_high is None:
        return f"Latency at p99: {row.ratio - 1:+.1%}, with too few rounds for an interval."
    if row.ratio_low <= 1 <= row.ratio_high:
        return "No difference in latency at p99 was found."
    return f"Latency at p99: {row.ratio - 1:+.1%} ({row.ratio_low - 1:+.1%} to {row.ratio_high - 1:+.1%})."


def figure(value: float | None) -> str:
    """Four digits, whole from 1000 on; empty for nothing."""
    return "" if value is None else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def percent_name(percent: float) -> str:
    """Such as p99.9; the longest is max."""
    return "max" if percent == 100 else f"p{percent:g}"


def _kind(
    kind: Kind,
    result: Result,
    summary: Summary,
    steps: Sequence[Step],
    throughput: Mapping[Side, float | None] | None,
) -> dict[str, Any]:
    figures = summary.figures[kind]
    sides = list(figures)
    mine = [step for step in steps if step.kind == kind]
    return {
        "name": kind,
        "title": TITLES[kind],
        "sides": sides,
        "both": len(sides) == 2,
        "figures": figures,
        "counters": _counters(figures),
        "measures": [
            (
                MEASURE_TITLES[name],
                [_cells(row, sides) for row in summary.rows if (row.kind, row.measure) == (kind, name)],
            )
            for name in MEASURES[kind]
        ],
        "percentiles": [percent_name(percent) for percent in PERCENTILES],
        "shares": curves(result, kind, sides),
        "steps": mine,
        "by_rate": by_rate(mine, sides),
        "throughput": throughput,
    }


def _counters(figures: Mapping[Side, Figures]) -> list[str]:
    """Those that moved on some side, and those whose standing still is good news."""
    found: dict[str, bool] = {}
    for one in figures.values():
        for name, value in one.server.items():
            found[name] = found.get(name, False) or value > 0 or name in GOOD_NEWS
    return [name for name, shown in found.items() if shown]


def curves(result: Result, kind: Kind, sides: Sequence[Side]) -> dict[str, Any]:
    """Latency by share of requests, both axes logarithmic."""
    lines = {}
    for side in sides:
        counts = merged([one.latency for one in result.of(side, kind)])
        at = [(i / (len(DRAWN) - 1), counts.percentile_ms(100 * share)) for i, share in enumerate(DRAWN)]
        lines[side] = [(x, ms) for x, ms in at if ms]
    return _drawing(lines, [(i / 3, words) for i, words in enumerate(("0", "90 %", "99 %", "99.9 %"))])


def by_rate(steps: Sequence[Step], sides: Sequence[Side]) -> dict[str, Any]:
    """Latency at p99 by the rate of each step, both axes logarithmic."""
    if len({step.rate for step in steps}) < 2:
        return {"lines": {}}
    logs = [math.log(step.rate) for step in steps]

    def x(rate: float) -> float:
        return (math.log(rate) - min(logs)) / (max(logs) - min(logs))

    lines = {
        side: [(x(one.rate), one.p99_ms) for one in steps if one.side == side and one.p99_ms]
        for side in sides
    }
    rates = sorted({step.rate for step in steps})
    return _drawing(lines, [(x(rate), f"{rate:.3g}/s") for rate in rates])


def _drawing(
    lines: Mapping[Side, Sequence[tuple[float, float]]], words: Sequence[tuple[float, str]]
) -> dict[str, Any]:
    """SVG points of lines over x in [0, 1] and y in ms, with ticks; no lines where there is no point."""
    every = [ms for line in lines.values() for _, ms in line]
    if not every:
        return {"lines": {}}
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    high = max(high, low + 1)

    def y(ms: float) -> float:
        return round(HEIGHT - HEIGHT * (math.log10(ms) - low) / (high - low), 1)

    return {
        "lines": {
            side: " ".join(f"{round(x * WIDTH, 1)},{y(ms)}" for x, ms in line) for side, line in lines.items()
        },
        "ms": [(y(10.0**power), f"{10.0**power:g} ms") for power in range(low, high + 1)],
        "words": [(round(x * WIDTH, 1), text) for x, text in words],
    }


def _cells(row: Row, sides: Sequence[Side]) -> dict[str, Any]:
    change = "" if row.ratio is None else f"{row.ratio - 1:+.1%}"
    interval, kind = "", "open"
    if row.ratio_low is not None and row.ratio_high is not None:
        interval = f"{row.ratio_low - 1:+.1%} to {row.ratio_high - 1:+.1%}"
        kind = "down" if row.ratio_low > 1 else "up" if row.ratio_high < 1 else "open"
    of = {
        "baseline": _ms(row.baseline, row.baseline_low, row.baseline_high),
        "contender": _ms(row.contender, row.contender_low, row.contender_high),
    }
    return {
        "name": percent_name(row.percentile),
        "sides": [of[side] for side in sides],
        "change": change,
        "interval": interval,
        "kind": kind,
    }


def _ms(at: float | None, low: float | None, high: float | None) -> str:
    if at is None or low is None or high is None:
        return figure(at)
    return f"{figure(at)} ({figure(low)}–{figure(high)})"
