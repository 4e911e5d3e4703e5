"""Writes the tables of docs/faults.md from benchmarks/results/faults*.json. A test holds the page to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "faults.md"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
STREAM, BACKFILL = RESULTS / "faults.json", RESULTS / "faults_backfill.json"
BEGIN, END = "<!-- table: python -m docs.faults_table -->", "<!-- end of table -->"
BACKFILL_BEGIN = "<!-- backfills: python -m docs.faults_table -->"
COLUMNS = {
    "published": "published",
    "indexed": "indexed",
    "scored": "scored",
    "duplicated_writes": "written twice",
    "lost": "lost",
    "stale": "stale",
    "wrong": "wrong",
    "dead_letters": "dead letters",
    "stall_s": "stood still, s",
    "seconds": "whole run, s",
    "rss_peak_mb": "peak RSS, MB",
}


BACKFILL_COLUMNS = {
    "at_kill": "scored at the kill",
    "scored": "scored",
    "wrong": "wrong",
    "written_twice": "written twice",
    "starts": "backfills started",
    "seconds": "whole run, s",
}
VICTIMS = {"backfill": "the backfill", "triton": "Triton", "elasticsearch": "Elasticsearch"}


def table(result: Mapping[str, Any]) -> str:
    """One row for each fault of the stream."""
    return _markdown("fault", list(COLUMNS.values()), [_cells(row) for row in result["faults"]])


def backfill_table(result: Mapping[str, Any]) -> str:
    """One row for each kill of a backfill."""
    rows = []
    for row in result["runs"]:
        name = "`kill -9` of " + " and ".join(VICTIMS[victim] for victim in row["killed"].split("_"))
        if "scored" not in row:
            rows.append([f"{name}: **failed**", *[""] * len(BACKFILL_COLUMNS)])
            continue
        cells = {key: str(row[key]) for key in BACKFILL_COLUMNS}
        cells["scored"] = f"{row['scored']} of {row['items']}"
        rows.append([name, *cells.values()])
    return _markdown("killed at a quarter", list(BACKFILL_COLUMNS.values()), rows)


def _markdown(first: str, columns: list[str], rows: list[list[str]]) -> str:
    lines = [[first, *columns], ["---", *["---:"] * len(columns)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    if "published" not in row:  # it did not come to an end
        return [f"{row['what']}: **failed**", *[""] * len(COLUMNS)]
    cells = [row["what"]]
    for name in COLUMNS:
        value = row.get(name)
        match name:
            case "indexed":
                cells.append(f"{value} of {row.get('items')}")
            case "dead_letters":
                cells.append(f"{value} of {row.get('poison')}")
            case "rss_peak_mb" | "seconds":
                cells.append(f"{value:.0f}")
            case _:
                cells.append(str(value))
    return cells


def page(text: str, stream: Mapping[str, Any], backfill: Mapping[str, Any]) -> str:
    """The page with its tables made new."""
    return _put(_put(text, BEGIN, table(stream)), BACKFILL_BEGIN, backfill_table(backfill))


def _put(text: str, begin: str, made: str) -> str:
    before, rest = text.split(begin)
    _, after = rest.split(END, 1)
    return f"{before}{begin}\n{made}\n{END}{after}"


def results() -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures of the last whole runs."""
    stream, backfill = (json.loads(path.read_text(encoding="utf-8")) for path in (STREAM, BACKFILL))
    return stream, backfill


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text(encoding="utf-8"), *results()), encoding="utf-8")
