"""Serve a list of searches and capture them, or a sample of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ranking.capture import CaptureRecord, new_search_id, write_captures
from ranking.profile import Profile
from ranking.query_log import QueryLine
from ranking.sampling import is_sampled
from ranking.search import Searcher

_BATCH = 500  # records in memory; so many are written together


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was captured."""

    searches: int
    profile_hashes: tuple[str, ...]


def record_queries(
    searcher: Searcher,
    lines: Iterable[QueryLine],
    folder: Path,
    *,
    now_ms: int,
    platform: str | None = None,
    sample: float = 1.0,
    salt: str = "",
    advance: Callable[[int], object] = lambda _n: None,
) -> Recorded:
    """Serve and capture; only what is sampled is asked for. What was captured before an error is kept.

    Args:
        searcher: serves them.
        lines: the searches, read as they are needed.
        folder: the capture folder.
        now_ms: clock of the searches that have none.
        platform: of the searches that name none.
        sample: share of users, or of searches where no user is named, in [0, 1].
        salt: another salt samples other users.
        advance: told 1 after each line.

    Raises:
        ServerError: the cluster refused a search.
        InputError: a line is not a search.
    """
    waiting: list[CaptureRecord] = []
    profiles: dict[str, Profile] = {}
    n = 0
    try:
        for number, line in enumerate(lines, start=1):
            advance(1)
            key = line.search_id or f"{number}:{line.query}"
            if not is_sampled(
                sample, user_id=line.user_id, session_id=line.session_id, search_id=key, salt=salt
            ):
                continue
            record = searcher.capture(
                line.query,
                now_ms=now_ms if line.at_ms is None else line.at_ms,
                platform=line.platform or platform,
                user_id=line.user_id,
                session_id=line.session_id,
                search_id=line.search_id or new_search_id(),
                filters=line.filters,
            )
            waiting.append(record)
            if record.profile_hash not in profiles:
                profiles[record.profile_hash] = searcher.profile.for_platform(record.platform)
            if len(waiting) >= _BATCH:
                n += write_captures(folder, waiting, profiles.values())
                waiting.clear()
    finally:
        n += write_captures(folder, waiting, profiles.values())
    return Recorded(n, tuple(sorted(profiles)))
