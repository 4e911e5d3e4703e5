"""Features for a learning-to-rank trainer: SVMrank and LETOR lines, and the names of the features.

    3 qid:1 1:7.25 2:0.83 3:0.5 5:1 # i42 s17

One line a candidate: grade, group, features by number (from 1, ascending), item and search. A feature that a
candidate lacks is left out, which SVMrank reads as 0 and tree boosters as missing. `item_rank` is the place
of the candidate under the exported ranking: the paper's downstream ranker takes the boosted rank as an input.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.formula import score_parts
from replay.engine import Ranking
from replay.exporting.files import atomic_text
from replay.judgments import Judgments
from replay.log import CaptureLog

FEATURES = (
    "rel",
    "image_score",
    "image",
    "freshness",
    "age_days",
    "price",
    "ai_prob",
    "factors",
    "score",
    "item_rank",
)


def features(log: CaptureLog, ranking: Ranking) -> dict[str, NDArray[np.float64]]:
    """Each feature of every candidate, shape (n_candidates,); NaN where it lacks one.

    Args:
        log: the searches.
        ranking: gives the profile behind image term, freshness and factors, the score and the rank.

    Raises:
        InputError: a factor reads a field that was not captured.
    """
    now_ms = log.searches["now_ms"].astype(np.int64) + ranking.clock_shift_ms
    image, fresh, factors = (np.full(log.n_candidates, np.nan) for _ in range(3))
    for platform, searches in log.groups("platform"):
        profile = ranking.profile.for_platform(platform)
        if lacking := sorted(profile.factor_fields.keys() - log.docs.columns.keys()):
            raise InputError(
                f"profile {profile.name} reads {', '.join(lacking)}, which the log does not hold"
            )
        mine = log.candidates_of(searches)
        parts = score_parts(profile, log.docs[mine], now_ms[log.owner[mine]])
        image[mine], fresh[mine] = parts.image, parts.freshness
        factors[mine] = np.prod(parts.factors, axis=0) if parts.factors else 1.0
    return {
        "rel": log.docs.rel.astype(np.float64),
        "image_score": log.docs.image_score.astype(np.float64),
        "image": image,
        "freshness": fresh,
        "age_days": (now_ms[log.owner] - log.docs.created_ms) / DAY_MS,
        "price": log.price,
        "ai_prob": log.ai_prob.astype(np.float64),
        "factors": factors,
        "score": ranking.scores.astype(np.float64),
        "item_rank": np.where(ranking.ranks > 0, ranking.ranks, np.nan).astype(np.float64),
    }


def export_letor(
    log: CaptureLog,
    ranking: Ranking,
    judgments: Judgments,
    path: Path,
    *,
    unjudged: float | None = None,
    names: tuple[str, ...] = FEATURES,
) -> int:
    """Write the lines, and `PATH.features.json` with the names; how many lines.

    Args:
        log: the searches; those whose query has no judgment are left out.
        ranking: see `features`.
        judgments: the grades.
        path: the file.
        unjudged: grade of candidates nobody judged; None leaves them out.
        names: the features, in the order of their numbers.

    Raises:
        InputError: an unknown feature, or the file cannot be written.
    """
    if unknown := [name for name in names if name not in FEATURES]:
        raise InputError(f"{unknown[0]!r} is no feature; known are {', '.join(FEATURES)}")
    columns = features(log, ranking)
    table = np.column_stack([columns[name] for name in names])
    grades = judgments.grades(log)
    n = 0
    with atomic_text(path) as file:
        for i in range(len(log)):
            if not judgments.by_query.get(str(log.searches["query"][i])):
                continue
            search_id = str(log.searches["search_id"][i])
            for p in ranking.top(log, i, log.n_candidates):
                grade = unjudged if np.isnan(grades[p]) else float(grades[p])
                if grade is None:
                    continue
                comment = " ".join(f"{log.item_id[p]} {search_id}".split())
                file.write(f"{grade:.9g} qid:{i + 1} {_values(table[p])}# {comment}\n")
                n += 1
    with atomic_text(path.with_name(f"{path.name}.features.json")) as file:
        json.dump(_legend(names, ranking, judgments), file, indent=2)
        file.write("\n")
    return n


def _values(row: NDArray[np.float64]) -> str:
    present = np.flatnonzero(np.isfinite(row))
    return "".join(f"{j + 1}:{row[j]:.9g} " for j in present)


def _legend(names: tuple[str, ...], ranking: Ranking, judgments: Judgments) -> Mapping[str, Any]:
    return {
        "features": {str(j): name for j, name in enumerate(names, start=1)},
        "profile": ranking.profile.name,
        "profile_hash": ranking.profile.hash,
        "clock_shift_ms": ranking.clock_shift_ms,
        "simulated_judgments": judgments.simulated,
    }
