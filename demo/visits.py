"""Visits served under three profiles and captured; buyers, their clicks and their grades are simulated."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from elasticsearch import Elasticsearch

from demo.ingest import FAMILY
from demo.progress import Bar
from marketplace.buyers import Search, judge, perceived_quality, simulate_clicks
from marketplace.items import Item
from marketplace.market import Marketplace
from ranking import fields
from ranking.capture import CaptureRecord, Event, write_captures, write_events
from ranking.errors import InputError
from ranking.profile import Profile, builtin_profiles
from ranking.search import Searcher
from replay.judgments import write_judgments

BASELINE = "control"
CONTENDERS = ("additive", "multiplicative")
JUDGMENTS = "simulated-buyers"


def assign(user_id: str) -> str:
    """The profile that serves a user: a third of users each, by hash, the same at every visit."""
    arms = (BASELINE, *CONTENDERS)
    return arms[int.from_bytes(hashlib.sha256(user_id.encode()).digest()[:8], "big") % len(arms)]


def serve(es: Elasticsearch, visits: Sequence[Search], captures: Path, bar: Bar) -> list[CaptureRecord]:
    """Serve and capture each visit, its user always by the same profile."""
    profiles = builtin_profiles()
    searchers = {
        name: Searcher(es, FAMILY, profiles[name], scripts="stored") for name in (BASELINE, *CONTENDERS)
    }
    records = []
    with bar("searches", len(visits)) as advance:
        for visit in visits:
            record = searchers[assign(visit.user_id)].capture(
                visit.query.text,
                now_ms=visit.now_ms,
                platform=visit.platform,
                user_id=visit.user_id,
                session_id=visit.session_id,
                search_id=visit.search_id,
            )
            records.append(record)
            advance(1)
    write_captures(captures, records, _resolved(profiles.values()))
    return records


def _resolved(profiles: Iterable[Profile]) -> list[Profile]:
    return [profile.for_platform(platform) for profile in profiles for platform in fields.PLATFORMS]


def simulate_buyers(
    market: Marketplace,
    visits: list[Search],
    records: list[CaptureRecord],
    captures: Path,
    seed: int,
) -> int:
    """Grades of every captured candidate and clicks on the served pages; how many clicks.

    Grades never use the model's score: where a photo has no label, its quality counts as average.
    """
    items: dict[str, Item] = {item.item_id: item for item in market.items}
    queries = {visit.query.text: visit.query for visit in visits}
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for record in records:
        known = grades[record.query]
        for candidate in record.items:
            if candidate.item_id not in items:
                raise InputError(f"the index returned {candidate.item_id}, which was not published")
            if candidate.item_id not in known:
                known[candidate.item_id] = judge(queries[record.query], items[candidate.item_id])
    rows = ((query, item_id, float(g)) for query, known in grades.items() for item_id, g in known.items())
    write_judgments(captures, rows, JUDGMENTS)
    rng = np.random.default_rng([seed, 3])
    qualities = {item_id: perceived_quality(item) for item_id, item in items.items()}
    events = []
    for visit, record in zip(visits, records, strict=True):
        shown = [item.item_id for item in record.items if item.rank is not None]
        clicks = simulate_clicks(visit, shown, grades[record.query], rng, qualities=qualities)
        events += [Event(c.search_id, c.item_id, "click", c.rank, c.at_ms, simulated=True) for c in clicks]
    return write_events(captures, events)
