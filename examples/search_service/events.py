"""Clicks and purchases on their way to the capture folder: kept in memory for seconds, written together."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from ranking.capture import Event, write_events

MOST = 100_000  # in memory; the oldest go first where the disk takes none
_log = logging.getLogger("search_service")


class EventBuffer:
    """Takes events at once and writes them every `flush_s` seconds. Thread-safe."""

    def __init__(self, folder: Path, flush_s: float) -> None:
        self._folder, self._flush_s = folder, flush_s
        self._waiting: deque[Event] = deque(maxlen=MOST)
        self._lock = threading.Lock()  # guards the file that is being written
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="events", daemon=True)
        self._thread.start()

    def add(self, events: Iterable[Event]) -> None:
        """Returns before they are on disk."""
        self._waiting.extend(events)

    def flush(self) -> None:
        """Write what waits; where the disk refuses, it waits on."""
        with self._lock:
            events = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not events:
                return
            try:
                write_events(self._folder, events)
            except OSError as e:
                self._waiting.extendleft(reversed(events))
                _log.error("events cannot be written: %s", e)

    def close(self) -> None:
        """Write the rest."""
        self._stop.set()
        self._thread.join()
        self.flush()

    def _work(self) -> None:
        while not self._stop.wait(self._flush_s):
            self.flush()
