"""One kind's load of a round while it runs: what is to be sent, and what came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gevent.event

Row = tuple[float, float, float, str, int]  # intended, started, ended (s of the round), error, server's ms


@dataclass
class Play:
    """One kind's load: what is to be sent, and what came back. `load` is `sender.Load` as JSON."""

    load: dict[str, Any]
    begin: float  # perf_counter
    next: int = 0
    samples: dict[str, list[Row]] = field(default_factory=dict)
    done: gevent.event.Event = field(default_factory=gevent.event.Event)

    def item(self, i: int) -> int:
        """Which of the work's bodies, messages or photos request `i` carries."""
        items = self.load["items"]
        found: int = items[i % len(items)]
        return found

    def add(self, intended: float, started: float, ended: float, error: str = "", took_ms: int = -1) -> None:
        """Keep one answer; `intended` is in seconds of the round, the others are perf_counter's."""
        row = (*self._times(intended, started, ended), error, took_ms)
        self.samples.setdefault(self.load["kind"], []).append(row)

    def add_as(self, kind: str, intended: float, started: float, ended: float, error: str = "") -> None:
        """Keep one answer of another kind than the load's own."""
        self.samples.setdefault(kind, []).append((*self._times(intended, started, ended), error, -1))

    def _times(self, intended: float, started: float, ended: float) -> tuple[float, float, float]:
        return round(intended, 6), round(started - self.begin, 6), round(ended - self.begin, 6)
