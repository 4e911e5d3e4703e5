"""Scores for items that have none, or another model's: found in the index, scored, written back.

job = Job(scope=Scope.last_days(90, index="items", version=version, now_ms=now), scorer=ScorerSpec())
estimate(es, job)              count, time and bytes, from a sample; writes nothing
run_backfill(es, job)          the whole, as an Apache Beam pipeline

`scorer.backfill.upgrade` compares, switches and rolls back what was scored with `into="next"`.
"""

from __future__ import annotations

from scorer.backfill.estimate import Estimate, estimate
from scorer.backfill.job import Job
from scorer.backfill.run import BackfillSummary, run_backfill
from scorer.backfill.scope import Scope
from scorer.backfill.scoring import ScorerSpec, version_of

__all__ = [
    "BackfillSummary",
    "Estimate",
    "Job",
    "Scope",
    "ScorerSpec",
    "estimate",
    "run_backfill",
    "version_of",
]
