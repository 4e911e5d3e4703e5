"""The events of a capture folder as arrays, joined with the searches they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ranking.capture import EVENT_SCHEMA, read_table
from replay.log import CaptureLog


@dataclass(frozen=True, slots=True)
class LoggedEvents:
    """Events in file order; arrays of shape (n_events,)."""

    search_id: NDArray[np.object_]
    search: NDArray[np.int64]  # place of its search in the log; -1 where the log lacks it
    item_id: NDArray[np.object_]
    action: NDArray[np.object_]
    rank: NDArray[np.int64]  # as logged; 0 where not logged
    at_ms: NDArray[np.int64]
    shown_rank: NDArray[np.int64]  # rank at which the log shows the item; 0 where it was not on the page

    def __len__(self) -> int:
        return len(self.search)

    def name(self, i: int) -> str:
        """Event i in words."""
        return f"{self.action[i]} on {self.item_id[i]} in search {self.search_id[i]}"


def read_events(log: CaptureLog, folder: Path) -> LoggedEvents:
    """The events of a folder.

    Raises:
        InputError: a file is broken.
    """
    table = read_table(folder, "events", EVENT_SCHEMA)
    place = {search_id: i for i, search_id in enumerate(log.searches["search_id"])}
    search_id = np.array(table["search_id"].to_pylist(), dtype=object)
    item_id = np.array(table["item_id"].to_pylist(), dtype=object)
    search = np.array([place.get(one, -1) for one in search_id], dtype=np.int64)
    ranks = {i: _shown(log, i) for i in set(search.tolist()) - {-1}}
    return LoggedEvents(
        search_id=search_id,
        search=search,
        item_id=item_id,
        action=np.array(table["action"].to_pylist(), dtype=object),
        rank=np.array(table["rank"].fill_null(0).to_pylist(), dtype=np.int64),
        at_ms=np.array(table["at_ms"].to_pylist(), dtype=np.int64),
        shown_rank=np.array(
            [
                ranks[i].get(item, 0) if i >= 0 else 0
                for i, item in zip(search.tolist(), item_id, strict=True)
            ],
            dtype=np.int64,
        ),
    )


def _shown(log: CaptureLog, i: int) -> dict[str, int]:
    """The page of search i: rank by item."""
    span = log.span(i)
    items, ranks = log.item_id[span], log.rank[span]
    served = np.flatnonzero(ranks > 0)
    return dict(zip(items[served], ranks[served].tolist(), strict=True))
