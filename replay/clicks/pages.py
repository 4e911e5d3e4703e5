"""Served pages with their clicks as arrays: what click models, off-policy estimates and interleaving read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ranking.capture import EVENT_SCHEMA, read_table
from ranking.errors import InputError
from replay.log import CaptureLog

I64 = NDArray[np.int64]
NOBODY = "unknown"  # the platform of a search that names none


@dataclass(frozen=True, slots=True)
class Pages:
    """Served pages, one row per search, one column per rank; a column past a page's end is not shown."""

    shown: I64  # (n_searches, depth): the log's candidate at each rank; -1 where there is none
    clicks: NDArray[np.bool_]  # (n_searches, depth); more than one click on an item counts once
    pair: I64  # (n_searches, depth): which (query, item) is shown; -1 where there is none
    pairs: list[tuple[str, str]]  # query and item_id of each pair
    platform: NDArray[np.object_]  # (n_searches,)
    user: I64  # (n_searches,): the cluster: user, else session, else the search itself
    simulated: bool  # whether any click was simulated
    n_clicks: int  # clicks of the events that are on a shown item
    n_stray: int  # clicks on a search or an item that the log does not show

    @property
    def n_users(self) -> int:
        """How many clusters."""
        return int(self.user.max(initial=-1)) + 1

    @property
    def depth(self) -> int:
        """Length of the longest page."""
        return int(self.shown.shape[1])

    def where(self, chosen: NDArray[np.bool_]) -> Pages:
        """The pages of some searches, (n_searches,) bool; users keep their number."""
        return Pages(
            shown=self.shown[chosen],
            clicks=self.clicks[chosen],
            pair=self.pair[chosen],
            pairs=self.pairs,
            platform=self.platform[chosen],
            user=self.user[chosen],
            simulated=self.simulated,
            n_clicks=int(self.clicks[chosen].sum()),
            n_stray=0,
        )

    def platforms(self) -> list[str]:
        """The platforms, sorted."""
        return sorted(set(self.platform))


def read_pages(log: CaptureLog, folder: Path, *, action: str = "click", depth: int | None = None) -> Pages:
    """Join a log with the events of its folder.

    Args:
        log: the captured searches.
        folder: where `events/` lies.
        action: which events count.
        depth: look at no more than so many ranks; the longest page by default.

    Raises:
        InputError: no events of that action, or an item at two ranks of a page.
    """
    events = read_table(folder, "events", EVENT_SCHEMA)
    actions = np.asarray(events["action"].to_pylist(), dtype=object)
    if not (actions == action).any():
        raise InputError(
            f"{folder} has no {action} events", hint="events lie in DIR/events/day=…, see ranking/capture.py"
        )
    of_action = events.filter(actions == action)
    shown = shown_table(log, depth)
    row, rank = _places(log, shown, of_action)
    hit = rank >= 0
    clicks = np.zeros(shown.shape, dtype=bool)
    clicks[row[hit], rank[hit]] = True
    pair, pairs = _pairs(log, shown)
    return Pages(
        shown=shown,
        clicks=clicks,
        pair=pair,
        pairs=pairs,
        platform=np.array([p if p is not None else NOBODY for p in log.searches["platform"]], dtype=object),
        user=user_codes(log),
        simulated=bool(np.any(of_action["simulated"].fill_null(False).to_numpy())),
        n_clicks=int(hit.sum()),
        n_stray=int((~hit).sum()),
    )


def _places(log: CaptureLog, shown: I64, events: pa.Table) -> tuple[I64, I64]:
    """The search and the 0-based rank of each event's item, (n_events,); rank -1 where it is not shown."""
    row_of = {search_id: i for i, search_id in enumerate(log.searches["search_id"])}
    row = np.array([row_of.get(name, -1) for name in events["search_id"].to_pylist()], dtype=np.int64)
    items = np.asarray(events["item_id"].to_pylist(), dtype=object)
    rank = np.full(len(row), -1, dtype=np.int64)
    for start in range(0, len(row) if shown.shape[1] else 0, 50_000):
        some = slice(start, start + 50_000)
        page = shown[row[some]]
        same = (log.item_id[page] == items[some, None]) & (page >= 0) & (row[some, None] >= 0)
        rank[some] = np.where(same.any(axis=1), same.argmax(axis=1), -1)
    return row, rank


def shown_table(log: CaptureLog, depth: int | None = None) -> I64:
    """The candidate at each rank of each served page, (n_searches, depth), -1 where there is none.

    Raises:
        InputError: two items at one rank.
    """
    served = np.flatnonzero(log.rank > 0)
    length = min(int(log.rank.max(initial=0)), depth or np.iinfo(np.int32).max)
    served = served[log.rank[served] <= length]
    table = np.full((len(log), length), -1, dtype=np.int64)
    place = (log.owner[served], log.rank[served] - 1)
    table[place] = served
    if int((table >= 0).sum()) < len(served):
        i = int(log.owner[served[table[place] != served][0]])
        raise InputError(f"search {log.searches['search_id'][i]} shows two items at one rank")
    return table


def user_codes(log: CaptureLog) -> I64:
    """The cluster of each search, (n_searches,), from 0: its user, else its session, else itself."""
    columns = (log.searches[name] for name in ("user_id", "session_id", "search_id"))
    names = [
        f"u:{user}" if user is not None else f"s:{session}" if session is not None else f"q:{search}"
        for user, session, search in zip(*columns, strict=True)
    ]
    return _codes(names)


def _pairs(log: CaptureLog, shown: I64) -> tuple[I64, list[tuple[str, str]]]:
    rows, columns = np.nonzero(shown >= 0)
    query = _codes([str(text) for text in log.searches["query"]])
    n_items = int(log.item_code.max(initial=0)) + 1
    key = query[rows] * n_items + log.item_code[shown[rows, columns]]
    _, first, code = np.unique(key, return_index=True, return_inverse=True)
    pair = np.full(shown.shape, -1, dtype=np.int64)
    pair[rows, columns] = code
    texts = log.searches["query"]
    names = [(str(texts[rows[j]]), str(log.item_id[shown[rows[j], columns[j]]])) for j in first]
    return pair, names


def _codes(values: list[Any]) -> I64:
    return np.asarray(np.unique(np.array(values, dtype=str), return_inverse=True)[1], dtype=np.int64)
