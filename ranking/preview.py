"""What a profile would change, on sample queries, against another at the same clock."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from ranking import fields
from ranking.capture import CapturedItem
from ranking.clock import DAY_MS
from ranking.es import server_errors
from ranking.profile import Profile
from ranking.search import Searcher

DEPTH = 100  # hits in which a moved item's rank is looked for
Grades = Mapping[str, Mapping[str, float]]  # by query text, then item_id; 0 is not relevant
BeforeAfter = tuple[float, float]  # baseline, contender


@dataclass(frozen=True, slots=True)
class Move:
    """An item on either page whose rank changes; None where it is not among the first `DEPTH`."""

    item_id: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class QueryPreview:
    """One sample query under baseline and contender, at the first k."""

    query: str
    k: int
    hits: int | None  # None where they were not counted
    entered: tuple[str, ...]  # on the contender's page, not on the baseline's
    left: tuple[str, ...]  # the other way round
    moves: tuple[Move, ...]  # of every item on either page whose rank changes
    changed: float  # share of the contender's page that entered
    image_score: BeforeAfter  # means at k; unscored items are left out
    freshness: BeforeAfter  # mean factor at k, under one curve for both: the contender's, else the baseline's
    age_days: BeforeAfter
    ai_share: BeforeAfter  # share of the page that is probably AI-generated
    ndcg: BeforeAfter | None = None  # nDCG@k; None where the query has no relevant judgment
    judged: BeforeAfter | None = None  # share of the page that has a grade

    def row(self) -> dict[str, Any]:
        """As one line of a table."""
        both = [move for move in self.moves if move.before and move.after]
        farthest = max(both, key=lambda m: abs((m.before or 0) - (m.after or 0)), default=None)
        row: dict[str, Any] = {
            "query": self.query,
            "hits": "" if self.hits is None else self.hits,
            "entered": len(self.entered),
            "moved": len(self.moves) - len(self.entered) - len(self.left),
            "farthest": f"{farthest.before} → {farthest.after}" if farthest else "",
            "image score": _arrow(self.image_score, 3),
            "freshness": _arrow(self.freshness, 3),
            "age days": _arrow(self.age_days, 1),
        }
        if any(self.ai_share):
            row["AI share"] = _arrow(self.ai_share, 2)
        if self.ndcg is not None:
            row[f"nDCG@{self.k}"] = _arrow(self.ndcg, 3)
        return row

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Change:
    """A mean difference over queries with its 95 % interval (t, n - 1 degrees of freedom)."""

    n: int
    baseline: float
    contender: float
    delta: float
    low: float | None  # None where there are fewer than two queries
    high: float | None

    def __str__(self) -> str:
        within = "" if self.low is None else f" [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.delta:+.3f}{within}"


@dataclass(frozen=True, slots=True)
class Preview:
    """All sample queries together."""

    k: int
    rows: tuple[QueryPreview, ...]
    changes: Mapping[str, Change] = field(default_factory=dict)  # by measure, such as nDCG@10

    @property
    def changed(self) -> float:
        """Mean share of the first k that entered."""
        return float(np.mean([row.changed for row in self.rows])) if self.rows else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return {
            "k": self.k,
            "changed": self.changed,
            "changes": {name: asdict(change) for name, change in self.changes.items()},
            "queries": [row.as_dict() for row in self.rows],
        }


def preview(
    es: Elasticsearch,
    index: str,
    baseline: Profile,
    contender: Profile,
    queries: Sequence[str],
    *,
    now_ms: int,
    platform: str | None = None,
    k: int = 10,
    grades: Grades | None = None,
) -> Preview:
    """Serve each query under both profiles and compare the first k; changes nothing.

    Args:
        es: the cluster.
        index: index or alias of the items.
        baseline: what is live.
        contender: what might be.
        queries: sample queries.
        now_ms: one clock for all, epoch ms.
        platform: whose overrides apply.
        k: how much of the page is compared.
        grades: judgments, where there are any.

    Raises:
        ServerError: the cluster refused a search.
    """
    before, after = baseline.for_platform(platform), contender.for_platform(platform)
    rows = []
    for query in queries:
        pages = [
            Searcher(es, index, side).search(query, now_ms=now_ms, size=max(k, DEPTH))
            for side in (before, after)
        ]
        rows.append(
            compare_pages(
                query,
                (pages[0].items, pages[1].items),
                (before, after),
                now_ms=now_ms,
                k=k,
                hits=pages[0].total_hits,
                grades=(grades or {}).get(query),
            )
        )
    return Preview(k, tuple(rows), _changes(rows, k))


def compare_pages(
    query: str,
    pages: tuple[Sequence[CapturedItem], Sequence[CapturedItem]],
    sides: tuple[Profile, Profile],
    *,
    now_ms: int,
    k: int,
    hits: int | None,
    grades: Mapping[str, float] | None = None,
) -> QueryPreview:
    """One query's pages, in rank order and deeper than k, compared at k."""
    tops = [page[:k] for page in pages]
    ranks = [{item.item_id: i for i, item in enumerate(page, start=1)} for page in pages]
    shown = [{item.item_id for item in top} for top in tops]
    either = dict.fromkeys([item.item_id for item in tops[1]] + [item.item_id for item in tops[0]])
    moves = [Move(one, ranks[0].get(one), ranks[1].get(one)) for one in either]
    entered = tuple(item.item_id for item in tops[1] if item.item_id not in shown[0])
    baseline, contender = sides
    curve = contender.freshness or baseline.freshness
    rule = contender.image.ai_generated or baseline.image.ai_generated
    above = rule.above if rule else 0.5

    def pair(measure: Any) -> BeforeAfter:
        return (measure(tops[0]), measure(tops[1]))

    def fresh(top: Sequence[CapturedItem]) -> float:
        dates = np.array([np.nan if item.created_ms is None else item.created_ms for item in top])
        return float(curve.score(dates, now_ms).mean()) if curve and len(top) else 1.0

    ideal = _dcg(sorted((grades or {}).values(), reverse=True)[:k])
    return QueryPreview(
        query=query,
        k=k,
        hits=hits,
        entered=entered,
        left=tuple(item.item_id for item in tops[0] if item.item_id not in shown[1]),
        moves=tuple(move for move in moves if move.before != move.after),
        changed=len(entered) / max(1, len(tops[1])),
        image_score=pair(lambda top: _mean(item.image_score for item in top)),
        freshness=pair(fresh),
        age_days=pair(
            lambda top: _mean(
                None if item.created_ms is None else (now_ms - item.created_ms) / DAY_MS for item in top
            )
        ),
        ai_share=pair(lambda top: _mean(float((item.ai_prob or 0.0) > above) for item in top)),
        ndcg=pair(lambda top: _dcg([(grades or {}).get(item.item_id, 0.0) for item in top]) / ideal)
        if ideal > 0
        else None,
        judged=pair(lambda top: _mean(float(item.item_id in (grades or {})) for item in top))
        if ideal > 0
        else None,
    )


