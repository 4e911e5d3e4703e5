"""A/B tests on users: the paper's Table 2, and whether to believe it."""

from __future__ import annotations

from replay.ab.analysis import Analysis, Result, analyze
from replay.ab.balance import Balance, balances
from replay.ab.contrast import Arm, Contrast, contrast, cuped_arms, mean_arm, ratio_arm
from replay.ab.metrics import PAPER, Metric, parse_metric, usual
from replay.ab.reading import read_users, write_rejects, write_users
from replay.ab.sequential import PLANNED, always_valid
from replay.ab.simulate import simulate_users
from replay.ab.users import ALL, Reject, Users, users_of

__all__ = [
    "ALL",
    "PAPER",
    "PLANNED",
    "Analysis",
    "Arm",
    "Balance",
    "Contrast",
    "Metric",
    "Reject",
    "Result",
    "Users",
    "always_valid",
    "analyze",
    "balances",
    "contrast",
    "cuped_arms",
    "mean_arm",
    "parse_metric",
    "ratio_arm",
    "read_users",
    "simulate_users",
    "users_of",
    "usual",
    "write_rejects",
    "write_users",
]
