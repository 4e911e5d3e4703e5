"""Start, check, pause, resume, abort: the cluster and the audit, in an order that survives a kill.

    decided (with the figures)  ->  the live document, by compare-and-set  ->  advanced, finished, rolled_back

Of two operators at once one writes `decided`, and the other is refused. After a kill behind `decided` the
next check decides anew; behind the live document, it finds the change done and writes the entry that lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from monitoring.rollout.audit import (
    INDEX,
    Action,
    Entry,
    append,
    append_next,
    ensure_index,
    newest,
    read_entries,
)
from monitoring.rollout.decide import Decision, decide
from monitoring.rollout.evidence import Evidence, judge
from monitoring.rollout.observed import observe
from monitoring.rollout.rules import cutoff, metric_kind
from monitoring.rollout.state import Plan, State, fold, found_done
from ranking import published
from ranking.canary import Canary
from ranking.errors import InputError, StalePlan
from ranking.profile import Profile
from ranking.publish import change_percent, promote, publish, rollback
from ranking.published import Published, read_published, read_version


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where things are."""

    es: Elasticsearch
    by: str | None = None  # who acts
    profiles: str = published.INDEX
    audit: str = INDEX


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check saw and did."""

    state: State  # afterwards
    decision: Decision | None  # None: it had ended before
    evidence: Evidence | None
    repaired: Entry | None  # what the audit lacked
    done: bool  # whether the decision was carried out, rather than said

    @property
    def bad(self) -> bool:
        """Whether guardrails ended it, or would."""
        latched = self.state.breached is not None
        return self.state.bad_end or latched or (self.decision is not None and self.decision.bad)

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return {
            **describe(self.state),
            "decision": None if self.decision is None else self.decision.verb,
            "reason": self.state.last.reason if self.decision is None else self.decision.reason,
            "done": self.done,
            "repaired": None if self.repaired is None else self.repaired.as_dict(),
            "evidence": None if self.evidence is None else self.evidence.as_dict(),
        }


def describe(state: State) -> dict[str, Any]:
    """A state as one JSON object."""
    from ranking.clock import format_time

    return {
        "rollout": state.label,
        "percent": state.percent,
        "state": state.ended or ("breached" if state.breached else "paused" if state.paused else "running"),
        "next_percent": None if state.ended else state.plan.after(state.percent),
        "step_began": format_time(state.step_began_ms),
        "step_due": None if state.ended else format_time(state.due_ms),
        "plan": state.plan.as_dict(),
        "entries": len(state.entries),
    }


def start(at: Cluster, profile: Profile, plan: Plan, *, now_ms: int) -> State:
    """Publish a profile as a canary at the first step, or take over a canary of the same profile that runs.

    Raises:
        InputError: a roll-out or another canary runs, the profile is live already, or nothing is.
        StalePlan: somebody else was faster.
    """
    name, first = profile.name, plan.steps[0]
    live = read_published(at.es, name, index=at.profiles)
    if live is not None and live.profile == profile:
        raise InputError(f"{live.label} is live already: there is nothing to roll out")
    ensure_index(at.es, at.audit)
    running = _current(at, name, live)
    if running is not None and running.ended is None:
        raise InputError(
            f"the roll-out {running.label} is running, at {running.percent:g} %",
            hint=f"end it first: rank-cli rollout abort {name}",
        )
    canary = live.canary if live else None
    if live is not None and canary is not None:
        if read_version(at.es, name, canary.version, index=at.profiles).profile != profile:
            raise InputError(
                f"another canary of {name} runs, version {canary.version} at {canary.percent:g} %",
                hint=f"end it first: rank-cli boost rollback {name}",
            )
        version, before = canary.version, canary.percent
        if before != first:
            change_percent(at.es, live, first, now_ms=now_ms, publisher=at.by, index=at.profiles)
        why = f"took over the canary {name}@{version}, which served {before:g} %"
    else:
        version, before = (
            publish(
                at.es,
                profile,
                now_ms=now_ms,
                replaces=live,
                canary_percent=first,
                publisher=at.by,
                index=at.profiles,
            ),
            0.0,
        )
        why = f"published {name}@{version} beside {live.label if live else 'nothing'}"
    entry = Entry(
        name=name,
        version=version,
        number=1,
        action="started",
        at_ms=now_ms,
        by=at.by,
        percent=first,
        from_percent=before,
        reason=why,
        plan=plan.as_dict(),
    )
    append(at.es, entry, at.audit)
    found = fold([entry])
    assert found is not None
    return found


def find(at: Cluster, name: str) -> State:
    """Where the latest roll-out of a profile stands, as the audit says; changes nothing.

    Raises:
        InputError: there never was one.
    """
    rollout = newest(at.es, name, at.audit)
    found = fold(read_entries(at.es, rollout, at.audit)) if rollout else None
    if found is None:
        raise InputError(
            f"there is no roll-out of {name}", hint=f"start one: rank-cli rollout start {name}.yaml"
        )
    return found


def check(
    at: Cluster, name: str, captures: Path, *, now_ms: int, auto_rollback: bool = False, dry_run: bool = False
) -> Checked:
    """One step: repair the audit, look at the figures, and hold, advance, finish or roll back.

    Run twice, the second finds nothing to do. A breach without `auto_rollback` changes nothing and stays.

    Args:
        at: where, and who.
        name: of the profile.
        captures: the folder that the service captures into.
        now_ms: this moment; what was captured from then on is left out.
        auto_rollback: roll back on a breach.
        dry_run: say what would be done; write nothing, the repair neither.

    Raises:
        InputError: no roll-out, or captures that cannot be read.
        StalePlan: somebody else checks at this moment; theirs counts.
    """
    state = find(at, name)
    live = read_published(at.es, name, index=at.profiles)
    repaired = found_done(state, live)
    if repaired is not None:
        if not dry_run:
            append(at.es, repaired, at.audit)
        state = _fold([*state.entries, repaired])
    if state.ended is not None or live is None:
        return Checked(state, None, None, repaired, done=not dry_run)
    seen = look(state, captures, now_ms=now_ms)
    decision = decide(state, seen, now_ms=now_ms, auto_rollback=auto_rollback)
    if not dry_run:
        state = _carry_out(at, state, live, decision=decision, seen=seen, now_ms=now_ms)
    return Checked(state, decision, seen, repaired, done=not dry_run)


def look(state: State, captures: Path, *, now_ms: int) -> Evidence:
    """The figures of the current step."""
    rules = state.plan.rules
    ks = {cutoff(name) for name in rules.guardrails if metric_kind(name) == "CTR"}
    since = state.step_began_ms + rules.settle_ms
    seen = observe(captures, state.label, since_ms=since, until_ms=now_ms, ks=ks)
    return judge(rules, seen, share=state.percent / 100, n_steps=state.plan.compared)


def pause(at: Cluster, name: str, *, now_ms: int, reason: str, resume: bool = False) -> State:
    """Stop advancing, or go on; guardrails are watched in a pause too.

    Raises:
        InputError: it has ended, or is paused (running) already.
        StalePlan: somebody else was faster.
    """
    state = _running(at, name)
    if state.paused is not resume:
        raise InputError(
            f"the roll-out {state.label} is {'paused' if state.paused else 'not paused'} already"
        )
    entry = state.entry("resumed" if resume else "paused", at_ms=now_ms, by=at.by, reason=reason)
    return _fold([*state.entries, append(at.es, entry, at.audit)])


def abort(at: Cluster, name: str, *, now_ms: int, reason: str) -> State:
    """End the canary: what was live before serves everybody.

    Raises:
        InputError: it has ended.
        StalePlan: somebody else was faster.
    """
    state = _running(at, name)
    live = read_published(at.es, name, index=at.profiles)
    assert live is not None
    rollback(at.es, live, now_ms=now_ms, publisher=at.by, index=at.profiles)
    entry = state.entry("aborted", at_ms=now_ms, by=at.by, reason=reason, percent=0.0)
    return _record(at, state, entry)


def _carry_out(
    at: Cluster, state: State, live: Published, *, decision: Decision, seen: Evidence, now_ms: int
) -> State:
    """Do what was decided, and write it down."""
    about: dict[str, Any] = {
        "at_ms": now_ms,
        "by": at.by,
        "reason": decision.reason,
        "figures": seen.as_dict(),
    }
    if decision.verb in ("hold", "breached"):
        action: Action = "held" if decision.verb == "hold" else "breached"
        said = state.last.action == action and (action == "breached" or state.last.reason == decision.reason)
        if said:
            return state
        return _fold([*state.entries, append(at.es, state.entry(action, **about), at.audit)])
    decided = state.entry("decided", percent=decision.percent, **about)
    state = _fold([*state.entries, append(at.es, decided, at.audit)])
    what: dict[str, Any] = {"now_ms": now_ms, "publisher": at.by, "index": at.profiles}
    match decision.verb:
        case "advance":
            change_percent(at.es, live, decision.percent, **what)
            action = "advanced"
        case "finish":
            promote(at.es, live, **what)
            action = "finished"
        case _:
            rollback(at.es, live, **what)
            action = "rolled_back"
    return _record(at, state, state.entry(action, percent=decision.percent, **about))


def _record(at: Cluster, state: State, entry: Entry) -> State:
    """Write down what was done; nothing where a check that came between has found and written it."""
    try:
        append(at.es, entry, at.audit)
    except StalePlan:
        now = _fold(read_entries(at.es, state.label, at.audit))
        if now.ended is not None or (now.percent == entry.percent and now.step_began_ms == entry.at_ms):
            return now
        append_next(at.es, entry, at.audit)
    return _fold(read_entries(at.es, state.label, at.audit))


def _current(at: Cluster, name: str, live: Published | None) -> State | None:
    """The latest roll-out with what its audit lacks written; None where there is none."""
    rollout = newest(at.es, name, at.audit)
    if rollout is None:
        return None
    state = _fold(read_entries(at.es, rollout, at.audit))
    if (lacking := found_done(state, live)) is not None:
        append(at.es, lacking, at.audit)
        state = _fold([*state.entries, lacking])
    return state


def _running(at: Cluster, name: str) -> State:
    live = read_published(at.es, name, index=at.profiles)
    state = _current(at, name, live)
    if state is None:
        return find(at, name)  # raises: there is none
    if state.ended is not None:
        raise InputError(
            f"the roll-out {state.label} has ended: {state.ended}", hint=f"rank-cli rollout history {name}"
        )
    return state


def _fold(entries: list[Entry]) -> State:
    found = fold(entries)
    assert found is not None
    return found


def arm_of(state: State, user_id: str) -> str | None:
    """What a capture of this user records while the roll-out stands here."""
    return Canary(state.version, state.percent, state.label).arm(user_id)


__all__ = [
    "Checked",
    "Cluster",
    "abort",
    "arm_of",
    "check",
    "describe",
    "find",
    "look",
    "pause",
    "start",
]
