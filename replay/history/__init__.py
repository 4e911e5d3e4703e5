"""Item history: what each item was at any moment, as intervals, from the ingest topic or a change log."""

from __future__ import annotations

from replay.history.asof import AsOf, as_of
from replay.history.changes import Change, parse_change
from replay.history.fold import fold
from replay.history.sources import read_source
from replay.history.store import History, read_history, write_history

__all__ = [
    "AsOf",
    "Change",
    "History",
    "as_of",
    "fold",
    "parse_change",
    "read_history",
    "read_source",
    "write_history",
]
