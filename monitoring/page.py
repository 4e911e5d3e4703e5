"""The monitor as one self-contained HTML page: alerts first, then every metric by platform and by profile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, Final

from monitoring.alerts import Alert, Judged
from monitoring.metrics import GROUPS, METRICS, Metric, spelled
from monitoring.rules import Rules
from monitoring.series import History, Point
from monitoring.slices import ALL
from ranking.html_file import render_page
from ranking.whole_file import write_text

WIDTH, HEIGHT = 360, 120  # of a drawing, in its own units
MOST_LINES: Final = 6  # profile versions in one drawing: the latest
_MARGIN: Final = 0.08  # free share above and below the lines


def write_page(history: History, judged: Judged, rules: Rules, out: Path, *, source: str) -> Path:
    """Write the page, whole or not at all; returns `out`.

    Args:
        history: days up to the one that was judged.
        judged: what the rules say of it.
        rules: which they were.
        out: where to.
        source: where the figures come from, such as the index's name.
    """
    text = render_page(
        "monitoring",
        lstrip_blocks=True,
        history=history,
        judged=judged,
        rules=rules,
        source=source,
        verdict=verdict(judged),
        span=(history.days[0], history.days[-1]),
        searches=sum(p.n for p in history.series("took_p50_ms")),
        groups=_groups(history, judged.alerts),
        by_profile=_by_profile(history),
        size=(WIDTH, HEIGHT),
    )
    return write_text(out, [text])


def verdict(judged: Judged) -> str:
    """In one sentence: how many alerts there are on the day."""
    n = len(judged.alerts)
    if not n:
        return "No alert." if not judged.notes else "No alert; not everything could be judged."
    critical = sum(one.severity == "critical" for one in judged.alerts)
    said = f"{n} alert{'s' if n > 1 else ''}"
    return f"{said}, {critical} critical." if critical else f"{said}."


def _groups(history: History, alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    groups = []
    for group, title in GROUPS.items():
        cards = [
            card
            for metric in METRICS
            if metric.group == group
            if (
                card := _card(
                    history, metric, [(ALL, ALL), *((one, ALL) for one in history.platforms)], alerts
                )
            )
        ]
        if cards:
            groups.append({"title": title, "cards": cards})
    return groups


def _by_profile(history: History) -> list[dict[str, Any]]:
    latest = history.profiles[-MOST_LINES:]
    if len(latest) < 2:
        return []
    metrics = [one for one in METRICS if one.group in ("engagement", "page") or one.name == "took_p95_ms"]
    cards = (_card(history, metric, [(ALL, one) for one in latest], ()) for metric in metrics)
    return [card for card in cards if card]


def _card(
    history: History, metric: Metric, slices: Sequence[tuple[str, str]], alerts: Sequence[Alert]
) -> dict[str, Any] | None:
    """One metric drawn; None where no day has it."""
    if metric.kind == "cluster":
        slices = [(ALL, ALL)]
    found = [(name, history.series(metric.name, *name)) for name in slices]
    lines = [(name, series) for name, series in found if series]
    if not lines:
        return None
    days = sorted({*history.days, *(p.day for _, series in lines for p in series)})
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    n_days = max((last - first).days, 1)
    low, high = _span([p.value for _, series in lines for p in series])
    if metric.unit == "share":
        high = min(high, 1.0)

    def x(day: str) -> float:
        return round(WIDTH * (date.fromisoformat(day) - first).days / n_days, 1)

    def y(value: float) -> float:
        return round(HEIGHT * (1 - (value - low) / (high - low)), 1)

    drawn = []
    for i, ((platform, profile), series) in enumerate(lines):
        name = profile if profile != ALL else platform
        inside = [p for p in series if first.isoformat() <= p.day <= last.isoformat()]
        drawn.append(
            {
                "name": "all" if name == ALL else name,
                "place": i,
                "points": " ".join(f"{x(p.day)},{y(p.value)}" for p in inside),
                "last": spelled(metric, series[-1].value),
                "dots": [(x(p.day), y(p.value)) for p in inside] if len(inside) == 1 else [],
            }
        )
    reading = lines[0][1]
    mine = [one for one in alerts if one.metric == metric.name]
    return {
        "name": metric.name,
        "title": metric.title.replace("@k", f"@{history.k}"),
        "says": metric.says.replace("first k", f"first {history.k}"),
        "last": spelled(metric, reading[-1].value),
        "last_of": "" if lines[0][0] == (ALL, ALL) else drawn[0]["name"],
        "span": (days[0], days[-1]),
        "change": _change(reading),
        "kind": "down" if mine else "open",
        "lines": drawn,
        "low": spelled(metric, low),
        "high": spelled(metric, high),
        "alerts": [x(one.since) for one in mine if days[0] <= one.since <= days[-1]],
        "marks": [(x(one.day), one.text) for one in history.annotations if days[0] <= one.day <= days[-1]],
        "days": [
            (x(day), day, [(line[0], p) for line in _values(metric, lines, day) if (p := line[1])])
            for day in days
        ],
    }


def _values(
    metric: Metric, lines: Sequence[tuple[tuple[str, str], list[Point]]], day: str
) -> list[tuple[str, str]]:
    """Each line's value of a day, for the pointer and for the table."""
    out = []
    for (platform, profile), series in lines:
        at = next((p for p in series if p.day == day), None)
        name = profile if profile != ALL else "all" if platform == ALL else platform
        out.append((name, spelled(metric, at.value) if at else ""))
    return out


def _span(values: Sequence[float]) -> tuple[float, float]:
    """From the lowest to the highest value, with some room; never of no height."""
    low, high = min(values), max(values)
    if math.isclose(low, high, abs_tol=1e-12):
        room = abs(low) * 0.5 or 0.5
        return low - room, high + room
    room = _MARGIN * (high - low)
    return (max(0.0, low - room) if low >= 0 else low - room), high + room


def _change(series: Sequence[Point]) -> str:
    """The last day against the median of the 14 before."""
    before = [p.value for p in series[-15:-1]]
    if len(before) < 3:
        return ""
    middle = median(before)
    if not middle or series[-1].value == middle:
        return ""
    return f"{series[-1].value / middle - 1:+.1%}".replace("%", " %")


__all__ = ["verdict", "write_page"]
