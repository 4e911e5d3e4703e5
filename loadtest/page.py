"""A load test as one self-contained HTML page: verdict, percentiles with intervals, errors, the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from loadtest.results import SIDES, Result, Side
from loadtest.slo import Check
from loadtest.summary import Row, Summary
from ranking.html_file import base_style, policy
from ranking.whole_file import write_text

WIDTH, HEIGHT = 900, 200  # pixels of the drawn latency curves
DRAWN = tuple(1 - 10 ** (-i / 20) for i in range(61))  # shares from 0 to 0.999, evenly in nines


def write_page(
    result: Result,
    summary: Summary,
    out: Path,
    *,
    checks: Sequence[Check] = (),
    throughput: Mapping[Side, float | None] | None = None,
) -> Path:
    """Write the page, whole or not at all; returns `out`."""
    template = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    ).from_string(_asset("page.html"))
    text = template.render(
        result=result,
        summary=summary,
        sides=SIDES,
        checks=checks,
        throughput=throughput or {},
        verdict=verdict(summary, checks),
        measures=[
            (MEASURES[name], [_cells(row) for row in summary.rows if row.measure == name])
            for name in MEASURES
        ],
        curves=curves(result),
        size=(WIDTH, HEIGHT),
        counters=sorted({name for side in SIDES for name in summary.sides[side].server}),
        policy=policy(),
        style=base_style() + _asset("page.css"),
    )
    return write_text(out, [text])


MEASURES = {
    "latency": "Latency, from the intended start",
    "service_time": "Service time, from the actual start",
    "took": "Took, as Elasticsearch says",
}


def verdict(summary: Summary, checks: Sequence[Check]) -> str:
    """In one sentence: whether the SLO holds, else how the p99 moved."""
    broken = [check.what for check in checks if not check.holds]
    if broken:
        return f"The SLO does not hold: {', '.join(broken)}."
    if checks:
        return f"The SLO holds: {len(checks)} of {len(checks)} limits."
    row = summary.row("latency", 99.0)
    if row.ratio is None:
        return "Nothing was answered."
    if row.ratio_low is None or row.ratio_high is None:
        return f"Latency at p99: {row.ratio - 1:+.1%}, with too few rounds for an interval."
    if row.ratio_low <= 1 <= row.ratio_high:
        return "No difference in latency at p99 was found."
    return f"Latency at p99: {row.ratio - 1:+.1%} ({row.ratio_low - 1:+.1%} to {row.ratio_high - 1:+.1%})."


def percent_name(percent: float) -> str:
    """Such as p99.9; the longest is max."""
    return "max" if percent == 100 else f"p{percent:g}"


def curves(result: Result) -> dict[str, Any]:
    """Latency of both sides by share of searches, both axes logarithmic, as SVG points."""
    from loadtest.histogram import merged

    lines = {}
    for side in SIDES:
        counts = merged([one.latency for one in result.of(side)])
        lines[side] = [counts.percentile_ms(100 * share) or 0.0 for share in DRAWN] if counts.n else []
    every = [ms for line in lines.values() for ms in line if ms > 0]
    if not every:
        return {"lines": {}, "ticks": []}
    import math

    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    high = max(high, low + 1)

    def y(ms: float) -> float:
        return round(HEIGHT - HEIGHT * (math.log10(max(ms, 10.0**low)) - low) / (high - low), 1)

    step = WIDTH / (len(DRAWN) - 1)
    points = {
        side: " ".join(f"{round(i * step, 1)},{y(ms)}" for i, ms in enumerate(line))
        for side, line in lines.items()
    }
    ticks = [(y(10.0**power), f"{10.0**power:g} ms") for power in range(low, high + 1)]
    return {"lines": points, "ticks": ticks}


def _cells(row: Row) -> dict[str, str]:
    change = "" if row.ratio is None else f"{row.ratio - 1:+.1%}"
    interval, kind = "", "open"
    if row.ratio_low is not None and row.ratio_high is not None:
        interval = f"{row.ratio_low - 1:+.1%} to {row.ratio_high - 1:+.1%}"
        kind = "down" if row.ratio_low > 1 else "up" if row.ratio_high < 1 else "open"
    return {
        "name": percent_name(row.percentile),
        "baseline": _ms(row.baseline, row.baseline_low, row.baseline_high),
        "contender": _ms(row.contender, row.contender_low, row.contender_high),
        "change": change,
        "interval": interval,
        "kind": kind,
    }


def _ms(at: float | None, low: float | None, high: float | None) -> str:
    if at is None:
        return ""
    return f"{at:.4g}" if low is None or high is None else f"{at:.4g} ({low:.4g}–{high:.4g})"


def _asset(name: str) -> str:
    return (resources.files("loadtest") / name).read_text(encoding="utf-8")
