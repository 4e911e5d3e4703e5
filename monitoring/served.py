"""One day of a log as served: the pages in the order in which users saw them, and what users did there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ranking.capture import EVENT_SCHEMA, captured_days, read_table
from ranking.profile import Profile
from replay.ab.events import CLICKS, PURCHASES
from replay.engine import Ranking
from replay.log import CaptureLog
from replay.measures.page import page

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_pc: Any = pc  # its functions are made at run time: no checker sees them


def as_served(log: CaptureLog) -> Ranking:
    """The pages as users saw them: candidates that were not served are not eligible."""
    shown = log.rank > 0
    order = np.lexsort((np.where(shown, log.rank, np.iinfo(np.int32).max), log.owner)).astype(np.int64)
    none_proven = np.zeros(len(log), dtype=np.int64)
    return Ranking(Profile(name="as-served"), 0, log.score, shown, order, log.rank, none_proven)


@dataclass(frozen=True, slots=True)
class Events:
    """What users did, and where it stands in a log: events of other searches are left out."""

    search: I64  # (n_events,): place of the search in the log
    position: I64  # (n_events,): place of the candidate, -1 where the item was not shown
    click: NDArray[np.bool_]  # (n_events,)
    purchase: NDArray[np.bool_]  # (n_events,)
    simulated: bool  # whether any of them was made up by a program


def events_of(log: CaptureLog, table: pa.Table) -> Events:
    """Events of a log's searches, matched by search and item.

    Args:
        log: some searches.
        table: of EVENT_SCHEMA, in any order.
    """
    ids = pa.array(log.searches["search_id"], pa.string())
    search = _places(table["search_id"], ids)
    table, search = table.filter(pa.array(search >= 0)), search[search >= 0]
    shown = np.flatnonzero(log.rank > 0)
    of_shown = _pair(log.owner[shown], pa.array(log.item_id[shown], pa.string()))
    found = _places(_pair(search, table["item_id"].combine_chunks()), of_shown)
    position = np.where(found >= 0, shown[found] if len(shown) else -1, -1)
    actions = np.asarray(table["action"].to_pylist(), dtype=object)
    return Events(
        search=search,
        position=position,
        click=np.isin(actions, CLICKS) if len(actions) else np.zeros(0, dtype=bool),
        purchase=np.isin(actions, PURCHASES) if len(actions) else np.zeros(0, dtype=bool),
        simulated=bool(_pc.any(table["simulated"]).as_py()),
    )


def read_events(folder: Path, first_day: str) -> pa.Table:
    """All events from a day on: an event may come on a later day than its search."""
    days = [day for day in captured_days(folder, "events") if day >= first_day]
    return read_table(folder, "events", EVENT_SCHEMA, days=days)


@dataclass(frozen=True, slots=True)
class Visits:
    """A value per search, what every slice of the day is added up from."""

    values: Mapping[str, F64]  # (n_searches,) each; NaN where it does not apply
    image: tuple[I64, F64]  # the search of each shown image score among the first k, and the score
    rel: tuple[I64, F64]  # the same of relevance
    user: NDArray[np.object_]  # (n_searches,): None where not known
    k: int


def visits_of(log: CaptureLog, events: Events, k: int) -> Visits:
    """The day's searches, one by one.

    Args:
        log: of the day.
        events: of its searches.
        k: how much of a page counts.
    """
    from replay.measures import measure

    ranking, n = as_served(log), len(log)
    first = page(log, ranking, k)
    shown = first.shown.sum(axis=1).astype(np.float64)
    scored = (first.shown & ~np.isnan(first.of(log.docs.image_score))).sum(axis=1).astype(np.float64)
    clicked = np.unique(events.position[events.click & (events.position >= 0)])  # an item twice is one
    owner, rank = log.owner[clicked], log.rank[clicked].astype(np.float64)
    highest = np.full(n, np.inf)
    np.minimum.at(highest, owner, rank)
    total = np.array([np.nan if t is None else t for t in log.searches["total_hits"]], dtype=np.float64)
    values = {
        "items_shown": shown,
        "items_scored": scored,
        "clicks": np.bincount(owner[rank <= k], minlength=n).astype(np.float64),
        "purchases": np.bincount(events.search[events.purchase], minlength=n).astype(np.float64),
        "rr_first_click": np.where(np.isfinite(highest), 1 / highest, np.nan),
        "zero_results": np.where(np.isnan(total), shown == 0, total == 0).astype(np.float64),
        "took_ms": log.searches["took_ms"].astype(np.float64),
    }
    for name in ("image_score", "freshness", "ai_share"):
        values[f"{name}_at_k"] = measure(f"{name}@{k}").values(log, ranking)
    on_page = first.at[first.shown]
    return Visits(
        values=values,
        image=_known(log, on_page, log.docs.image_score),
        rel=_known(log, on_page, log.docs.rel),
        user=np.asarray(log.searches["user_id"], dtype=object),
        k=k,
    )


def _known(log: CaptureLog, positions: I64, column: NDArray[np.float32]) -> tuple[I64, F64]:
    values = column[positions].astype(np.float64)
    known = ~np.isnan(values)
    return log.owner[positions][known], values[known]


def _pair(search: I64, item: Any) -> Any:
    return _pc.binary_join_element_wise(pa.array(search).cast(pa.string()), item, "\x00")


def _places(values: Any, among: Any) -> I64:
    found = _pc.index_in(values, value_set=among)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


__all__ = ["Events", "Visits", "as_served", "events_of", "read_events", "visits_of"]
