"""A roll-out in words and rows, the same on the command line and on the page."""

from __future__ import annotations

from typing import Any

from monitoring.rollout.audit import Entry
from monitoring.rollout.decide import spell
from monitoring.rollout.evidence import Evidence, Finding
from monitoring.rollout.run import Checked
from monitoring.rollout.state import State
from ranking.clock import format_time

_DONE = {
    "advance": "advanced",
    "finish": "finished",
    "roll_back": "ROLLED BACK",
    "hold": "held",
    "breached": "BREACHED",
}
_TO_DO = {
    "advance": "would advance",
    "finish": "would finish",
    "roll_back": "would ROLL BACK",
    "hold": "would hold",
    "breached": "BREACHED",
}


def finding_rows(seen: Evidence) -> list[dict[str, Any]]:
    """A row per guardrail."""
    return [
        {
            "guardrail": one.guardrail,
            "verdict": one.verdict,
            "control": value(one, one.control),
            "canary": value(one, one.canary),
            "change": "" if one.change is None else spell(one, one.change, signed=True),
            "at every look": interval(one),
            "margin": ("+" if one.less_is_better else "-") + spell(one, one.margin),
            "prove": "yes" if one.prove else "",
        }
        for one in seen.findings
    ]


def entry_rows(entries: tuple[Entry, ...]) -> list[dict[str, Any]]:
    """A row per entry of the audit."""
    return [
        {
            "number": one.number,
            "at": format_time(one.at_ms),
            "by": one.by,
            "action": one.action + (" (found)" if one.found else ""),
            "percent": f"{one.percent:g}",
            "why": one.reason,
        }
        for one in entries
    ]


def value(one: Finding, number: float | None) -> str:
    """A metric's value in its unit."""
    if number is None:
        return ""
    if one.guardrail.startswith("took"):
        return f"{number:.4g} ms"
    return f"{number:.4g}" if one.guardrail in ("RR", "ATPU") else f"{number:.3%}".replace("%", " %")


def interval(one: Finding) -> str:
    """The interval that holds at every look."""
    if one.low is None and one.high is None:
        return ""
    ends = [spell(one, end, signed=True) if end is not None else "…" for end in (one.low, one.high)]
    return " to ".join(ends)


def people(seen: Evidence) -> str:
    """Who was seen, in one sentence."""
    kind = "simulated users" if seen.simulated else "users"
    n = seen.n_canary + seen.n_control
    got = f"{seen.n_canary / n:.2%}" if n else "none"
    ratio = "SAMPLE RATIO MISMATCH" if seen.mismatch else "as assigned"
    said = (
        f"{seen.n_canary} {kind} of the canary, {seen.n_control} of the control ({got} instead of "
        f"{seen.share:.2%}: {ratio}, p {seen.mismatch_p:.2g}), {seen.searches} searches, "
        f"{seen.clicks} clicks, {seen.purchases} purchases"
    )
    said += "" if seen.failures is None else f", {seen.failures} failed searches"
    return said + (f"; {seen.crossed} users in both arms are left out" if seen.crossed else "")


def outcome(found: Checked) -> str:
    """What a check did, in one sentence."""
    state, decision = found.state, found.decision
    if decision is None:
        return f"{state.label} has ended: {state.last.action}, {state.last.reason}"
    verb = (_DONE if found.done else _TO_DO)[decision.verb]
    to = f" to {decision.percent:g} %" if decision.verb == "advance" else f" at {state.percent:g} %"
    where = to if decision.verb in ("advance", "hold", "breached") else ""
    return f"{state.label} {verb}{where}: {decision.reason}"


def standing(state: State) -> str:
    """Where a roll-out stands, in one sentence."""
    if state.ended is not None:
        return f"{state.label} has ended: {state.last.action}, {state.last.reason}"
    now = "breached and paused" if state.breached else "paused" if state.paused else "running"
    steps = ", ".join(f"{step:g}" for step in state.plan.steps)
    return (
        f"{state.label} is {now} at {state.percent:g} % (steps {steps}), in this step since "
        f"{format_time(state.step_began_ms)}, the next one not before {format_time(state.due_ms)}"
    )


__all__ = ["entry_rows", "finding_rows", "interval", "outcome", "people", "standing", "value"]
