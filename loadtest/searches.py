"""Captured searches as a workload: when each was asked, and the body that serves it under a side's profile.

Queries, platforms and filters come as they were logged, so the mix is the real one. Each search keeps its
logged clock, so that every round and both sides do the same work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from loadtest.plan import Plan
from loadtest.results import SIDES, Side
from loadtest.sender import Load, Sender, spread
from loadtest.shapes import Shape
from loadtest.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

    from elasticsearch import Elasticsearch

    from ranking.profile import Execution, Profile

WARM_UP = 200  # searches of each side before the first round, not counted


@dataclass(frozen=True, slots=True)
class Search:
    """One logged search."""

    at_ms: int  # epoch ms: when it was asked, and the clock of its formula
    query: str
    platform: str | None
    filters: Mapping[str, Any]


def read_workload(folder: Path) -> list[Search]:
    """The searches of a capture folder, in order of their arrival.

    Raises:
        InputError: there are none, or a file is broken.
    """
    from ranking.capture import read_captures

    found = [
        Search(record.now_ms, record.query, record.platform, record.filters)
        for record in read_captures(folder)
    ]
    return sorted(found, key=lambda one: one.at_ms)


def bodies(profile: Profile, searches: Sequence[Search], *, execution: Execution | None = None) -> list[str]:
    """The JSON body of each search under a profile; overrides of its platform apply.

    Args:
        profile: as written, not yet resolved.
        searches: the workload.
        execution: what the cluster serves it by, where that differs (no plugin: by script).
    """
    from ranking.native import scripted
    from ranking.query import search_body

    found = []
    for one in searches:
        served = profile.for_platform(one.platform)
        if execution == "script_score" and served.execution == "plugin":
            served = scripted(served)
        body = search_body(served, one.query, now_ms=one.at_ms, filters=one.filters)
        found.append(json.dumps(body, separators=(",", ":"), ensure_ascii=False))
    return found


class Searches:
    """What each round searches for, under each side's profile.

    Args:
        es: for one search of each side beforehand, so that a wrong index or field is said at once.
        target: where searches go, with a login where one is needed.
        index: index or alias.
        profiles: of both sides, as written.
        searches: the workload.
        plan: how it is sent.

    Raises:
        ServerError: the cluster refuses a search.
    """

    kind: Literal["search"] = "search"
    only: Side | None = None

    def __init__(
        self,
        es: Elasticsearch,
        target: Target,
        index: str,
        *,
        profiles: Mapping[Side, Profile],
        searches: Sequence[Search],
        plan: Plan,
    ) -> None:
        own = {side: _served(es, index, profiles[side], searches) for side in SIDES}
        self.target = replace(
            target,
            path=f"/{index}/_search?include_named_queries_score=true",
            bodies=(*own["baseline"], *own["contender"]),
        )
        self._n = len(searches)
        self._plan = plan
        self.at: tuple[float, ...] = ()
        self.shape: Shape | None = None
        if plan.mode == "open":
            self.at, self.shape = plan.logged([one.at_ms for one in searches])

    def load(self, side: Side) -> Load:
        """One round of a side."""
        plan = self._plan
        items = self._items(side)
        return Load(
            kind="search",
            mode=plan.mode,
            items=spread(items, len(self.at)) if plan.mode == "open" else tuple(items),
            at=self.at,
            connections=plan.connections,
            users=plan.users,
            think=plan.think,
            seconds=plan.seconds,
        )

    def warm_up(self, running: Sender) -> None:
        """Up to 200 searches of each side, evenly over all, two at a time."""
        n = min(self._n, WARM_UP)
        for side in SIDES:
            items = tuple(self._items(side)[i * self._n // n] for i in range(n))
            running.play([Load(kind="search", items=items, at=(0.0,) * n, connections=2)])

    def _items(self, side: Side) -> range:
        first = 0 if side == "baseline" else self._n
        return range(first, first + self._n)


def platforms(searches: Sequence[Search]) -> dict[str, int]:
    """How many searches each platform asked."""
    names = sorted({one.platform for one in searches}, key=str)
    return {name or "none": sum(one.platform == name for one in searches) for name in names}


def _served(es: Elasticsearch, index: str, profile: Profile, searches: Sequence[Search]) -> list[str]:
    from ranking.search import Searcher

    first = searches[0]
    page = Searcher(es, index, profile).search(
        first.query, now_ms=first.at_ms, platform=first.platform, filters=first.filters
    )
    return bodies(profile, searches, execution=page.execution)
