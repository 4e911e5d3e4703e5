"""Writes the table of docs/faults.md from benchmarks/results/faults.json. A test holds the page to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "faults.md"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "faults.json"
BEGIN, END = "<!-- table: python -m docs.faults_table -->", "<!-- end of table -->"
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


def table(result: Mapping[str, Any]) -> str:
    """One row for each fault."""
    head = ["fault", *COLUMNS.values()]
    rows = [_cells(row) for row in result["faults"]]
    lines = [head, ["---", *["---:"] * len(COLUMNS)], *rows]
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


def page(text: str, result: Mapping[str, Any]) -> str:
    """The page with its table made new."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table(result)}\n{END}{after}"


if __name__ == "__main__":
    made = page(TARGET.read_text(encoding="utf-8"), json.loads(RESULTS.read_text(encoding="utf-8")))
    TARGET.write_text(made, encoding="utf-8")
