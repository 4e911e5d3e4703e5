"""A backfill from beginning to end: what is to do, the pipeline over it, what became of it.

Progress is asked of the index, which knows it whatever the runner: what is still found by the query is left.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from elasticsearch import AuthorizationException, Elasticsearch

from ranking.beam import (
    RUNNERS,
    check_options,
    check_runner,
    in_this_process,
    new_pipeline,
    require_beam,
    worker_failed,
    worker_processes,
)
from ranking.errors import RankError
from ranking.es import server_errors
from scorer.backfill.job import Job, forget, shared
from scorer.backfill.read import check_index, count_items
from scorer.backfill.scope import Slice, plan_slices

_PASSES: Final = 3  # over what is left: items that changed between reading and writing
_LOOK_S: Final = 1.0  # between two looks at what is left

Progress = Callable[[int, int], None]  # done, of how many


@dataclass(slots=True)
class BackfillSummary:
    """What one run did. found = scored + failed + changed_meanwhile + gone + refused.

    An item that changed meanwhile may be found again, and is counted again.
    """

    index: str
    version: str
    into: str
    to_do: int = 0  # items when it began
    found: int = 0  # items read
    scored: int = 0
    failed: int = 0  # marked in the index with the reason
    changed_meanwhile: int = 0  # got another photo, or a score from elsewhere, after they were read
    gone: int = 0
    refused: int = 0  # by the index, for good
    remaining: int = 0  # items left to do
    passes: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    reasons: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For printing: counts, seconds and items per second."""
        rate = self.found / self.seconds if self.seconds else 0.0
        return {**asdict(self), "seconds": round(self.seconds, 3), "per_second": round(rate, 1)}

    def add(self, counts: dict[str, int]) -> None:
        """Add the counters of one pass."""
        from scorer.backfill.steps import REASON

        for name, n in counts.items():
            if name.startswith(REASON):
                reason = name.removeprefix(REASON)
                self.reasons[reason] = self.reasons.get(reason, 0) + n
            else:
                setattr(self, name, getattr(self, name) + n)


def run_backfill(
    es: Elasticsearch,
    job: Job,
    *,
    runner: str = "direct",
    workers: int = 1,
    options: Sequence[str] = (),
    max_per_second: float | None = None,
    on_progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> BackfillSummary:
    """Score what is left to do.

    Args:
        es: a client, to plan and to follow; workers open their own.
        job: what is to do.
        runner: direct, flink, spark, dataflow, portable or prism.
        workers: processes of the direct runner (1 works in this one); of another runner, how many share
            `max_per_second`.
        options: flags of Beam and of the runner, such as `--flink_master=host:8081`.
        max_per_second: items per second, of all workers together.
        on_progress: called about once a second.
        stop: set it to end after the pages at work. Heard by the direct runner only.

    Raises:
        InputError: no such runner, no Beam, or an index without the fields.
        ServerError: an engine is gone, or refuses. What was written until then stays.
    """
    check_runner(runner)
    check_options(options)
    require_beam("")
    check_index(es, job.scope.index)
    began = time.monotonic()
    scope = job.scope
    summary = BackfillSummary(scope.index, scope.version, scope.into)
    summary.to_do = summary.remaining = count_items(es, scope.index, scope.query())
    with tempfile.TemporaryDirectory(prefix="backfill-") as folder:
        share = None if max_per_second is None else max_per_second / workers
        job = replace(job, most_per_second=share, stop_file=Path(folder) / "stop")
        while summary.remaining and summary.passes < _PASSES:
            summary.passes += 1
            job = replace(job, name=secrets.token_hex(4))
            before = summary.scored + summary.failed
            slices = plan_slices(summary.remaining, workers)
            with _watched(es, job, summary.to_do, on_progress, stop):
                summary.add(_run(job, slices, runner, workers, options))
            with suppress(AuthorizationException), server_errors(f"refresh {scope.index}"):
                es.indices.refresh(index=scope.index)
            summary.remaining = count_items(es, scope.index, replace(scope, retry_failed=False).query())
            summary.interrupted = job.stopped and summary.remaining > 0
            # A retry of what failed finds its failures again, so it has one pass.
            if job.stopped or scope.retry_failed or summary.scored + summary.failed == before:
                break
    summary.seconds = time.monotonic() - began
    return summary


def _run(job: Job, slices: list[Slice], runner: str, workers: int, options: Sequence[str]) -> dict[str, int]:
    """One pass; its counters."""
    from scorer.backfill.steps import build

    flags = ["--default_sdk_harness_log_level=ERROR", *options]
    engine: Any = RUNNERS[runner]
    if runner == "direct":
        flags.append(f"--direct_num_workers={workers}")
        engine = in_this_process() if workers == 1 else worker_processes()
    pipeline = new_pipeline(flags, engine)
    build(pipeline, job, slices)
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except Exception as e:
        kept = shared(job).error  # Beam passes on a copy without its hint, or text
        if kept is not None:
            raise kept from e
        if isinstance(e, RuntimeError):
            raise worker_failed(e) from e
        raise
    finally:
        forget(job)
    return _counters(result)


def _counters(result: Any) -> dict[str, int]:
    from apache_beam.metrics.metric import MetricsFilter

    from scorer.backfill.steps import NAMESPACE

    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    return {counter.key.metric.name: int(counter.committed or counter.attempted or 0) for counter in found}


@contextmanager
def _watched(
    es: Elasticsearch,
    job: Job,
    to_do: int,
    on_progress: Progress | None,
    stop: threading.Event | None,
) -> Iterator[None]:
    """Look at what is left about once a second, and pass on the wish to stop."""
    over = threading.Event()
    least = to_do

    def look() -> None:
        nonlocal least
        while not over.wait(_LOOK_S):
            if stop is not None and stop.is_set() and job.stop_file is not None:
                job.stop_file.touch()
            if on_progress is None:
                continue
            with suppress(RankError):
                least = min(least, count_items(es, job.scope.index, job.scope.query()))
                on_progress(to_do - least, to_do)

    thread = threading.Thread(target=look, name="backfill-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


__all__ = ["BackfillSummary", "Progress", "run_backfill"]
