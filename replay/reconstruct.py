"""Old logs that hold only query, time and shown ids: their candidates, rebuilt from the cluster.

Each search is asked again at its logged clock: nothing created later, its filters, one point in time. What it
showed is looked up too, wherever it stands now. With a history, every value is that of the moment, and what
was not on sale then is out, while what was sold since is in. Relevance statistics are those of the index that
is asked: today's, or those of a scratch index (`replay.rebuild`). How near this comes is measured against the
logged order (`replay.gap`), never assumed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from elasticsearch import Elasticsearch

from ranking import fields
from ranking.capture import CapturedItem, CaptureRecord, read_captures, write_captures
from ranking.errors import InputError
from ranking.factors import Rule
from ranking.profile import Profile
from replay.fixed import FixedIndex
from replay.gap import Gap, measure_gap
from replay.history.fold import KNOWN
from replay.history.store import History

_STATUS: Final = Rule(type="rule", field=fields.STATUS, any_of=(fields.ON_SALE,), weight=1.0)
_LOOK_UP: Final = 1_000  # shown ids that are looked up in one search


def reconstruct(
    es: Elasticsearch,
    folder: Path,
    out: Path,
    profile: Profile,
    *,
    index: str | None = None,
    history: History | None = None,
    advance: Callable[[int], object] = lambda _n: None,
) -> Gap:
    """Write a capture folder whose bare searches have candidates; other searches are kept as they are.

    Shown items keep their logged rank; the profile behind a logged order stays unknown (an empty
    `profile_hash`). Shown items that the index no longer has are left out and counted.

    Args:
        es: the cluster.
        folder: the log.
        out: a folder that is not there yet.
        profile: whose base query finds the candidates, and by which the gap is measured.
        index: where to ask; the logged index by default.
        history: items as they were.
        advance: told 1 after each search.

    Raises:
        InputError: `out` is there already, or nothing in the log needs it.
        ServerError: the server refused.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty", hint="name a folder that is not there yet")
    records = list(read_captures(folder))
    bare = [record for record in records if _is_bare(record)]
    if not bare:
        raise InputError(f"every search of {folder} has its candidates: there is nothing to reconstruct")
    rebuilt: list[CaptureRecord] = []
    lost: dict[str, list[CapturedItem]] = {}
    in_window = 0
    for name, mine in _by_index(bare, index):
        reads = [with_status(profile.for_platform(platform)) for platform in (None, *fields.PLATFORMS)]
        with FixedIndex(es, name, reads) as fixed:
            for record in mine:
                found, gone, within = _rebuild(fixed, record, profile, history)
                rebuilt.append(replace(found, index=record.index or name))
                lost[record.search_id] = gone
                in_window += within
                advance(1)
    gap = measure_gap(rebuilt, lost, profile, in_window)
    hidden = out.with_name(f".{out.name}.half")
    shutil.rmtree(hidden, ignore_errors=True)
    for part in ("profiles", "events", "judgments"):
        if (folder / part).is_dir():
            shutil.copytree(folder / part, hidden / part)
    write_captures(hidden, [*(r for r in records if not _is_bare(r)), *rebuilt], [])
    if out.exists():
        out.rmdir()
    hidden.rename(out)
    return gap


def with_status(profile: Profile) -> Profile:
    """A profile whose hits bring their status along."""
    return profile.model_copy(update={"factors": (*profile.factors, _STATUS)})


def _is_bare(record: CaptureRecord) -> bool:
    return record.shown_only or any(item.rel is None or item.rel != item.rel for item in record.items)


def _by_index(
    records: Sequence[CaptureRecord], index: str | None
) -> Iterator[tuple[str, list[CaptureRecord]]]:
    names = sorted({index or record.index for record in records})
    if "" in names:
        raise InputError("the log does not say which index was asked", hint="give --index")
    for name in names:
        yield name, [record for record in records if (index or record.index) == name]


