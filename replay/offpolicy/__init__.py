"""Off-policy evaluation: what another ranking would have earned, from the clicks on what was served."""

from __future__ import annotations

from replay.offpolicy.estimators import Estimator, estimators
from replay.offpolicy.evaluate import Estimate, Evaluation, estimate_all, evaluate
from replay.offpolicy.loggers import arms, recorded, told
from replay.offpolicy.slates import LoggerProbs, Slates, weigh
from replay.offpolicy.weights import WeightCheck, check_weights, pareto_k

__all__ = [
    "Estimate",
    "Estimator",
    "Evaluation",
    "LoggerProbs",
    "Slates",
    "WeightCheck",
    "arms",
    "check_weights",
    "estimate_all",
    "estimators",
    "evaluate",
    "pareto_k",
    "recorded",
    "told",
    "weigh",
]
