"""Events against pages: a click needs an impression, at the rank where it was shown."""

from __future__ import annotations

import numpy as np

from replay.checks.check import Check, found
from replay.checks.logged_events import LoggedEvents


def unknown_searches(events: LoggedEvents) -> Check:
    """Events of searches that the log lacks; a sample leaves such behind, so this never fails a log."""
    lost = np.flatnonzero(events.search < 0)
    return found(
        "events of unknown searches",
        len(lost),
        len(events),
        f"{len(lost)} of {len(events)} events belong to searches that the log lacks: "
        "a sample leaves such behind; in a full log, searches were lost",
        fine="every event belongs to a captured search",
        examples=(events.name(i) for i in lost),
        tolerated=1.0,
    )


def clicks_without_impressions(events: LoggedEvents) -> Check:
    """Events on items that the page did not show."""
    known = events.search >= 0
    unseen = np.flatnonzero(known & (events.shown_rank == 0))
    n = int(known.sum())
    return found(
        "clicks without impressions",
        len(unseen),
        n,
        f"{len(unseen)} of {n} events are on items that their page did not show",
        fine="every event is on an item of its page",
        examples=(events.name(i) for i in unseen),
    )


def other_ranks(events: LoggedEvents) -> Check:
    """Events whose rank is not the one at which the page showed the item."""
    comparable = (events.search >= 0) & (events.shown_rank > 0) & (events.rank != 0)
    wrong = np.flatnonzero(comparable & (events.rank != events.shown_rank))
    n = int(comparable.sum())
    zero_based = len(wrong) > 0 and bool((events.rank[wrong] == events.shown_rank[wrong] - 1).all())
    why = ", all by one: import with `--first-position 0`" if zero_based and len(wrong) == n else ""
    return found(
        "ranks of events",
        len(wrong),
        n,
        f"{len(wrong)} of {n} events name another rank than the page has{why}",
        fine="events and pages agree on ranks",
        examples=(f"{events.name(i)}: rank {events.rank[i]}, shown at {events.shown_rank[i]}" for i in wrong),
    )
