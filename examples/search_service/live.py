"""The published profile as it stands now, and a recorder for each version that is served.

A publication, a rollback or a canary's new share is seen within `refresh_s`. Where the cluster does not
answer, or nothing is published any more, what was live before goes on being served.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from elasticsearch import Elasticsearch

from ranking.capture_buffer import CaptureStats
from ranking.errors import ConfigError, RankError
from ranking.published import Published, Version, read_published, read_version
from ranking.recorder import Recorder
from ranking.search import Searcher


@dataclass(frozen=True, slots=True)
class Served:
    """What serves one user: a version, its recorder, and the arm that the capture records."""

    version: Version
    recorder: Recorder
    arm: str | None


class LiveProfile:
    """Answers which version serves a user. Thread-safe."""

    def __init__(
        self, es: Elasticsearch, index: str, name: str, captures: Path, *, sample: float, refresh_s: float
    ) -> None:
        self._es, self._index, self._name = es, index, name
        self._captures, self._sample, self._refresh_s = captures, sample, refresh_s
        self._lock = threading.Lock()  # guards the recorders
        self._looking = threading.Lock()
        self._looked = -float("inf")
        self._live: Published | None = None
        self._recorders: dict[int, tuple[Version, Recorder]] = {}
        self.problem: str | None = None  # why the last look failed

    def for_user(self, user_id: str | None) -> Served:
        """The canary's version for the share of users that it takes, else the live one.

        Raises:
            RankError: nothing has been live since the start, or it cannot be read.
        """
        live = self._current()
        canary = live.canary
        number = canary.version if canary and canary.takes(user_id) else live.version
        with self._lock:
            version, recorder = self._recorder(live, number)
        return Served(version, recorder, canary.arm(user_id) if canary else None)

    def stats(self) -> dict[str, CaptureStats]:
        """Counts of each version served so far."""
        with self._lock:
            return {version.label: recorder.stats for version, recorder in self._recorders.values()}

    def close(self) -> None:
        """Write every capture that is complete or can still be completed."""
        with self._lock:
            for _, recorder in self._recorders.values():
                recorder.close(timeout_s=10)

    def _current(self) -> Published:
        """What is live; one request at a time looks again, and the others take what was known."""
        known = self._live
        if known is not None and (self._is_fresh() or not self._looking.acquire(blocking=False)):
            return known
        if known is None:
            self._looking.acquire()
        try:
            return self._live if self._live is not None and self._is_fresh() else self._look()
        finally:
            self._looking.release()

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._looked < self._refresh_s

    def _look(self) -> Published:
        try:
            found = read_published(self._es, self._name)
            if found is None:
                hint = f"rank-cli apply-boost {self._name}"
                raise ConfigError(self._name, ["no profile of that name is published"], hint=hint)
        except RankError as e:
            self.problem = str(e)
            if self._live is None:
                raise
            found = self._live
        else:
            self.problem = None
        self._live, self._looked = found, time.monotonic()
        return found

    def _recorder(self, live: Published, number: int) -> tuple[Version, Recorder]:
        if number not in self._recorders:
            version = live if number == live.version else read_version(self._es, self._name, number)
            searcher = Searcher(self._es, self._index, version.profile, scripts="published")
            recorder = Recorder(searcher, self._captures, sample=self._sample, flush_s=5.0)
            self._recorders[number] = (version, recorder)
        return self._recorders[number]