def sample_queries(es: Elasticsearch, index: str, n: int = 10) -> list[str]:
    """Queries where the user gives none: the first two words of titles drawn from the index.

    The draw is the same at every call on an unchanged index.
    """
    with server_errors(f"draw titles from {index}"):
        response = es.search(
            index=index,
            size=n,
            query={"function_score": {"random_score": {"seed": 7, "field": fields.ITEM_ID}}},
            source_includes=[fields.TITLE],
        )
    titles = [hit["_source"].get(fields.TITLE, "") for hit in response["hits"]["hits"]]
    words = (re.findall(r"\w+", title.lower())[:2] for title in titles)
    return list(dict.fromkeys(" ".join(found) for found in words if found))


def _changes(rows: Sequence[QueryPreview], k: int) -> dict[str, Change]:
    pairs: dict[str, list[BeforeAfter]] = {
        f"image_score@{k}": [row.image_score for row in rows],
        f"freshness@{k}": [row.freshness for row in rows],
        f"ai_share@{k}": [row.ai_share for row in rows],
        f"nDCG@{k}": [row.ndcg for row in rows if row.ndcg is not None],
        f"Judged@{k}": [row.judged for row in rows if row.judged is not None],
    }
    return {name: _change(values) for name, values in pairs.items() if values}


def _change(pairs: Sequence[BeforeAfter]) -> Change:
    from scipy import stats

    values = np.array(pairs)
    delta = values[:, 1] - values[:, 0]
    mean, n = float(delta.mean()), len(delta)
    half = None
    if n > 1:
        half = float(stats.t.ppf(0.975, n - 1) * delta.std(ddof=1) / math.sqrt(n))
    before, after = (float(v) for v in values.mean(axis=0))
    if half is None:
        return Change(n, before, after, mean, None, None)
    return Change(n, before, after, mean, mean - half, mean + half)


def _dcg(gains: Sequence[float]) -> float:
    """The gain is the grade, the discount log2(rank + 1), as in trec_eval."""
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _mean(values: Any) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else 0.0


def _arrow(pair: BeforeAfter, digits: int) -> str:
    return f"{pair[0]:.{digits}f} → {pair[1]:.{digits}f}"
