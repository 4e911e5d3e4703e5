"""Bodies for Elasticsearch's `_rank_eval`: the very query of a profile, at the logged clock, with ratings.

One request a search. Ratings are by `_id`, which the toolkit's indices share with `item_id`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ranking.profile import Profile
from ranking.query import boosted_query, filter_clauses
from replay.exporting.files import atomic_text
from replay.judgments import Judgments
from replay.log import CaptureLog


def rank_eval_body(
    log: CaptureLog, judgments: Judgments, profile: Profile, *, k: int = 10, index: str | None = None
) -> dict[str, Any]:
    """The body of one `_rank_eval` call, whose metric is nDCG@k.

    Args:
        log: the searches; those without a judged item are left out, since the server would refuse them.
        judgments: the grades; `_rank_eval` takes whole ones, so others are rounded to the nearest.
        profile: what is evaluated, not yet resolved for a platform.
        k: length of the page.
        index: where the rated documents are; the logged index by default.
    """
    requests = []
    for i in range(len(log)):
        query = str(log.searches["query"][i])
        graded = judgments.by_query.get(query)
        if not graded:
            continue
        found = boosted_query(
            profile.for_platform(log.searches["platform"][i]),
            query,
            now_ms=int(log.searches["now_ms"][i]),
            filters=filter_clauses(log.filters(i)),
        )
        where = index or str(log.searches["index"][i])
        requests.append(
            {
                "id": str(log.searches["search_id"][i]),
                "request": {"query": found.to_dict()},
                "ratings": [
                    {"_index": where, "_id": item_id, "rating": round(grade)}
                    for item_id, grade in sorted(graded.items())
                ],
            }
        )
    return {"requests": requests, "metric": {"dcg": {"k": k, "normalize": True}}}


def export_rank_eval(
    log: CaptureLog,
    judgments: Judgments,
    profile: Profile,
    path: Path,
    *,
    k: int = 10,
    index: str | None = None,
) -> int:
    """Write the body as a file; how many requests it holds.

    Raises:
        InputError: the file cannot be written.
    """
    body = rank_eval_body(log, judgments, profile, k=k, index=index)
    with atomic_text(path) as file:
        json.dump(body, file, ensure_ascii=False)
        file.write("\n")
    return len(body["requests"])
