"""Quepid ratings as CSV, as its "general" and "detail" exports write them and its import takes them.

Columns are found by heading: query (or "query text"), docid ("doc id"), rating. A row without a rating is a
query or a document that nobody has judged yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ranking import rows
from ranking.rows import RowError
from replay.importing.lines import Kind, Row
from replay.importing.records import Grade, Ignored, Imported, ImportOptions, RowReader

QUERY, ITEM, RATING = ("query", "query text"), ("docid", "doc id", "doc_id"), ("rating",)


class QuepidReader(RowReader):
    """Judgments of queries."""

    source = "quepid"
    kind: Kind = "csv"

    def __init__(self, options: ImportOptions) -> None:
        del options  # ratings say all there is to say

    def feed(self, row: Row) -> Iterable[Imported]:
        """One rating."""
        if not any(name in row.data for name in QUERY):
            raise RowError("the file has no heading `query`: its first line must name the columns")
        query = _cell(row.data, QUERY)
        item_id, rating = _cell(row.data, ITEM), _cell(row.data, RATING)
        if not query.strip():
            raise RowError("query is missing")
        if not rating.strip():
            return [Ignored("queries and documents without a rating")]
        if not item_id:
            raise RowError("docid is missing")
        grade = rows.number({"rating": rating}, "rating")
        if grade is None or grade < 0:
            raise RowError(f"rating must be >= 0, got {rating!r}")
        return [Grade(query, item_id, grade)]


def _cell(data: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return str(rows.first(data, *names) or "")
