"""The figures of many days as series: what rules, change points and the page look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.metrics import METRICS
from monitoring.slices import ALL, Slice

_KIND = {metric.name: metric.kind for metric in METRICS}


@dataclass(frozen=True, slots=True)
class Point:
    """One day of one series."""

    day: str
    value: float
    n: int  # searches of the slice on that day


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something that was done on a day: a version published, rolled back, a canary's share."""

    day: str
    at: str  # ISO 8601
    profile: str
    text: str


class History:
    """Documents of a store, the newest last.

    Where `k` changed over time, days of another k than the last one's are left out: CTR@10 is not CTR@20.
    """

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        rows = sorted(documents, key=lambda one: str(one.get("day", "")))
        traffic = [one for one in rows if one["kind"] == "traffic"]
        self.k: int | None = traffic[-1]["k"] if traffic else None
        self.other_k = sorted({one["day"] for one in traffic if one["k"] != self.k})
        self._traffic = [one for one in traffic if one["k"] == self.k]
        self._cluster = [one for one in rows if one["kind"] == "cluster"]
        self.annotations = [
            Annotation(one["day"], one["at"], one["profile"], one["text"])
            for one in rows
            if one["kind"] == "annotation"
        ]
        self.simulated = any(one["simulated"] for one in self._traffic)
        self._by_slice: dict[Slice, list[Mapping[str, Any]]] = defaultdict(list)
        for one in self._traffic:
            self._by_slice[one["platform"], one["profile"]].append(one)

    @property
    def days(self) -> list[str]:
        """Days with searches, in order."""
        return sorted({one["day"] for one in self._traffic})

    @property
    def platforms(self) -> list[str]:
        """Platforms that searches came from, in alphabetical order."""
        return sorted({platform for platform, _ in self._by_slice} - {ALL})

    @property
    def profiles(self) -> list[str]:
        """Profile versions that served, in the order in which they came."""
        first = {profile: rows[0]["day"] for (_, profile), rows in reversed(self._by_slice.items())}
        return sorted(set(first) - {ALL}, key=lambda profile: (first[profile], profile))

    def slices(self, day: str) -> list[Slice]:
        """Slices that had searches on a day: all, then platforms, then profiles, then both."""
        there = [name for name, rows in self._by_slice.items() if any(one["day"] == day for one in rows)]
        return sorted(there, key=lambda name: ((name[0] != ALL) + 2 * (name[1] != ALL), name))

    def row(self, day: str, platform: str, profile: str) -> dict[str, Any]:
        """The document of a slice."""
        rows = self._by_slice.get((platform, profile), [])
        return next((dict(one) for one in rows if one["day"] == day), {})

    def cluster(self, day: str) -> dict[str, Any] | None:
        """What the cluster was like on a day; None where no run looked."""
        return next((dict(one) for one in self._cluster if one["day"] == day), None)

    def searches(self, day: str, platform: str = ALL, profile: str = ALL) -> int:
        """Searches of a slice on a day."""
        rows = self._by_slice.get((platform, profile), [])
        return next((int(one["searches"]) for one in rows if one["day"] == day), 0)

    def series(self, metric: str, platform: str = ALL, profile: str = ALL) -> list[Point]:
        """The days on which a metric is known, in order."""
        if _KIND[metric] == "cluster":
            return [
                Point(one["day"], one[metric], int(one.get("live_searches") or 0))
                for one in self._cluster
                if one.get(metric) is not None
            ]
        return [
            Point(one["day"], one[metric], int(one["searches"]))
            for one in self._by_slice.get((platform, profile), [])
            if one.get(metric) is not None
        ]


__all__ = ["Annotation", "History", "Point"]
