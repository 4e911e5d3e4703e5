"""Exact top-k at less than the cost of scoring every match, with its certificate.

A boost forbids Lucene to skip: every match is scored. A *window* serves the same page from the N most
relevant documents: a document outside is at most as relevant as the next one after the window, so it scores
at most `bound(rel_next)`. Where the k-th score is strictly above that, the page is proven. Where it is not, a
second pass scores only documents relevant enough to reach the k-th score (`min_score` on relevance): proof.

    full       every match is scored: one pass, always exact
    plugin     the native query of the optional plugin: one pass, always exact
    window     two searches in one round trip; a second pass where the certificate fails; always exact
    approximate  the window alone; says how far it is proven

The two searches of a window must see one state of the index, so they share a point in time, which is opened
once and used for about a second: a page is at most that much older than a plain search would give.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from elasticsearch import Elasticsearch
from elasticsearch.dsl import function
from elasticsearch.dsl import query as q

from ranking.capture import CapturedItem
from ranking.es import server_errors
from ranking.formula import bound
from ranking.native import Native, natively, scripted
from ranking.profile import Profile
from ranking.query import (
    TIE_POLICY,
    Scripts,
    base_query,
    boosted,
    docvalue_fields,
    filter_clauses,
    search_body,
)
from ranking.search import Page, read_page

Kind = Literal["full", "window", "approximate", "plugin"]
_TIES = 10  # hits fetched beyond k, so that equal scores at the edge can be ordered by item_id


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a page is found."""

    kind: Kind = "full"
    window: int = 1_000

    def __str__(self) -> str:
        return self.kind if self.kind in {"full", "plugin"} else f"{self.kind} {self.window}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """How far a page is proven to be what scoring every match would give."""

    certified: bool  # the whole page
    exact_k: int  # its first places that are proven
    strategy: str
    window: int | None  # documents of the window; None where every match was scored
    passes: int  # round trips


class PointInTime:
    """A point in time of an index, opened anew when it is older than `max_age_s`."""

    def __init__(self, es: Elasticsearch, index: str, max_age_s: float = 1.0, keep_alive: str = "1m") -> None:
        self._es, self._index, self._max_age_s, self._keep_alive = es, index, max_age_s, keep_alive
        self._lock = threading.Lock()
        self._id: str | None = None
        self._opened = 0.0

    def get(self) -> str:
        """Its id. An older one is left to expire by itself, so that searches under way keep theirs."""
        with self._lock:
            if self._id is None or time.monotonic() - self._opened > self._max_age_s:
                self._opened = time.monotonic()
                with server_errors(f"open a point in time of {self._index}"):
                    self._id = str(
                        self._es.open_point_in_time(index=self._index, keep_alive=self._keep_alive)["id"]
                    )
            return self._id

    def forget(self) -> None:
        """Open another one the next time; for one that the server no longer knows."""
        with self._lock:
            self._id = None

    def close(self) -> None:
        """Give it back."""
        with self._lock:
            if self._id is not None:
                self._es.options(ignore_status=404).close_point_in_time(id=self._id)
                self._id = None


class TopK:
    """Serves one profile (resolved for its platform) on one index by a strategy."""

    def __init__(
        self, es: Elasticsearch, index: str, profile: Profile, *, scripts: Scripts = "constant"
    ) -> None:
        self.es, self.index, self.profile, self.scripts = es, index, scripted(profile), scripts
        self._first = Strategy("plugin" if profile.execution == "plugin" else "full")
        self._native = Native()
        self.point_in_time = PointInTime(es, index)

    def search(
        self,
        text: str,
        *,
        now_ms: int,
        k: int | None = None,
        strategy: Strategy | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> tuple[Page, Certificate]:
        """The first k and how far they are proven.

        Raises:
            ServerError: the server refused, or some shards did not answer.
        """
        k = k or self.profile.k
        strategy = strategy or self._first
        clauses = filter_clauses(filters)
        if strategy.kind == "plugin":
            page = self._native.run(
                natively(self.profile), lambda served: self._whole(served, text, now_ms, k, filters)
            )
            ran = "plugin" if page.execution == "plugin" else "full"
            return page, Certificate(True, k, ran, None, 1)
        if strategy.kind == "full":
            page = self._whole(self.profile, text, now_ms, k, filters)
            return page, Certificate(True, k, "full", None, 1)
        window = max(strategy.window, k + _TIES)
        page, rel_next = self._window(text, now_ms, k, clauses, window)
        exact_k, kth = self._proven(page, k, rel_next)
        served = replace(page, items=page.items[:k])
        certificate = Certificate(exact_k >= min(k, len(served.items)), exact_k, str(strategy), window, 1)
        if certificate.certified or strategy.kind == "approximate":
            return served, certificate
        page = self._above(text, now_ms, k, clauses, kth)
        return page, Certificate(True, k, str(strategy), window, 2)

    def runs_natively(self, text: str, *, now_ms: int) -> bool:
        """Whether the cluster answers the native query; asking needs no more than `read`."""
        _page, certificate = self.search(text, now_ms=now_ms, strategy=Strategy("plugin"))
        return certificate.strategy == "plugin"

    def _whole(
        self, profile: Profile, text: str, now_ms: int, k: int, filters: Mapping[str, Any] | None
    ) -> Page:
        body = search_body(profile, text, now_ms=now_ms, size=k, filters=filters, scripts=self.scripts)
        with server_errors(f"search in {self.index}"):
            response = self.es.search(index=self.index, include_named_queries_score=True, **body)
        return read_page(response.body, profile, size=k)

    def _window(
        self, text: str, now_ms: int, k: int, clauses: list[q.Query], window: int
    ) -> tuple[Page, float | None]:
        """The window's best, more than k of them, and the relevance of the next document after the window."""
        named = base_query(self.profile.base_query, text, now_ms=now_ms, filters=clauses)
        again = base_query(self.profile.base_query, text, now_ms=now_ms, filters=clauses, named=False)
        rescore = boosted(self.profile, again, now_ms=now_ms, scripts=self.scripts).to_dict()
        pit = {"pit": {"id": self.point_in_time.get(), "keep_alive": "1m"}}
        page_body = {
            **pit,
            **self._parts(named, k + _TIES),
            "rescore": {
                "window_size": window,
                "query": {"rescore_query": rescore, "query_weight": 0.0, "rescore_query_weight": 1.0},
            },
        }
        next_body = {
            **pit,
            "query": again.to_dict(),
            "from": window,
            "size": 1,
            "track_total_hits": False,
            "stored_fields": "_none_",
        }
        with server_errors(f"search in {self.index}"):
            response = self.es.msearch(
                searches=[{}, page_body, {}, next_body], include_named_queries_score=True
            )
        found, after = response.body["responses"]
        page = read_page(found, self.profile)
        next_hits = after["hits"]["hits"]
        rel_next = float(np.float32(next_hits[0]["_score"])) if next_hits else None
        items = sorted(page.items, key=_by_score_then_id)
        return replace(page, items=tuple(items)), rel_next

    def _proven(self, page: Page, k: int, rel_next: float | None) -> tuple[int, float]:
        """How many places are proven, and the k-th score."""
        scores = [item.score or 0.0 for item in page.items]
        if len(scores) > k and scores[k - 1] == scores[-1]:
            return 0, scores[k - 1]  # more ties at the edge than were fetched
        if rel_next is None:
            return k, scores[k - 1] if len(scores) >= k else 0.0
        limit = float(bound(self.profile, np.array([rel_next], dtype=np.float32))[0])
        kth = scores[k - 1] if len(scores) >= k else 0.0
        return sum(score > limit for score in scores[:k]), kth

    def _above(self, text: str, now_ms: int, k: int, clauses: list[q.Query], kth: float) -> Page:
        """The first k among the documents relevant enough to reach the k-th score found so far."""
        base = base_query(self.profile.base_query, text, now_ms=now_ms, filters=clauses)
        enough = least_relevance(self.profile, kth)
        relevant = q.FunctionScore(query=base, functions=[function.SF({"weight": 1.0})], min_score=enough)
        query = boosted(self.profile, relevant, now_ms=now_ms, scripts=self.scripts)
        body = {
            "pit": {"id": self.point_in_time.get(), "keep_alive": "1m"},
            **self._parts(query, k),
            "sort": TIE_POLICY,
        }
        with server_errors(f"search in {self.index}"):
            response = self.es.search(include_named_queries_score=True, **body)
        return read_page(response.body, self.profile)

    def _parts(self, query: q.Query, size: int) -> dict[str, Any]:
        return {
            "query": query.to_dict(),
            "size": size,
            "track_total_hits": False,
            "docvalue_fields": docvalue_fields(self.profile),
            "stored_fields": "_none_",
        }


