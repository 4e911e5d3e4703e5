"""Every guardrail of a step: holds, open, breached, or without data.

A guardrail is breached where its whole interval is worse than the margin, and holds where the whole interval
is better. Intervals hold at every look (`monitoring.rollout.intervals`), each at the level that
`Rules.level` gives, so a canary that is at the margin is rolled back with probability alpha at most over the
whole roll-out, however often one looks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from monitoring.rollout.intervals import (
    EVERYTHING,
    cautious,
    difference,
    quantile,
    quantile_interval,
    reach,
    relative_change,
)
from monitoring.rollout.observed import Observed, Side
from monitoring.rollout.rules import Rules, cutoff, less_is_better, metric_kind, parse_margin
from monitoring.rollout.sample_ratio import mismatch_p
from replay.ab.contrast import Arm, mean_arm, ratio_arm
from replay.finite import finite

Verdict = Literal["holds", "open", "breached", "no data"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One guardrail, canary against control."""

    guardrail: str
    verdict: Verdict
    control: float | None  # the metric's value; ms for took, shares for rates
    canary: float | None
    change: float | None  # canary / control - 1 where the margin is relative, else canary - control
    low: float | None  # interval of the change that holds at every look; None: no bound
    high: float | None
    margin: float  # of the change, in its unit; harm beyond it is a breach
    relative: bool
    less_is_better: bool
    prove: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """All guardrails, and whether the arms are as large as assigned."""

    findings: tuple[Finding, ...]
    n_control: int
    n_canary: int
    share: float  # of the canary, as assigned
    mismatch_p: float
    mismatch: bool
    enough: bool  # users in both arms
    searches: int
    clicks: int
    purchases: int
    failures: int | None
    crossed: int
    since_ms: int
    until_ms: int
    simulated: bool

    @property
    def breached(self) -> tuple[str, ...]:
        """Names of the guardrails that are breached."""
        return tuple(one.guardrail for one in self.findings if one.verdict == "breached")

    @property
    def unproven(self) -> tuple[str, ...]:
        """Guardrails that must be shown to hold before the next step, and are not yet."""
        return tuple(one.guardrail for one in self.findings if one.prove and one.verdict != "holds")

    @property
    def without_data(self) -> tuple[str, ...]:
        """Guardrails whose metric the log does not have."""
        return tuple(one.guardrail for one in self.findings if one.verdict == "no data")

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object; what is undefined is None."""
        found: dict[str, Any] = finite(asdict(self))
        return found


def read_evidence(data: Mapping[str, Any]) -> Evidence:
    """Evidence that an entry of the audit kept."""
    return Evidence(**{**data, "findings": tuple(Finding(**one) for one in data["findings"])})


def judge(rules: Rules, seen: Observed, *, share: float, n_steps: int) -> Evidence:
    """Judge every guardrail.

    Args:
        rules: of the roll-out.
        seen: what users did.
        share: of users in the canary as assigned, in (0, 1).
        n_steps: steps of the roll-out that are compared: 100 % is not.
    """
    p = mismatch_p(seen.canary.n, seen.control.n, share)
    enough = seen.smallest >= rules.min_users
    alpha = rules.level(n_steps)
    findings = tuple(_find(name, rules, seen, alpha=alpha, enough=enough) for name in rules.guardrails)
    return Evidence(
        findings=findings,
        n_control=seen.control.n,
        n_canary=seen.canary.n,
        share=share,
        mismatch_p=p,
        mismatch=p < rules.sample_ratio_level,
        enough=enough,
        searches=seen.searches,
        clicks=seen.clicks,
        purchases=seen.purchases,
        failures=seen.failures,
        crossed=seen.crossed,
        since_ms=seen.since_ms,
        until_ms=seen.until_ms,
        simulated=seen.simulated,
    )


def _find(name: str, rules: Rules, seen: Observed, *, alpha: float, enough: bool) -> Finding:
    one = rules.guardrails[name]
    margin = parse_margin(name, one.margin)
    n = seen.control.n + seen.canary.n
    wide = {"planned": rules.planned_users, "alpha": alpha}
    if seen.smallest < 2 or _unknown(name, seen):
        return _finding(name, rules, None, None, verdict="no data" if enough else "open")
    if metric_kind(name) == "took":
        share = cutoff(name) / 100
        values = [quantile(side.took_ms, share) for side in (seen.control, seen.canary)]
        half = reach(n, planned=rules.planned_users, alpha=alpha / 2)
        ends = [
            quantile_interval(side.took_ms, side.took_owner, side.n, share, half)
            for side in (seen.control, seen.canary)
        ]
        interval = _between(*ends, relative=margin.relative)
        control, canary = values
    else:
        base, variant = _arm(name, seen.control), _arm(name, seen.canary)
        if math.isnan(base.value) or math.isnan(variant.value):
            return _finding(name, rules, None, None, verdict="no data" if enough else "open")
        control, canary = base.value, variant.value
        compare = relative_change if margin.relative else difference
        interval = compare(base, cautious(base, variant), reach(n, **wide))  # type: ignore[arg-type]
    low, high = interval if not less_is_better(name) else (-interval[1], -interval[0])
    verdict: Verdict = "open"
    if enough and high < -margin.value:
        verdict = "breached"
    elif enough and low > -margin.value:
        verdict = "holds"
    return _finding(name, rules, control, canary, interval, verdict=verdict)


def _finding(
    name: str,
    rules: Rules,
    control: float | None,
    canary: float | None,
    interval: tuple[float, float] = EVERYTHING,
    *,
    verdict: Verdict,
) -> Finding:
    one = rules.guardrails[name]
    margin = parse_margin(name, one.margin)
    change = None
    if control is not None and canary is not None:
        relative = canary / control - 1 if control > 0 else None
        change = relative if margin.relative else canary - control
    low, high = (end if math.isfinite(end) else None for end in interval)
    return Finding(
        guardrail=name,
        verdict=verdict,
        control=control,
        canary=canary,
        change=change,
        low=low,
        high=high,
        margin=margin.value,
        relative=margin.relative,
        less_is_better=less_is_better(name),
        prove=one.prove,
    )


def _unknown(name: str, seen: Observed) -> bool:
    """Whether the log cannot say: nobody clicks, nobody buys, or failures are not logged."""
    match metric_kind(name):
        case "CTR" | "RR":
            return seen.clicks == 0
        case "BCR" | "ATPU":
            return seen.purchases == 0
        case "share":
            return name == "error_rate" and seen.failures is None
        case _:
            return seen.searches == 0


def _arm(name: str, side: Side) -> Arm:
    columns = side.columns
    match metric_kind(name):
        case "CTR":
            k = cutoff(name)
            return ratio_arm(columns[f"clicks@{k}"], columns[f"shown@{k}"])
        case "RR":
            return ratio_arm(columns["rr"], columns["searches"])
        case "BCR":
            return mean_arm((columns["purchases"] > 0).astype(np.float64))
        case "ATPU":
            return mean_arm(columns["purchases"])
    above, below = {
        "zero_result_rate": ("empty", "searches"),
        "error_rate": ("failures", "asked"),
        "score_coverage": ("scored", "shown"),
    }[name]
    return ratio_arm(columns[above], columns[below])


def _between(
    control: tuple[float, float], canary: tuple[float, float], *, relative: bool
) -> tuple[float, float]:
    """Canary against control, of the two arms' intervals."""
    if not relative:
        return canary[0] - control[1], canary[1] - control[0]
    low = canary[0] / control[1] - 1 if control[1] > 0 else -math.inf
    high = canary[1] / control[0] - 1 if control[0] > 0 else math.inf
    return low, high


__all__ = ["Evidence", "Finding", "Verdict", "judge", "read_evidence"]
