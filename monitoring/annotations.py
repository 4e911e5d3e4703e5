"""What was done to profiles, as marks on the days: from the publication store, else from the log itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elasticsearch import Elasticsearch

from monitoring.series import History
from monitoring.slices import UNKNOWN
from ranking.published import INDEX, Published, Version, list_published, read_history


def read_publications(es: Elasticsearch, *, index: str = INDEX) -> tuple[list[Version], list[dict[str, Any]]]:
    """Every published version, and the marks that publications leave.

    The store keeps when each version was published, and of what is live when it last changed; of changes in
    between (a rollback that was rolled back) it knows nothing. Marks that earlier runs wrote stay.
    """
    versions, live = read_history(es, index=index), list_published(es, index=index)
    marks = [_mark(one.label, one.published_at, f"{one.label} published") for one in versions]
    marks += [_live_mark(one) for one in live]
    return versions, marks


def _live_mark(live: Published) -> dict[str, Any]:
    text = f"{live.label} live"
    if live.canary is not None:
        text += f", canary {live.profile.name}@{live.canary.version} at {live.canary.percent:g} %"
    return _mark(live.label, live.changed_at, text)


def _mark(label: str, at: str, text: str) -> dict[str, Any]:
    return {"kind": "annotation", "day": at[:10], "at": at, "profile": label, "text": text}


def first_served(history: History) -> list[dict[str, Any]]:
    """Marks where a profile version first served, for logs whose profiles are not published."""
    marks = []
    first_day = history.days[0] if history.days else ""
    for profile in history.profiles:
        days = [point.day for point in history.series("took_p50_ms", profile=profile)]
        if profile != UNKNOWN and days and days[0] != first_day:
            at = f"{days[0]}T00:00:00.000Z"
            marks.append(
                {
                    "kind": "annotation",
                    "day": days[0],
                    "at": at,
                    "profile": profile,
                    "text": f"{profile} first served",
                }
            )
    return marks


def with_marks(documents: Sequence[dict[str, Any]]) -> History:
    """A history with the marks of its documents; where these have none, with each profile's first."""
    history = History(documents)
    return history if history.annotations else History([*documents, *first_served(history)])


__all__ = ["first_served", "read_publications", "with_marks"]
