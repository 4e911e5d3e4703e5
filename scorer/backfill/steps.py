"""The steps of the pipeline as Beam runs them: read a slice, score a page, write it.

    Create(slices) -> Reshuffle -> Read -> Score -> Write

Runners fuse the three, so a page is written before the next one is read, and only ids, addresses and scores
pass between them. Every step may run again: reading finds what is left, and writing is guarded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from elasticsearch import Elasticsearch

from ranking.errors import RankError
from ranking.es import connect
from scorer.backfill.job import Job, open_scoring, open_writer, read, shared
from scorer.backfill.read import Item
from scorer.backfill.scope import Slice
from scorer.backfill.scoring import Finding

NAMESPACE: Final = "backfill"
REASON: Final = "reason: "
MOST_REASONS: Final = 50  # counters by reason that one process makes
_MOST_CHARACTERS: Final = 120


class _Step(beam.DoFn):
    def __init__(self, job: Job) -> None:
        self._job = job

    def _keep(self, error: RankError) -> None:
        """The first error of this process as it is, with its hint."""
        kept = shared(self._job)
        kept.error = kept.error or error

    def _connect(self) -> Elasticsearch:
        try:
            return connect()
        except RankError as e:
            self._keep(e)
            raise


class Read(_Step):
    """A slice becomes pages of items."""

    def setup(self) -> None:
        """Open what this thread needs."""
        self._es = self._connect()

    def process(self, part: Slice) -> Iterator[list[Item]]:
        """The pages of one slice."""
        try:
            for items in read(self._job, part, self._es):
                Metrics.counter(NAMESPACE, "found").inc(len(items))
                yield items
        except RankError as e:
            self._keep(e)
            raise

    def teardown(self) -> None:
        """Close it."""
        self._es.close()


class Score(_Step):
    """A page of items becomes a page of findings."""

    def setup(self) -> None:
        """Open what this thread needs."""
        try:
            self._scoring, self._loader = open_scoring(self._job)
        except RankError as e:
            self._keep(e)
            raise

    def process(self, items: list[Item]) -> Iterator[list[Finding]]:
        """Load and score one page, at the job's pace."""
        shared(self._job).pace.wait(len(items))
        try:
            findings = self._scoring.score(items)
        except RankError as e:
            self._keep(e)
            raise
        yield findings

    def teardown(self) -> None:
        """Close it."""
        self._loader.close()


class Write(_Step):
    """A page of findings is written, and counted."""

    def setup(self) -> None:
        """Open what this thread needs."""
        self._es = self._connect()
        self._writer = open_writer(self._job, self._es)
        self._reasons: set[str] = set()

    def process(self, findings: list[Finding]) -> None:
        """Write one page."""
        try:
            result = self._writer.write(findings)
        except RankError as e:
            self._keep(e)
            raise
        scored = sum(finding.score is not None for finding in result.written)
        counts = {
            "scored": scored,
            "failed": len(result.written) - scored,
            "changed_meanwhile": len(result.changed_meanwhile),
            "gone": len(result.gone),
            "refused": len(result.refused),
        }
        for name, n in counts.items():
            Metrics.counter(NAMESPACE, name).inc(n)
        for finding in result.written:
            if finding.reason is not None:
                self._count_reason(f"{finding.stage}: {finding.reason}")
        for _, reason in result.refused:
            self._count_reason(f"write: {reason}")

    def _count_reason(self, reason: str) -> None:
        short = reason[:_MOST_CHARACTERS]
        if short not in self._reasons and len(self._reasons) >= MOST_REASONS:
            short = "other"
        self._reasons.add(short)
        Metrics.counter(NAMESPACE, REASON + short).inc()

    def teardown(self) -> None:
        """Close it."""
        self._es.close()


def build(pipeline: Any, job: Job, slices: list[Slice]) -> Any:
    """Put the steps into a pipeline."""
    return (
        pipeline
        | "slices" >> beam.Create(slices)
        | "one worker each" >> beam.Reshuffle()
        | "read" >> beam.ParDo(Read(job))
        | "score" >> beam.ParDo(Score(job))
        | "write" >> beam.ParDo(Write(job))
    )


__all__ = ["MOST_REASONS", "NAMESPACE", "REASON", "Read", "Score", "Write", "build"]
