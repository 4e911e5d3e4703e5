"""Quepid's ratings CSV: query, docid, rating; what its import takes and its "general" export gives."""

from __future__ import annotations

import csv
from pathlib import Path

from replay.exporting.files import atomic_text
from replay.judgments import Judgments


def export_quepid(judgments: Judgments, path: Path) -> int:
    """Write every judgment; how many. Whole grades are written without a fraction, as Quepid rates.

    Raises:
        InputError: the file cannot be written.
    """
    n = 0
    with atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["query", "docid", "rating"])
        for query, graded in sorted(judgments.by_query.items()):
            for item_id, grade in sorted(graded.items()):
                writer.writerow([query, item_id, f"{grade:.9g}"])
                n += 1
    return n
