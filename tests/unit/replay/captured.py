"""Captured searches for tests, by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ranking.capture import CapturedItem, CaptureRecord, write_captures
from ranking.profile import Profile
from replay import read_log
from replay.log import CaptureLog

NOW = 1_795_000_000_000
PLAIN = Profile(name="plain")


def record(
    search_id: str, query: str, items: Sequence[CapturedItem], profile: Profile = PLAIN, **changed: Any
) -> CaptureRecord:
    """A search whose capture holds every match."""
    usual: dict[str, Any] = {
        "now_ms": NOW,
        "index": "items",
        "k": 10,
        "total_hits": len(items),
        "window": 100,
        "rel_floor": None,
        "platform": "web",
    }
    return CaptureRecord(
        search_id=search_id,
        query=query,
        profile=profile.name,
        profile_hash=profile.hash,
        items=tuple(items),
        **usual | changed,
    )


def log_of(folder: Path, records: Iterable[CaptureRecord], *profiles: Profile) -> CaptureLog:
    """The records, written and read."""
    write_captures(folder, records, profiles or [PLAIN])
    return read_log(folder)
