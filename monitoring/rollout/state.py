"""Where a roll-out stands: what its audit entries add up to, and whether what is live agrees with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.rollout.audit import ENDS, Action, Entry
from monitoring.rollout.rules import Rules, parse_rules
from ranking.clock import parse_time
from ranking.published import Published

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How a canary is to grow."""

    steps: tuple[float, ...]  # percent of users, rising to 100
    min_hours: float  # that each step lasts at least
    rules: Rules

    def as_dict(self) -> dict[str, Any]:
        """As the first entry keeps it."""
        return {
            "steps": list(self.steps),
            "min_hours": self.min_hours,
            "rules": self.rules.model_dump(mode="json"),
        }

    @classmethod
    def of(cls, data: Mapping[str, Any], where: str) -> Plan:
        """As it was kept."""
        return cls(tuple(data["steps"]), data["min_hours"], parse_rules(data["rules"], where))

    def after(self, percent: float) -> float:
        """The step after a share, on the list or not; 100 is the last."""
        return next((step for step in self.steps if step > percent), 100.0)

    @property
    def compared(self) -> int:
        """Steps in which there is a control."""
        return sum(step < 100 for step in self.steps)


@dataclass(frozen=True, slots=True)
class State:
    """A roll-out at this moment."""

    name: str
    version: int  # of the canary
    plan: Plan
    percent: float  # that the canary serves
    step_began_ms: int
    paused: bool  # by an operator, or by a breach that nobody was allowed to act on
    breached: Entry | None  # that breach, until somebody resumes
    ended: Action | None
    last: Entry
    decided: Entry | None  # what a check was about to do, where nothing after it says that it did
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        """Such as `additive@3`; also the salt of its canary."""
        return f"{self.name}@{self.version}"

    @property
    def next_number(self) -> int:
        """Of the entry to come."""
        return self.last.number + 1

    @property
    def due_ms(self) -> int:
        """When the step has lasted long enough."""
        return self.step_began_ms + round(self.plan.min_hours * HOUR_MS)

    @property
    def bad_end(self) -> bool:
        """Whether guardrails ended it."""
        return self.ended == "rolled_back"

    def entry(self, action: Action, *, at_ms: int, by: str | None, reason: str, **more: Any) -> Entry:
        """The entry to come; the share stays where none is given."""
        more.setdefault("percent", self.percent)
        return Entry(
            name=self.name,
            version=self.version,
            number=self.next_number,
            action=action,
            at_ms=at_ms,
            by=by,
            from_percent=self.percent,
            reason=reason,
            **more,
        )


def fold(entries: Sequence[Entry]) -> State | None:
    """Where entries lead; None of none."""
    if not entries:
        return None
    first = entries[0]
    plan = Plan.of(first.plan or {}, first.rollout)
    percent, began, paused, decided = first.percent, first.at_ms, False, None
    ended: Action | None = None
    breached: Entry | None = None
    for one in entries:
        if one.action in ("started", "advanced", "changed"):
            percent, began, decided = one.percent, one.at_ms, None
        elif one.action == "decided":
            decided = one
        elif one.action in ("paused", "resumed"):
            paused = one.action == "paused"
            breached = breached if paused else None
        elif one.action == "breached":
            paused, breached = True, one
        elif one.action in ENDS:
            percent, ended, decided, breached = one.percent, one.action, None, None
    return State(
        name=first.name,
        version=first.version,
        plan=plan,
        percent=percent,
        step_began_ms=began,
        paused=paused,
        breached=breached,
        ended=ended,
        last=entries[-1],
        decided=decided,
        entries=tuple(entries),
    )


def found_done(state: State, live: Published | None) -> Entry | None:
    """The entry that the audit lacks: what is live is not what the entries say. None where they agree.

    The cluster changes first and the audit is written then, so a process that is killed in between leaves
    such a gap; so does somebody who uses `boost` or `apply-boost` meanwhile.
    """
    if state.ended is not None:
        return None
    if live is None:
        return state.entry(
            "superseded",
            at_ms=state.last.at_ms,
            by=None,
            reason=f"{state.name} is no longer published",
            percent=0.0,
            found=True,
        )
    canary = live.canary
    if canary is not None and canary.version == state.version and canary.percent == state.percent:
        return None
    action: Action
    if canary is not None and canary.version == state.version:
        action, percent = "changed", canary.percent
        what = f"the canary serves {percent:g} %, the audit said {state.percent:g} %"
    elif canary is None and live.version == state.version:
        action, percent = "finished", 100.0
        what = f"{state.label} is live for everybody"
    elif canary is None and live.version < state.version:
        action, percent = "rolled_back", 0.0
        what = f"the canary ended, {live.label} is live for everybody"
    else:
        other = f"the canary {state.name}@{canary.version}" if canary else live.label
        action, percent = "superseded", 0.0
        what = f"{other} is there in place of the canary {state.label}"
    why = f"found: {what}"
    decided = state.decided
    if decided is not None and decided.percent == percent:
        action = "advanced" if action == "changed" else action
        why += f"; as decided in entry {decided.number}: {decided.reason}"
    elif action == "rolled_back":
        action = "aborted"  # no check had decided it: an operator did
    return state.entry(
        action,
        at_ms=parse_time(live.changed_at),
        by=live.changed_by,
        reason=why,
        percent=percent,
        found=True,
    )


__all__ = ["HOUR_MS", "Plan", "State", "fold", "found_done"]
