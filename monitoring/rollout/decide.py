"""What a check does: hold, advance, finish, or roll back. A pure function of state, figures and clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from monitoring.rollout.evidence import Evidence, Finding
from monitoring.rollout.state import State
from ranking.clock import format_time

Verb = Literal["hold", "advance", "finish", "roll_back", "breached"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why; the reason of a hold says nothing that changes from look to look."""

    verb: Verb
    percent: float  # that the canary serves afterwards
    reason: str

    @property
    def bad(self) -> bool:
        """Whether a guardrail is breached, or the arms are not as assigned."""
        return self.verb in ("roll_back", "breached")


def decide(state: State, seen: Evidence, *, now_ms: int, auto_rollback: bool) -> Decision:
    """The next step of a roll-out that has not ended.

    A mismatch of the arms and a breached guardrail come first, at once and in a pause too. Then a step must
    have lasted, have users enough in both arms, data for every guardrail, and proof where it is asked for.

    Args:
        state: where it stands.
        seen: what users did in this step.
        now_ms: this moment.
        auto_rollback: roll back on a breach, rather than say so.
    """
    bad = _harm(seen)
    if not bad and state.breached is not None and auto_rollback:
        bad = f"as in entry {state.breached.number}: {state.breached.reason}"
    if bad and auto_rollback:
        return Decision("roll_back", 0.0, bad)
    if bad:
        return Decision("breached", state.percent, bad)

    def hold(why: str) -> Decision:
        return Decision("hold", state.percent, why)

    if state.paused:
        return hold("paused")
    if now_ms < state.due_ms:
        return hold(f"{state.plan.min_hours:g} h in this step are over at {format_time(state.due_ms)}")
    if not seen.enough:
        return hold(f"fewer than {state.plan.rules.min_users} users in an arm")
    if seen.without_data:
        return hold(f"no data for {', '.join(seen.without_data)}")
    if seen.unproven:
        return hold(f"not shown yet to be within its margin: {', '.join(seen.unproven)}")
    target = state.plan.after(state.percent)
    lasted = (now_ms - state.step_began_ms) / 3_600_000
    why = f"no guardrail breached in {lasted:.1f} h, {seen.n_canary} users of the canary"
    return Decision("finish" if target == 100 else "advance", target, why)


def _harm(seen: Evidence) -> str:
    if seen.mismatch:
        n = seen.n_canary + seen.n_control
        return (
            f"sample ratio mismatch: {seen.n_canary} of {n} users are in the canary, "
            f"{seen.n_canary / n:.2%} instead of {seen.share:.2%} (p {seen.mismatch_p:.2g} at every look)"
        )
    return "; ".join(breach(one) for one in seen.findings if one.verdict == "breached")


def breach(one: Finding) -> str:
    """A breached guardrail in words."""
    bound = one.low if one.less_is_better else one.high
    side = "at least" if one.less_is_better else "at most"
    return (
        f"{one.guardrail} {spell(one, one.change, signed=True)} ({side} {spell(one, bound, signed=True)} at "
        f"every look), beyond the margin of {spell(one, one.margin)}"
    )


def spell(one: Finding, change: float | None, *, signed: bool = False) -> str:
    """A change of a guardrail in its unit."""
    if change is None:
        return "unbounded"
    sign = "+" if signed else ""
    if one.relative:
        return f"{change * 100:{sign}.3g} %"
    if one.guardrail.startswith("took"):
        return f"{change:{sign}.4g} ms"
    return f"{change:{sign}.3g}" if one.guardrail == "ATPU" else f"{change * 100:{sign}.3g} pp"


__all__ = ["Decision", "Verb", "breach", "decide", "spell"]
