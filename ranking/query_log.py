"""A list of searches to serve: plain text, one query a line, or JSON lines that say who asked what when.

    red dress
    {"query": "red dress", "platform": "web", "user_id": "u1", "at": "2026-11-20T09:00:00Z"}

Keys of a JSON line: query, and optionally platform, user_id, session_id, search_id, at (ISO 8601 or epoch ms)
and filters (field names to a value or a list of values).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ranking import rows
from ranking.errors import InputError
from ranking.fields import PLATFORMS

_KEYS = ("query", "platform", "user_id", "session_id", "search_id", "at", "filters")


@dataclass(frozen=True, slots=True)
class QueryLine:
    """One search to serve."""

    query: str
    platform: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    search_id: str | None = None
    at_ms: int | None = None  # its clock; None: that of the run
    filters: Mapping[str, Any] = field(default_factory=dict)


def read_query_log(path: Path) -> Iterator[QueryLine]:
    """The searches of a file, read as needed; a file whose first line begins with { is JSON lines.

    Raises:
        InputError: the file cannot be read, or a line is not a search; it names the line.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            as_json: bool | None = None
            for number, line in enumerate(lines, start=1):
                text = line.strip()
                if not text:
                    continue
                if as_json is None:
                    as_json = text.startswith("{")
                try:
                    yield parse_query_line(text) if as_json else QueryLine(text)
                except rows.RowError as e:
                    raise InputError(f"{path} line {number}: {e}") from e
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path}: {e}", hint="give a text file with one query a line, or JSON lines") from e


def count_queries(path: Path) -> int:
    """How many searches a file holds; every line is looked at, so that a wrong one is found before any runs.

    Raises:
        InputError: as `read_query_log`, or there are none.
    """
    n = sum(1 for _ in read_query_log(path))
    if n == 0:
        raise InputError(
            f"{path} has no queries", hint="give a text file with one query a line, or JSON lines"
        )
    return n


def parse_query_line(text: str) -> QueryLine:
    """One JSON line.

    Raises:
        RowError: not an object, an unknown key, or a value of the wrong kind.
    """
    row = rows.parse_object(text)
    if unknown := sorted(row.keys() - set(_KEYS)):
        raise rows.RowError(f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    platform = rows.text(row, "platform")
    if platform not in (None, *PLATFORMS):
        raise rows.RowError(f"platform {platform!r} is not one of {', '.join(PLATFORMS)}")
    return QueryLine(
        query=rows.required_text(row, "query"),
        platform=platform,
        user_id=rows.text(row, "user_id"),
        session_id=rows.text(row, "session_id"),
        search_id=rows.text(row, "search_id"),
        at_ms=rows.moment(row, "at"),
        filters=rows.mapping(row, "filters"),
    )
