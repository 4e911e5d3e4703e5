"""Proof for every search: those whose first K places are not proven are asked again, and only those.

For each profile and clock the full query gives the K-th score; the inverse of the bound gives the least
relevance with which a document can still reach it. Every document at least that relevant is fetched, in the
same point in time. Nothing outside can enter the first K of any of the rankings, so K is proven: no guessing
of windows. Relevance of a search asked again is that of the index now, on both sides of every comparison.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from elasticsearch import Elasticsearch
from numpy.typing import NDArray

from ranking.capture import CaptureRecord, part_files, write_captures
from ranking.errors import InputError
from ranking.profile import Profile
from ranking.topk import least_relevance
from replay.engine import rank
from replay.fixed import FixedIndex
from replay.log import CaptureLog

pc: Any = pyarrow.compute  # its functions are made when it is loaded, so they have no types
MOST: Final = 20_000  # candidates of one search; beyond, it is left unproven and said so
NOTE: Final = "requeried.json"


@dataclass(frozen=True, slots=True)
class Requeried:
    """What was asked again."""

    k: int
    searches: int  # of the log
    unproven: int  # with a ranking that was not proven down to k
    requeried: int
    at_ms: int  # when: their relevance is that of the index then
    too_many: list[str]  # search_ids of which more candidates than `MOST` would be needed
    unknown_profile: int  # searches that cannot be asked again: the log lacks the profile that served them
    records: list[CaptureRecord] = field(default_factory=list, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return {k: v for k, v in asdict(self).items() if k != "records"}


def unproven(
    log: CaptureLog, profiles: Sequence[Profile], k: int, shifts_ms: Sequence[int] = (0,)
) -> NDArray[np.int64]:
    """Searches whose first k places are not proven under one of the profiles at one of the clocks."""
    lacking = np.zeros(len(log), dtype=bool)
    for profile in profiles:
        for shift_ms in shifts_ms:
            lacking |= rank(log, profile, clock_shift_ms=shift_ms).exact_k < k
    complete = np.isnan(log.searches["rel_floor"].astype(np.float32))
    return np.flatnonzero(lacking & ~complete)


def requery(
    es: Elasticsearch,
    log: CaptureLog,
    profiles: Sequence[Profile],
    *,
    k: int,
    shifts_ms: Sequence[int] = (0,),
    index: str | None = None,
    most: int = MOST,
    advance: Callable[[int], object] = lambda _n: None,
) -> Requeried:
    """Ask the cluster for the searches whose first k are not proven, each at its logged clock.

    Args:
        es: the cluster.
        log: the captured searches.
        profiles: all that are compared, not yet resolved for a platform.
        k: how far each ranking shall be proven.
        shifts_ms: the clocks that are compared, as moves of each search's own.
        index: another index than the logged one.
        most: candidates of one search at most.
        advance: told 1 after each search.

    Returns:
        Records that stand in for the old ones: page and candidates of one point in time per index.

    Raises:
        ServerError: the server refused.
    """
    wanted = unproven(log, profiles, k, shifts_ms)
    hashes = log.searches["profile_hash"]
    known = [int(i) for i in wanted if hashes[i] in log.profiles]
    found: list[CaptureRecord] = []
    too_many: list[str] = []
    at_ms = 0
    names = np.array([index or str(log.searches["index"][i]) for i in known], dtype=object)
    for name in sorted(set(names)):
        mine = [i for i, one in zip(known, names, strict=True) if one == name]
        reads = [*profiles, *log.profiles.values(), *_overridden(profiles)]
        with FixedIndex(es, str(name), reads) as fixed:
            at_ms = at_ms or fixed.opened_ms
            for i in mine:
                record, whole = _ask(fixed, log, i, profiles, k=k, shifts_ms=shifts_ms, most=most)
                found.append(record)
                if not whole:
                    too_many.append(record.search_id)
                advance(1)
    return Requeried(k, len(log), len(wanted), len(found), at_ms, too_many, len(wanted) - len(known), found)


def merge(folder: Path, requeried: Requeried, out: Path) -> Path:
    """A capture folder with the records of `requeried` in place of the old ones; all else as it was.

    Raises:
        InputError: `out` is there already.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty", hint="name a folder that is not there yet")
    hidden = out.with_name(f".{out.name}.half")
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir(parents=True)
    for part in ("profiles", "events", "judgments"):
        if (folder / part).is_dir():
            shutil.copytree(folder / part, hidden / part)
    replaced = pa.array([record.search_id for record in requeried.records], pa.string())
    for path in part_files(folder):
        table = pq.ParquetFile(path).read()
        kept = table.filter(pc.invert(pc.is_in(table["search_id"], value_set=replaced)))
        if kept.num_rows:
            target = hidden / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(kept, target, compression="zstd")
    write_captures(hidden, requeried.records, [])
    note = {**requeried.as_dict(), "search_ids": replaced.to_pylist()}
    (hidden / NOTE).write_text(json.dumps(note, indent=2), encoding="utf-8")
    if out.exists():
        out.rmdir()
    hidden.rename(out)
    return out


def _overridden(profiles: Sequence[Profile]) -> list[Profile]:
    return [profile.for_platform(platform) for profile in profiles for platform in profile.platforms]


def _ask(
    fixed: FixedIndex,
    log: CaptureLog,
    i: int,
    profiles: Sequence[Profile],
    *,
    k: int,
    shifts_ms: Sequence[int],
    most: int,
) -> tuple[CaptureRecord, bool]:
    """One search again, and whether its first k are proven now."""
    column = {name: values[i] for name, values in log.searches.items()}
    served = log.profiles[column["profile_hash"]]
    text, now_ms, filters = str(column["query"]), int(column["now_ms"]), log.filters(i)
    platform = None if column["platform"] is None else str(column["platform"])
    least = np.inf
    for profile in profiles:
        formula = profile.for_platform(platform).model_copy(update={"base_query": served.base_query})
        for shift_ms in shifts_ms:
            clock = now_ms + shift_ms
            page = fixed.page(
                formula, text, now_ms=clock, size=k, filters=filters, created_until_ms=min(clock, now_ms)
            )
            reached = len(page.items) == k
            least = min(least, least_relevance(formula, page.items[-1].score or 0.0) if reached else 0.0)
    page = fixed.page(served, text, now_ms=now_ms, size=int(column["k"]), filters=filters)
    items, whole = fixed.most_relevant(
        served, text, now_ms=now_ms, filters=filters, least_rel=least, most=most
    )
    on_page = {item.item_id for item in page.items}
    if not whole:
        floor: float | None = items[-1].rel
    elif least > 0:
        floor = float(np.nextafter(np.float32(least), np.float32(-np.inf)))
    else:
        floor = None
    return _record(
        column,
        filters,
        total_hits=page.total_hits,
        window=len(items),
        rel_floor=floor,
        items=(*page.items, *(item for item in items if item.item_id not in on_page)),
    ), whole


def _record(column: dict[str, Any], filters: dict[str, Any], **found: Any) -> CaptureRecord:
    def text(name: str) -> str | None:
        return None if column.get(name) is None else str(column[name])

    return CaptureRecord(
        search_id=str(column["search_id"]),
        query=str(column["query"]),
        now_ms=int(column["now_ms"]),
        index=str(column["index"]),
        profile=str(column["profile"]),
        profile_hash=str(column["profile_hash"]),
        k=int(column["k"]),
        platform=text("platform"),
        user_id=text("user_id"),
        session_id=text("session_id"),
        arm=text("arm"),
        filters=filters,
        n_shards=int(column["n_shards"]),
        took_ms=int(column["took_ms"]),
        **found,
    )
