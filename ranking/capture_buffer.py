"""Records on their way to disk: written together by count or by time, kept while the disk refuses them."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ranking.capture import CaptureRecord, write_captures
from ranking.profile import Profile

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CaptureStats:
    """What was captured so far."""

    served: int = 0
    sampled: int = 0
    written: int = 0  # records on disk
    page_only: int = 0  # of the sampled: those whose window could not be read
    dropped: int = 0  # sampled searches that were lost: the queue or the buffer was full
    errors: int = 0
    last_error: str | None = None


class Tally:
    """Counts, and errors that are logged once until they are over. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stats = CaptureStats()
        self._failing: set[str] = set()

    @property
    def stats(self) -> CaptureStats:
        """Counts up to this moment."""
        with self._lock:
            return self._stats

    def add(self, **more: int) -> None:
        """Count."""
        with self._lock:
            counts = {name: getattr(self._stats, name) + n for name, n in more.items()}
            self._stats = replace(self._stats, **counts)

    def failed(self, what: str, error: Exception, **more: int) -> None:
        """Count an error, and log it unless the same thing is already known to fail."""
        self.add(errors=1, **more)
        with self._lock:
            self._stats = replace(self._stats, last_error=f"{what}: {error}")
            first = what not in self._failing
            self._failing.add(what)
        if first:
            _log.error("%s (%s: %s); searches are served as before", what, type(error).__name__, error)

    def recovered(self, what: str) -> None:
        """Log that it works again, if it did not."""
        with self._lock:
            again = what in self._failing
            self._failing.discard(what)
        if again:
            _log.warning("recovered: %s no longer", what)


class CaptureBuffer:
    """Records that wait to be written. Thread-safe."""

    def __init__(
        self, folder: Path, tally: Tally, *, flush_count: int, flush_s: float, max_pending: int
    ) -> None:
        """An empty buffer.

        Args:
            folder: the capture folder, made where missing.
            tally: counts what is written, lost and refused.
            flush_count: records that are written together.
            flush_s: seconds after which fewer are written too.
            max_pending: records kept while the disk refuses them; the oldest are dropped.
        """
        self.folder, self._tally = folder, tally
        self._flush_count, self._flush_s, self._max_pending = flush_count, flush_s, max_pending
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._records: list[CaptureRecord] = []
        self._profiles: dict[str, Profile] = {}
        self._flushed = time.monotonic()

    def add(self, record: CaptureRecord, profile: Profile) -> None:
        """Keep a record and the profile (resolved for its platform) that served it."""
        with self._lock:
            self._records.append(record)
            self._profiles[profile.hash] = profile

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        with self._lock:
            n, age_s = len(self._records), time.monotonic() - self._flushed
        return n >= self._flush_count or (n > 0 and age_s >= self._flush_s)

    def flush(self) -> None:
        """Write what is there. A failure is counted and logged; the records stay for the next time."""
        with self._writing:
            with self._lock:
                records, profiles = self._records, list(self._profiles.values())
                self._records, self._flushed = [], time.monotonic()
            if not records:
                return
            try:
                write_captures(self.folder, records, profiles)
            except Exception as e:  # any failure of the disk: the service goes on
                self._tally.failed("captures cannot be written", e, dropped=self._keep(records))
                return
            self._tally.add(written=len(records))
            self._tally.recovered("captures cannot be written")

    def abandon(self) -> None:
        """Give up what the disk still refuses: counted as lost."""
        with self._lock:
            lost, self._records = len(self._records), []
        if lost:
            self._tally.add(dropped=lost)

    def _keep(self, records: list[CaptureRecord]) -> int:
        """Put records back, as many as fit; how many are lost."""
        with self._lock:
            waiting = records + self._records
            self._records = waiting[-self._max_pending :]
            return len(waiting) - len(self._records)
