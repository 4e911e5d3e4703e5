"""What an importer makes of rows: searches with shown ids, events, judgments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ranking.capture import NOTHING_PROVEN, CapturedItem, CaptureRecord, Event
from ranking.profile import Profile
from ranking.rows import RowError
from replay.importing.lines import Kind, Row


@dataclass(frozen=True, slots=True)
class Grade:
    """How relevant an item is for a query."""

    query: str
    item_id: str
    grade: float  # >= 0


@dataclass(frozen=True, slots=True)
class Ignored:
    """A well-formed row that holds nothing to import."""

    what: str  # such as "metadata of users"


Imported = CaptureRecord | Event | Grade | Profile | Ignored


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a log does not say and the user does."""

    at_ms: int | None = None  # clock of searches in formats without times
    index: str = ""  # index that was searched, where the log does not say
    platform: str | None = None  # where the log does not say
    first_position: int = 1  # what the log calls the first place: 1, or 0
    topics: Mapping[str, str] = field(default_factory=dict)  # query text of each topic id
    simulated: bool = False  # clicks and judgments come from a click model, and are called simulated


class Reader(Protocol):
    """One format. Rows come in file order; a reader may hold some back until `finish`."""

    source: str  # name of the format, kept in the column `source`
    kind: Kind

    def prepare(self, paths: Sequence[Path]) -> Sequence[Path]:
        """Look at the files before they are read; the order in which to read them."""
        ...

    def feed(self, row: Row) -> Iterable[Imported]:
        """What one row gives.

        Raises:
            RowError: the row cannot be used.
        """
        ...

    def finish(self) -> Iterable[Imported]:
        """What was held back."""
        ...


class RowReader:
    """A reader that takes files as they come and holds nothing back."""

    def prepare(self, paths: Sequence[Path]) -> Sequence[Path]:
        """The files in the order given."""
        return paths

    def finish(self) -> Iterable[Imported]:
        """Nothing is held back."""
        return ()


def shown_search(
    source: str,
    *,
    search_id: str,
    query: str,
    now_ms: int,
    items: Sequence[CapturedItem],
    index: str = "",
    profile: str = "",
    k: int | None = None,
    total_hits: int | None = None,
    platform: str | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    filters: Mapping[str, Any] | None = None,
    took_ms: int = 0,
) -> CaptureRecord:
    """A search of which only the shown page is known.

    Raises:
        RowError: filters that are nested too deeply to be kept.
    """
    try:
        json.dumps(filters)
    except RecursionError:
        raise RowError("filters are nested too deeply") from None
    return CaptureRecord(
        search_id=search_id,
        query=query,
        now_ms=now_ms,
        index=index,
        profile=profile,
        profile_hash="",
        k=len(items) if k is None else k,
        total_hits=total_hits,
        window=0,
        rel_floor=NOTHING_PROVEN,
        items=tuple(items),
        platform=platform,
        user_id=user_id,
        session_id=session_id,
        filters=filters or {},
        took_ms=took_ms,
        source=source,
    )


def shown_item(item_id: str, rank: int, score: float | None = None) -> CapturedItem:
    """An item of a shown page: relevance unknown."""
    return CapturedItem(item_id=item_id, rel=float("nan"), rank=rank, score=f32(score))


def f32(value: float | None) -> float | None:
    """The nearest float32, as captures hold scores.

    Raises:
        RowError: beyond what a float32 can hold.
    """
    if value is None:
        return None
    with np.errstate(over="ignore"):
        found = float(np.float32(value))
    if not np.isfinite(found):
        raise RowError(f"{value} does not fit in a float32")
    return found


def topic_text(options: ImportOptions, topic: str) -> str:
    """The query text of a topic; its id where no text is known."""
    return options.topics.get(topic, topic)
