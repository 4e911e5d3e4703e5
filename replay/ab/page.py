"""An analysis as one self-contained HTML page: verdict, balance, Table 2 with intervals drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ranking.html_file import render_page
from ranking.whole_file import write_text
from replay.ab.analysis import Analysis, Result
from replay.ab.table import detail_rows, percent
from replay.ab.users import ALL

WIDTH = 190  # pixels of a drawn interval


def write_page(found: Analysis, out: Path) -> Path:
    """Write the page, whole or not at all; returns `out`."""
    places = [_place(found, name) for name in (ALL, *found.users.platforms)]
    text = render_page(
        "replay.ab",
        found=found,
        places=[place for place in places if place["rows"]],
        verdict=verdict(found),
        width=WIDTH,
    )
    return write_text(out, [text])


def verdict(found: Analysis) -> str:
    """What is significant, in one sentence."""
    if found.mismatch:
        return "The arms are not as large as assigned."
    moved = [one for one in found.results if one.significant and "cuped" not in one.method]
    on_platforms = [one for one in moved if one.platform != ALL] or moved
    if not on_platforms:
        return "No difference was found."
    parts = []
    for variant in found.variants:
        mine = [one for one in on_platforms if one.variant == variant]
        for place in dict.fromkeys(one.platform for one in mine):
            said = [f"{one.metric} {_relative(one)}" for one in mine if one.platform == place]
            more = f" and {len(said) - 3} more" if len(said) > 3 else ""
            where = "all platforms" if place == ALL else place
            parts.append(f"{variant} on {where}: {', '.join(said[:3])}{more}")
        if not mine:
            parts.append(f"{variant}: no difference found")
    return "; ".join(parts) + "."


def _relative(one: Result) -> str:
    return f"{one.delta:+.4g}" if one.ratio is None else f"{one.ratio - 1:+.1%}"


def _place(found: Analysis, platform: str) -> dict[str, Any]:
    results = [one for one in found.results if one.platform == platform]
    reach = _reach(results)
    rows = []
    for one, row in zip(results, detail_rows(found, platform), strict=True):
        rows.append(
            {
                "metric": one.metric,
                "variant": one.variant,
                "method": one.method,
                "control": row["control"],
                "value": row["value"],
                "ratio": percent(one.ratio),
                "t": "" if one.t is None else f"{one.t:.4f}",
                "change": row["change"],
                "interval": row["95 % interval"],
                "adjusted": row["adjusted"],
                "always": row["at every look"],
                "detectable": row["detectable"],
                "kind": "open" if not one.significant else "up" if one.delta > 0 else "down",
                "drawn": _drawn(one, reach),
            }
        )
    return {"name": platform, "rows": rows, "axis": f"from {-reach:.0%} to {reach:+.0%}"}


def _reach(results: Sequence[Result]) -> float:
    """Half the width of the axis, as a relative change: all ordinary intervals fit, up to 100 %."""
    ends = [abs(end - 1) for one in results for end in (one.ratio_low, one.ratio_high) if end is not None]
    return min(max(ends, default=0.1), 1.0) * 1.1


def _drawn(one: Result, reach: float) -> dict[str, Any] | None:
    """Where an interval stands on the axis, in pixels; None where there is none."""
    if one.ratio is None or one.ratio_low is None or one.ratio_high is None or one.always_low is None:
        return None

    def x(change: float) -> float:
        return round(WIDTH / 2 * (1 + min(max(change / reach, -1.0), 1.0)), 1)

    assert one.always_high is not None
    return {
        "at": x(one.ratio - 1),
        "once": (x(one.ratio_low - 1), x(one.ratio_high - 1)),
        "always": (x(one.always_low / one.control), x(one.always_high / one.control)),
    }
