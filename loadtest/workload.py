"""Captured searches as a workload: when each was asked, and the body that serves it under a profile.

Queries, platforms and filters come as they were logged, so the mix is the real one. Each search keeps its
logged clock, so that every round and both sides do the same work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranking.capture import read_captures
from ranking.native import scripted
from ranking.profile import Execution, Profile
from ranking.query import search_body


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
    found = []
    for one in searches:
        served = profile.for_platform(one.platform)
        if execution == "script_score" and served.execution == "plugin":
            served = scripted(served)
        body = search_body(served, one.query, now_ms=one.at_ms, filters=one.filters)
        found.append(json.dumps(body, separators=(",", ":"), ensure_ascii=False))
    return found
