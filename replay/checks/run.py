"""Every check of a log, in the order in which one would look."""

from __future__ import annotations

from pathlib import Path

from elasticsearch import Elasticsearch

from ranking.clock import now_ms as this_moment
from ranking.errors import InputError
from replay.checks import clocks, duplicates, impressions, pages, proof
from replay.checks.check import Check
from replay.checks.drift import index_drift
from replay.checks.gaps import gaps
from replay.checks.logged_events import read_events
from replay.checks.values import values
from replay.checks.versions import schema_versions
from replay.log import CaptureLog, read_log


def check_log(
    log: CaptureLog,
    folder: Path,
    *,
    now_ms: int | None = None,
    es: Elasticsearch | None = None,
    index: str | None = None,
    limit: int = 100,
) -> list[Check]:
    """Check a log before a figure is taken from it.

    Args:
        log: the searches of `folder`.
        folder: also holds the events.
        now_ms: what counts as the future, epoch ms; this moment by default.
        es: also ask this cluster how far the index has moved since.
        index: with `es`: another index than the logged one.
        limit: with `es`: at most so many searches.

    Returns:
        One check for each question, those that are fine too.

    Raises:
        InputError: a file of events is broken.
        ServerError: the cluster refused a search.
    """
    events = read_events(log, folder)
    return [
        schema_versions(log),
        proof.shown_only(log),
        proof.unknown_profiles(log),
        proof.windows(log),
        proof.floors(log),
        pages.position_holes(log),
        pages.truncated_pages(log),
        pages.page_order(log),
        *values(log),
        duplicates.duplicate_items(log),
        duplicates.duplicate_searches(log),
        duplicates.duplicate_events(events),
        clocks.items_from_the_future(log),
        clocks.future_clocks(log, events, this_moment() if now_ms is None else now_ms),
        clocks.steps_back(folder),
        clocks.events_before_search(log, events),
        gaps(log),
        impressions.unknown_searches(events),
        impressions.clicks_without_impressions(events),
        impressions.other_ranks(events),
        *(index_drift(es, log, index=index, limit=limit) if es is not None else ()),
    ]


def check_folder(
    folder: Path, *, es: Elasticsearch | None = None, index: str | None = None, limit: int = 100
) -> list[Check]:
    """Check a capture folder; one that cannot be read is a failed check, not an error.

    Raises:
        InputError: there is no such folder.
        ServerError: the cluster refused a search.
    """
    if not folder.is_dir():
        raise InputError(f"no captured searches in {folder}", hint="name a capture folder")
    try:
        log = read_log(folder)
        rest = check_log(log, folder, es=es, index=index, limit=limit)
    except InputError as e:
        return [Check("readable", "failed", 1, 1, str(e))]
    return [
        Check("readable", "ok", 0, len(log), f"{len(log)} searches, {log.n_candidates} candidates"),
        *rest,
    ]
