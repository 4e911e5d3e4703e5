"""A roll-out as one self-contained HTML page: where it stands, its guardrails drawn, its audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monitoring.rollout.evidence import Evidence, Finding
from monitoring.rollout.state import State
from monitoring.rollout.words import entry_rows, finding_rows, people, standing
from ranking.html_file import render_page
from ranking.whole_file import write_text

WIDTH = 220  # pixels of a drawn interval
_REACH = 3.0  # margins that fit on either side of no change


def write_page(state: State, seen: Evidence | None, out: Path) -> Path:
    """Write the page, whole or not at all; returns `out`.

    Args:
        state: of the roll-out.
        seen: the figures of this moment, or of the last check that kept some.
        out: the file.

    Raises:
        InputError: it cannot be written.
    """
    rows = []
    if seen is not None:
        rows = [
            {"row": row, "drawn": _drawn(one), "kind": one.verdict.replace(" ", "-")}
            for one, row in zip(seen.findings, finding_rows(seen), strict=True)
        ]
    text = render_page(
        "monitoring.rollout",
        state=state,
        seen=seen,
        rows=rows,
        entries=entry_rows(state.entries),
        people=None if seen is None else people(seen),
        standing=standing(state),
        steps=[{"percent": step, "kind": _step(state, step)} for step in state.plan.steps],
        width=WIDTH,
    )
    return write_text(out, [text])


def _step(state: State, step: float) -> str:
    if state.ended == "finished" or step < state.percent:
        return "done"
    return "now" if step == state.percent else "later"


def _drawn(one: Finding) -> dict[str, Any] | None:
    """Interval and margin in pixels, harm always to the left; None where nothing is known."""
    if one.change is None or (one.low is None and one.high is None):
        return None
    sign = -1.0 if one.less_is_better else 1.0
    ends = sorted(
        sign * (end if end is not None else far * 1e9) for end, far in ((one.low, -1.0), (one.high, 1.0))
    )
    unit = (one.margin or max(abs(one.change), 1e-9)) * _REACH

    def x(change: float) -> float:
        return round(WIDTH / 2 * (1 + min(max(change / unit, -1.0), 1.0)), 1)

    return {"low": x(ends[0]), "high": x(ends[1]), "at": x(sign * one.change), "margin": x(-one.margin)}


__all__ = ["write_page"]
