"""Sweeps: the best profile of a space under constraints, judged on later searches than it was fitted to."""

from __future__ import annotations

from replay.sweep.compose import compose, write_profile
from replay.sweep.constraints import Constraint, parse_constraint
from replay.sweep.run import Goal, Scope, Sweep, default_against, sweep
from replay.sweep.space import Range, Space, parse_numbers, parse_transform, read_space
from replay.sweep.trial import Bench, Mean, Trial

__all__ = [
    "Bench",
    "Constraint",
    "Goal",
    "Mean",
    "Range",
    "Scope",
    "Space",
    "Sweep",
    "Trial",
    "compose",
    "default_against",
    "parse_constraint",
    "parse_numbers",
    "parse_transform",
    "read_space",
    "sweep",
    "write_profile",
]