class Remembered:
    """How many documents matched a text the last time: head queries come again, and a full pass counts."""

    def __init__(self, size: int = 10_000) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._size = size
        self._lock = threading.Lock()

    def get(self, text: str) -> int | None:
        """Matches of `text` when it was last counted."""
        with self._lock:
            return self._counts.get(text)

    def put(self, text: str, n: int) -> None:
        """Remember; the oldest are forgotten."""
        with self._lock:
            self._counts[text] = n
            self._counts.move_to_end(text)
            if len(self._counts) > self._size:
                self._counts.popitem(last=False)


def least_relevance(profile: Profile, score: float) -> float:
    """The smallest float32 relevance with which a document can still reach `score`.

    `bound` never falls as relevance grows, so its inverse is found by halving over the float32 values.
    """
    low, high = 0, int(np.float32(np.finfo(np.float32).max).view(np.int32))
    target = np.float32(score)
    while low < high:
        middle = (low + high) // 2
        rel = np.array([middle], dtype=np.int32).view(np.float32)
        if bound(profile, rel)[0] >= target:
            high = middle
        else:
            low = middle + 1
    return float(np.array([low], dtype=np.int32).view(np.float32)[0])


def _by_score_then_id(item: CapturedItem) -> tuple[float, str]:
    return -(item.score or 0.0), item.item_id