def _rebuild(
    fixed: FixedIndex, record: CaptureRecord, profile: Profile, history: History | None
) -> tuple[CaptureRecord, list[CapturedItem], int]:
    """A search with its candidates, the shown items that are gone, and how many stood in the window."""
    served = profile.for_platform(record.platform)
    statuses = served.base_query.statuses
    if history is not None:  # what was sold since was on sale then: the history decides
        served = served.model_copy(
            update={"base_query": served.base_query.model_copy(update={"statuses": ()})}
        )
    window, whole = fixed.most_relevant(
        served, record.query, now_ms=record.now_ms, filters=record.filters, most=served.window
    )
    floor = None if whole or not window else window[-1].rel
    page = fixed.page(served, record.query, now_ms=record.now_ms, filters=record.filters)
    candidates = {item.item_id: item for item in (*page.items, *window)}
    within = sum(item.item_id in candidates for item in record.items)
    missing = [item.item_id for item in record.items if item.item_id not in candidates]
    for start in range(0, len(missing), _LOOK_UP):
        wanted = {**record.filters, fields.ITEM_ID: missing[start : start + _LOOK_UP]}
        more, _ = fixed.most_relevant(served, record.query, now_ms=record.now_ms, filters=wanted)
        candidates |= {item.item_id: item for item in more}
    then = list(_as_of(candidates.values(), history, record.now_ms, statuses))
    shown = {item.item_id: item for item in record.items}
    items = [
        replace(
            item,
            rank=shown[item.item_id].rank if item.item_id in shown else None,
            score=shown[item.item_id].score if item.item_id in shown else None,
            extras={name: value for name, value in item.extras.items() if name != fields.STATUS},
        )
        for item in then
    ]
    there = {item.item_id for item in items}
    gone = [replace(item, rel=0.0) for item in record.items if item.item_id not in there]
    rebuilt = replace(
        record,
        items=tuple(sorted(items, key=lambda item: (item.rank or len(shown) + 1, -item.rel, item.item_id))),
        window=len(window),
        rel_floor=floor,
        total_hits=max(record.total_hits or 0, page.total_hits or 0),
    )
    return rebuilt, gone, within


def _as_of(
    items: Iterable[CapturedItem], history: History | None, now_ms: int, statuses: Sequence[str]
) -> Iterator[CapturedItem]:
    """Items as they were; those that were not on sale are out. The history's silence keeps today's values."""
    found = list(items)
    if history is None or not found:
        yield from found
        return
    ids = np.array([item.item_id for item in found], dtype=object)
    places, known, before = history.find(ids, np.full(len(ids), now_ms, dtype=np.int64))
    rows: dict[int, dict[str, Any]] = {}
    there = np.flatnonzero(places >= 0)
    for p, row in zip(there, history.table.take(places[there]).to_pylist(), strict=True):
        rows[int(p)] = row
    for p, item in enumerate(found):
        row = rows.get(p, {})
        if row == {} and known[p]:
            if before[p] and item.created_ms is not None and item.created_ms <= now_ms:
                yield item
            continue
        status = row.get(fields.STATUS) or item.extras.get(fields.STATUS, fields.ON_SALE)
        if statuses and status not in statuses:
            continue
        yield _with_row(item, row, history.names) if row else item


def _with_row(item: CapturedItem, row: dict[str, Any], names: Sequence[str]) -> CapturedItem:
    own = {
        fields.IMAGE_SCORE: "image_score",
        fields.CREATED_AT: "created_ms",
        fields.CATEGORY: "category",
        fields.PRICE: "price",
        fields.AI_PROBABILITY: "ai_prob",
    }
    told = {name for name in names if row[f"{KNOWN}{name}"]}
    changes = {target: row[name] for name, target in own.items() if name in told}
    extras = {name: row[name] if name in told else value for name, value in item.extras.items()}
    kept = {name: value for name, value in extras.items() if value is not None}
    return replace(item, **changes, extras=kept)
