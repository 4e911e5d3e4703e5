"""Two models' scores of the same items compared, before a switch: has the distribution moved, and the order?

Where it moved, a boost weight means something else with the new model. `scorer calibrate --like` puts the new
model on the old one's scale; what that would give is estimated here: the map is fitted on one half of the
items, and applied to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from elasticsearch import Elasticsearch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ranking import fields
from ranking.errors import InputError
from ranking.paging import pages
from ranking.score_fields import LIVE, NEXT, PREVIOUS, ScoreFields
from scorer.backfill.read import count_items
from scorer.backfill.scope import MOST_SLICES, Slice
from scorer.calibration import Drift, drift, fit_score_map

Array = NDArray[np.float64]
_PAGE: Final = 5_000
ALL: Final = "all"
LEAST: Final = 30  # items of a category that get a row


@dataclass(frozen=True, slots=True)
class Pairs:
    """The same items under two models."""

    old_version: str
    new_version: str
    old: Array  # (n,), scores in [0, 1]
    new: Array  # (n,)
    categories: tuple[str, ...]  # of each item; "" where it has none
    on_sale: int  # items on sale
    with_new: int  # of these, with a score of the new version
    with_both: int  # of these, with one of the old version too


@dataclass(frozen=True, slots=True)
class Compared:
    """One row: all items, or one category."""

    category: str
    n: int
    old_mean: float
    new_mean: float
    drift: Drift
    spearman: float  # of the two models' order; 1 where it is the same

    def to_dict(self) -> dict[str, Any]:
        """For printing."""
        return {
            "category": self.category,
            "n": self.n,
            "old_mean": round(self.old_mean, 4),
            "new_mean": round(self.new_mean, 4),
            "psi": round(self.drift.psi, 4),
            "ks": round(self.drift.ks, 4),
            "p_value": float(f"{self.drift.p_value:.3g}"),
            "verdict": self.drift.verdict,
            "spearman": round(self.spearman, 4),
        }


def read_pairs(
    es: Elasticsearch,
    index: str,
    *,
    new: ScoreFields = NEXT,
    new_version: str,
    most: int = 100_000,
    advance: Callable[[int], object] = lambda _n: None,
) -> Pairs:
    """Old and new scores of items on sale; where there are more than `most`, of a part drawn by hash.

    Args:
        es: a client.
        index: index or alias.
        new: NEXT before a switch; LIVE after it, against PREVIOUS.
        new_version: version of the new scores.
        most: items to read, about.
        advance: told how many more are read.

    Raises:
        InputError: fewer than two items hold both scores.
    """
    old = LIVE if new is NEXT else PREVIOUS
    on_sale = {"term": {fields.STATUS: fields.ON_SALE}}
    ours = {"term": {new.version: new_version}}
    both: dict[str, Any] = {"bool": {"filter": [on_sale, ours, {"exists": {"field": old.version}}]}}
    n_both = count_items(es, index, both)
    if n_both < 2:
        raise InputError(
            f"{n_both} items of {index} hold scores of both models: there is nothing to compare",
            hint="run `rank-cli ingest backfill --into next` first",
        )
    found: list[tuple[str, float, float, str]] = []
    parts = min(max(n_both // most, 1), MOST_SLICES)
    for row in _rows(es, index, both, (old, new), parts):
        found.append(row)
        advance(1)
    versions = sorted({row[0] for row in found})
    return Pairs(
        old_version=", ".join(versions),
        new_version=new_version,
        old=np.array([row[1] for row in found]),
        new=np.array([row[2] for row in found]),
        categories=tuple(row[3] for row in found),
        on_sale=count_items(es, index, on_sale),
        with_new=count_items(es, index, {"bool": {"filter": [on_sale, ours]}}),
        with_both=n_both,
    )


def _rows(
    es: Elasticsearch, index: str, query: Any, models: tuple[ScoreFields, ScoreFields], parts: int
) -> Iterator[tuple[str, float, float, str]]:
    """(old version, old score, new score, category) of the first of `parts` slices."""
    old, new = models
    wanted = [{"field": name} for name in (old.version, old.score, new.score, fields.CATEGORY)]
    found = pages(
        es,
        index,
        query,
        size=_PAGE,
        slice=Slice(0, parts).to_dict(),
        source=False,
        docvalue_fields=wanted,
        stored_fields="_none_",
    )
    for hits in found:
        for hit in hits:
            held = hit["fields"]
            if old.score in held and new.score in held:
                category = held.get(fields.CATEGORY, [""])[0]
                yield held[old.version][0], held[old.score][0], held[new.score][0], category


def compare_pairs(pairs: Pairs) -> list[Compared]:
    """All items first, then each category of at least `LEAST` items."""
    named = np.asarray(pairs.categories)
    rows = [_row(ALL, pairs.old, pairs.new)]
    for category in np.unique(named[named != ""]):
        chosen = named == category
        if chosen.sum() >= LEAST:
            rows.append(_row(str(category), pairs.old[chosen], pairs.new[chosen]))
    return rows


def _row(category: str, old: Array, new: Array) -> Compared:
    order = spearmanr(old, new).statistic if np.ptp(old) and np.ptp(new) else float("nan")
    return Compared(category, len(old), float(old.mean()), float(new.mean()), drift(old, new), float(order))


def psi_after_map(pairs: Pairs) -> float | None:
    """PSI that `scorer calibrate --like` would leave, on items that its map has not seen.

    None where there are too few items, or nothing to map.
    """
    import torch

    even = np.arange(len(pairs.old)) % 2 == 0
    try:
        score_map = fit_score_map(pairs.new[even], pairs.old[even])
    except InputError:
        return None
    mapped = score_map(torch.from_numpy(pairs.new[~even])).numpy()
    return drift(pairs.old[~even], mapped).psi


__all__ = ["ALL", "LEAST", "Compared", "Pairs", "compare_pairs", "psi_after_map", "read_pairs"]
