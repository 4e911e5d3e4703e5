"""Values out of their range, field by field: NaN relevance, image scores beyond [0, 1], negative prices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from replay.checks.check import Check, found
from replay.imported import shown_only, without_profile
from replay.log import CaptureLog


def values(log: CaptureLog) -> list[Check]:
    """One check a field."""
    bare = shown_only(log)
    rel, score = log.docs.rel, log.score
    logged = (log.rank > 0) & ~(without_profile(log)[log.owner] & np.isnan(score))  # others may log none
    price, created = log.price, log.docs.created_ms
    finite = "finite and >= 0"
    with np.errstate(invalid="ignore"):
        return [
            _check(log, "rel", rel, bad=_negative(rel), among=~bare[log.owner], range_=finite),
            _check(log, "score", score, bad=_negative(score), among=logged, range_=finite),
            _between(log, "image_score", log.docs.image_score),
            _between(log, "ai_prob", log.ai_prob),
            _check(log, "price", price, bad=_negative(price), among=~np.isnan(price), range_=finite),
            _check(
                log, "created_ms", created, bad=created <= 0, among=~np.isnan(created), range_="after 1970"
            ),
        ]


def _negative(data: NDArray[Any]) -> NDArray[np.bool_]:
    bad: NDArray[np.bool_] = ~((data >= 0) & np.isfinite(data))
    return bad


def _between(log: CaptureLog, field: str, data: NDArray[Any]) -> Check:
    bad = ~((data >= 0) & (data <= 1))
    return _check(log, field, data, bad=bad, among=~np.isnan(data), range_="in [0, 1]")


def _check(
    log: CaptureLog,
    field: str,
    data: NDArray[Any],
    *,
    bad: NDArray[np.bool_],
    among: NDArray[np.bool_],
    range_: str,
) -> Check:
    wrong = np.flatnonzero(among & bad)
    n = int(among.sum())
    return found(
        f"values of {field}",
        len(wrong),
        n,
        f"{len(wrong)} of {n} values of {field} are not {range_}",
        fine=f"every value of {field} is {range_}",
        examples=(
            f"{log.item_id[p]} in search {log.searches['search_id'][log.owner[p]]}: {data[p]}" for p in wrong
        ),
    )
