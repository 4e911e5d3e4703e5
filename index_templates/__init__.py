"""Desired cluster state as files, and how to get a cluster there: plan, then apply."""

from index_templates.desired import Resource, desired_state
from index_templates.index import ensure_index
from index_templates.live import read_live
from index_templates.plan import Step, apply_steps, plan_steps

__all__ = [
    "Resource",
    "Step",
    "apply_steps",
    "desired_state",
    "ensure_index",
    "plan_steps",
    "read_live",
]
