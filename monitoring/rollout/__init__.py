"""Guarded roll-out: a canary grows in steps while guardrails hold, and goes back where one is breached."""

from __future__ import annotations

from monitoring.rollout.decide import Decision, decide
from monitoring.rollout.evidence import Evidence, Finding, judge
from monitoring.rollout.observed import Observed, Side, observe
from monitoring.rollout.rules import Rules, parse_steps, read_rules
from monitoring.rollout.run import Checked, Cluster, abort, check, find, look, pause, start
from monitoring.rollout.state import Plan, State

__all__ = [
    "Checked",
    "Cluster",
    "Decision",
    "Evidence",
    "Finding",
    "Observed",
    "Plan",
    "Rules",
    "Side",
    "State",
    "abort",
    "check",
    "decide",
    "find",
    "judge",
    "look",
    "observe",
    "parse_steps",
    "pause",
    "read_rules",
    "start",
]
