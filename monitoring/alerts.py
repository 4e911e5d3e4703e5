"""Rules held against series: which alerts there are on a day, and what could not be judged.

An alert is a state, not an event: it is computed again from the same days whenever it is asked for, and its
`alert_id` stays the same while it lasts, so that whoever is told can tell old from new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

import numpy as np

from monitoring.changes import LEAST, find_changes
from monitoring.metrics import metric, spelled
from monitoring.rules import Rule, Rules, Severity
from monitoring.series import History, Point
from monitoring.slices import ALL, Slice

RECENT: Final = 7  # days within which a change of level must have begun
FEWEST: Final = 3  # days before, without which a relative change is not judged
LOOKED_AT: Final = 56  # days that change points are looked for in


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule that does not hold, for one slice."""

    rule: str
    severity: Severity
    metric: str
    platform: str
    profile: str
    day: str  # the day judged
    since: str  # the first day of the streak, or of the new level
    value: float  # on the day
    limit: float  # what it was held against, in the metric's unit
    sentence: str

    @property
    def alert_id(self) -> str:
        """The same for as long as the alert lasts."""
        key = "\x00".join((self.rule, self.platform, self.profile, self.since))
        return hashlib.sha256(key.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return {"alert_id": self.alert_id, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules say of one day."""

    day: str
    alerts: tuple[Alert, ...]  # critical first
    notes: tuple[str, ...]  # what was not judged, and why


def judge(rules: Rules, history: History, day: str) -> Judged:
    """Hold every rule against every slice it is over.

    Args:
        rules: what to look for.
        history: days up to the one that is judged, at least; later ones are not looked at.
        day: the day to judge. What the cluster was like is judged beside the last day, as last seen, for
            a run at night computes the day before.
    """
    alerts: list[Alert] = []
    thin: dict[Slice, int] = {}
    short: dict[str, int] = {}
    for rule in rules.rules:
        cluster = metric(rule.metric).kind == "cluster"
        for platform, profile in _slices(rule, history):
            as_seen_last = cluster and day == history.days[-1]
            series = history.series(rule.metric, platform, profile)
            series = series if as_seen_last else [p for p in series if p.day <= day]
            if not series or (series[-1].day != day and not as_seen_last):
                continue  # nothing was measured, which `monitor run` says itself
            if not cluster and series[-1].n < rules.min_searches:
                thin[platform, profile] = series[-1].n
                continue
            enough = series if cluster else [p for p in series if p.n >= rules.min_searches]
            found = _hold(rule, enough, (platform, profile))
            if isinstance(found, int):
                short[rule.name] = found
            elif found is not None:
                alerts.append(found)
    order = {"critical": 0, "warning": 1}
    return Judged(
        day,
        tuple(sorted(alerts, key=lambda one: (order[one.severity], one.rule, one.platform, one.profile))),
        (
            *(
                f"{_where(*name)}: {n} searches, fewer than {rules.min_searches}: not judged"
                for name, n in sorted(thin.items())
            ),
            *(f"{name}: {n} days are too few to judge" for name, n in sorted(short.items())),
        ),
    )


def _slices(rule: Rule, history: History) -> Iterator[Slice]:
    platforms = history.platforms if rule.over in ("platform", "both") else [ALL]
    profiles = history.profiles if rule.over in ("profile", "both") else [ALL]
    for platform in platforms:
        for profile in profiles:
            yield platform, profile


def _hold(rule: Rule, series: list[Point], where: Slice) -> Alert | int | None:
    """The alert; None where the rule holds; where there are too few days, how many there are."""
    if rule.change_point:
        return _hold_level(rule, series[-LOOKED_AT:], where)
    if rule.test in ("falls", "rises", "moves") and len(series) <= FEWEST:
        return len(series)
    streak = 0
    while streak < len(series) and _breaks(rule, series, len(series) - 1 - streak) is not None:
        streak += 1
    if streak < rule.for_days:
        return None
    limit = _breaks(rule, series, len(series) - 1)
    assert limit is not None
    words = _words(rule, series[-1], limit)
    return _alert(rule, where, series[-1], since=series[-streak].day, limit=limit, words=words)


def _breaks(rule: Rule, series: Sequence[Point], at: int) -> float | None:
    """What the day was held against, where it breaks the rule; None where it does not."""
    value = series[at].value
    if rule.above is not None:
        return rule.above if value > rule.above else None
    if rule.below is not None:
        return rule.below if value < rule.below else None
    before = [p.value for p in series[max(0, at - rule.window) : at]]
    if len(before) < FEWEST:
        return None
    median = float(np.median(before))
    allowed = getattr(rule, rule.test) * abs(median)
    change = value - median
    broken = {
        "falls": change < -allowed,
        "rises": change > allowed,
        "moves": abs(change) > allowed,
    }[rule.test]
    return median if broken else None


def _hold_level(rule: Rule, series: Sequence[Point], where: Slice) -> Alert | int | None:
    if len(series) < LEAST:
        return len(series)
    changes = find_changes([p.day for p in series], [p.value for p in series], false_alarms=rule.false_alarms)
    last = series[-1]
    if not changes or _days_between(changes[-1].day, last.day) > RECENT:
        return None
    change, one = changes[-1], metric(rule.metric)
    words = f"{one.title} is at {spelled(one, change.after)} since {change.day}"
    words += f", {spelled(one, change.before)} before"
    return _alert(rule, where, last, since=change.day, limit=change.before, words=words)


def _days_between(first: str, last: str) -> int:
    return (date.fromisoformat(last) - date.fromisoformat(first)).days


def _words(rule: Rule, at: Point, limit: float) -> str:
    one = metric(rule.metric)
    said = f"{one.title} is {spelled(one, at.value)}"
    if rule.above is not None or rule.below is not None:
        return f"{said}, {'above' if rule.above is not None else 'below'} {spelled(one, limit)}"
    change = f" ({at.value / limit - 1:+.0%})".replace("%", " %") if limit else ""
    return f"{said}, against a median of {spelled(one, limit)}{change}"


def _alert(rule: Rule, where: Slice, at: Point, *, since: str, limit: float, words: str) -> Alert:
    return Alert(
        rule=rule.name,
        severity=rule.severity,
        metric=rule.metric,
        platform=where[0],
        profile=where[1],
        day=at.day,
        since=since,
        value=at.value,
        limit=limit,
        sentence=f"{_where(*where)}: {words}",
    )


def _where(platform: str, profile: str) -> str:
    parts = [one for one in (platform, profile) if one != ALL]
    return ", ".join(parts) or "all searches"


__all__ = ["RECENT", "Alert", "Judged", "judge"]
