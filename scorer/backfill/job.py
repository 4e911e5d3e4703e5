"""What a worker needs to do its part: plain values, which travel, and what it opens from them.

No address with a password and no key is among them: a worker takes those from its own environment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from elasticsearch import Elasticsearch

from ranking.clock import now_ms
from ranking.errors import RankError
from scorer.backfill.pace import Pace
from scorer.backfill.read import PAGE, Item, read_slice
from scorer.backfill.scope import Scope, Slice
from scorer.backfill.scoring import ScorerSpec, Scoring
from scorer.backfill.write import ScoreWriter
from scorer.ingest.photos import PhotoLoader, PhotoSource

_LOOK_S: Final = 0.5  # how often a wait looks whether it was told to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One backfill.

    Args:
        scope: which items.
        scorer: which model.
        name: of this pass; what a process shares between its threads is kept under it.
        photos: where photos may come from.
        page: items read, loaded, scored and written at a time.
        most_per_second: items per second of one process; None for any.
        most_in_a_row: failed photos in a row, after which the job stops; 0 for any number.
        stop_file: once it is there, no more pages are read. Seen by processes of this machine only.
        wait_s: how long to wait for an engine that is gone.
    """

    scope: Scope
    scorer: ScorerSpec
    name: str = ""
    photos: PhotoSource = field(default_factory=PhotoSource)
    page: int = PAGE
    most_per_second: float | None = None
    most_in_a_row: int = 500
    stop_file: Path | None = None
    wait_s: float = 120.0

    @property
    def stopped(self) -> bool:
        """Whether this run was told to stop."""
        return self.stop_file is not None and self.stop_file.exists()

    def sleep(self, seconds: float) -> None:
        """Wait, and stop waiting when told to stop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.stopped:
            time.sleep(min(left, _LOOK_S))


class Shared:
    """What the threads of one process share in one job."""

    def __init__(self, job: Job) -> None:
        self.pace = Pace(job.most_per_second, sleep=job.sleep)
        self.error: RankError | None = None  # the first; Beam passes on its text only


_SHARED: dict[str, Shared] = {}
_LOCK = threading.Lock()


def shared(job: Job) -> Shared:
    """What this process shares in this job."""
    with _LOCK:
        return _SHARED.setdefault(job.name, Shared(job))


def forget(job: Job) -> None:
    """The job is over."""
    with _LOCK:
        _SHARED.pop(job.name, None)


def open_scoring(job: Job) -> tuple[Scoring, PhotoLoader]:
    """The model and what loads photos for it; the loader is closed by the caller.

    Raises:
        ServerError: Triton is not there.
    """
    scorer = job.scorer.open()
    loader = PhotoLoader.for_size(job.photos, scorer.image_size)
    scoring = Scoring(
        scorer,
        loader,
        version=job.scope.version,
        source=job.photos,
        most_in_a_row=job.most_in_a_row,
    )
    return scoring, loader


def open_writer(job: Job, es: Elasticsearch) -> ScoreWriter:
    """What writes this job's findings."""
    return ScoreWriter(
        es,
        job.scope.index,
        version=job.scope.version,
        target=job.scope.target,
        now_ms=now_ms,
        pace=shared(job).pace,
        wait_s=job.wait_s,
    )


def read(job: Job, part: Slice, es: Elasticsearch) -> Iterator[list[Item]]:
    """The pages of one slice."""
    return read_slice(
        es,
        job.scope,
        part,
        page=job.page,
        stopped=lambda: job.stopped,
        wait_s=job.wait_s,
        sleep=job.sleep,
    )


__all__ = ["Job", "Shared", "forget", "open_scoring", "open_writer", "read", "shared"]
