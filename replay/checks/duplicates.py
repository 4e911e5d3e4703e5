"""The same thing twice: a search, an item within one search, an event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from replay.checks.check import Check, found
from replay.checks.logged_events import LoggedEvents
from replay.log import CaptureLog

_SAME_SEARCH = (
    "query",
    "now_ms",
    "platform",
    "user_id",
    "session_id",
    "index",
    "filters",
    "arm",
    "profile_hash",
)


def duplicate_searches(log: CaptureLog) -> Check:
    """One search logged under two ids counts twice in every mean."""
    columns = [log.searches[name].tolist() for name in _SAME_SEARCH]
    again = _again(list(zip(*columns, strict=True)))
    return found(
        "duplicate searches",
        len(again),
        len(log),
        f"{len(again)} of {len(log)} searches repeat another: same user, text, filters and millisecond",
        fine="no search is there twice",
        examples=(f"{log.searches['search_id'][i]}: {log.searches['query'][i]!r}" for i in again),
    )


def duplicate_items(log: CaptureLog) -> Check:
    """An item stands once among the candidates of a search."""
    key = log.owner * (int(log.item_code.max(initial=0)) + 1) + log.item_code
    order = np.argsort(key, kind="stable")
    again = np.sort(order[1:][key[order[1:]] == key[order[:-1]]])
    return found(
        "duplicate items",
        len(again),
        log.n_candidates,
        f"{len(again)} of {log.n_candidates} candidates stand twice in one search",
        fine="no item stands twice in one search",
        examples=(f"{log.item_id[p]} in search {log.searches['search_id'][log.owner[p]]}" for p in again),
        tolerated=0.0,
    )


def duplicate_events(events: LoggedEvents) -> Check:
    """One click delivered twice is one click."""
    keys = zip(events.search_id, events.item_id, events.action, events.at_ms.tolist(), strict=True)
    again = _again(list(keys))
    return found(
        "duplicate events",
        len(again),
        len(events),
        f"{len(again)} of {len(events)} events repeat another in every column",
        fine="no event is there twice",
        examples=(events.name(i) for i in again),
    )


def _again(keys: Sequence[Any]) -> list[int]:
    """Places of the keys that came before."""
    seen: Counter[Any] = Counter()
    again = []
    for i, key in enumerate(keys):
        seen[key] += 1
        if seen[key] > 1:
            again.append(i)
    return again
