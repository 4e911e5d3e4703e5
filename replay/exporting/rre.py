"""Ratings of the Rated Ranking Evaluator: one query group a query text, documents by gain."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from ranking.fields import ITEM_ID
from replay.exporting.files import atomic_text
from replay.judgments import Judgments


def export_rre(
    judgments: Judgments, path: Path, *, index: str = "items", template: str = "query.json"
) -> int:
    """Write the ratings file; how many query groups. Grades of 0 are left out, as RRE reads them.

    Args:
        judgments: the grades.
        path: the file.
        index: what RRE loads and searches.
        template: name of the query template, with `$query` in it.

    Raises:
        InputError: the file cannot be written.
    """
    groups = [_group(query, graded, template) for query, graded in sorted(judgments.by_query.items())]
    body = {
        "index": index,
        "id_field": ITEM_ID,
        "topics": [
            {
                "description": "simulated judgments" if judgments.simulated else "judgments",
                "query_groups": groups,
            }
        ],
    }
    with atomic_text(path) as file:
        json.dump(body, file, indent=2, ensure_ascii=False)
        file.write("\n")
    return len(groups)


def _group(query: str, graded: dict[str, float], template: str) -> dict[str, Any]:
    by_gain: dict[str, list[str]] = defaultdict(list)
    for item_id, grade in sorted(graded.items()):
        if grade > 0:
            by_gain[f"{grade:.9g}"].append(item_id)
    return {
        "name": query,
        "queries": [{"template": template, "placeholders": {"$query": query}}],
        "relevant_documents": dict(sorted(by_gain.items(), key=lambda one: float(one[0]))),
    }
