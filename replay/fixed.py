"""One point in time of an index: every search in it sees the same documents and the same statistics.

Relevance moves with every update and merge, so what is to be compared is asked here. Candidates come by
relevance: all documents at least so relevant, or the most relevant ones, however many pages that takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final

from elasticsearch import Elasticsearch

from ranking.capture import CapturedItem
from ranking.clock import now_ms as wall_clock_ms
from ranking.es import server_errors
from ranking.native import scripted
from ranking.profile import Profile
from ranking.query import TIE_POLICY, base_query, boosted, docvalue_fields, filter_clauses
from ranking.search import Page, read_page

_KEEP_ALIVE: Final = "5m"  # from one search to the next
_PAGE: Final = 10_000  # the most hits that one answer holds by default


class FixedIndex:
    """A point in time, opened and closed as a context manager.

    Args:
        es: the cluster.
        index: index or alias.
        reads: profiles whose fields each hit brings along.
    """

    def __init__(self, es: Elasticsearch, index: str, reads: Sequence[Profile]) -> None:
        self._es, self.index = es, index
        self._reads = reading(reads)
        self._id: str | None = None
        self.opened_ms = 0

    def __enter__(self) -> FixedIndex:
        self.opened_ms = wall_clock_ms()
        with server_errors(f"open a point in time of {self.index}"):
            self._id = str(self._es.open_point_in_time(index=self.index, keep_alive=_KEEP_ALIVE)["id"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._id is not None:
            self._es.options(ignore_status=404).close_point_in_time(id=self._id)
            self._id = None

    def page(
        self,
        profile: Profile,
        text: str,
        *,
        now_ms: int,
        size: int | None = None,
        filters: Mapping[str, Any] | None = None,
        created_until_ms: int | None = None,
    ) -> Page:
        """The page of a profile (resolved for its platform), every match scored, so that they are counted.

        Args:
            profile: the formula and its base query.
            text: the query.
            now_ms: the clock of freshness.
            size: hits; the profile's k by default.
            filters: as in a capture.
            created_until_ms: nothing created later; the clock by default.

        Raises:
            ServerError: the server refused, or some shards did not answer.
        """
        until = now_ms if created_until_ms is None else created_until_ms
        base = base_query(profile.base_query, text, now_ms=until, filters=filter_clauses(filters))
        return self._search(boosted(scripted(profile), base, now_ms=now_ms).to_dict(), size or profile.k)

    def most_relevant(
        self,
        profile: Profile,
        text: str,
        *,
        now_ms: int,
        filters: Mapping[str, Any] | None = None,
        least_rel: float = 0.0,
        most: int = _PAGE,
    ) -> tuple[list[CapturedItem], bool]:
        """Documents by relevance: those of at least `least_rel` (float32), the first `most` of them.

        Returns:
            items, most relevant first, neither ranked nor scored; and whether these are all of them.
        """
        query = base_query(profile.base_query, text, now_ms=now_ms, filters=filter_clauses(filters)).to_dict()
        found: list[CapturedItem] = []
        after: list[Any] | None = None
        while len(found) < most:
            size = min(_PAGE, most - len(found))
            body: dict[str, Any] = {"query": query}
            if after:
                body["search_after"] = after
            if least_rel > 0:
                body["min_score"] = least_rel
            response = self._ask(body, size)
            hits = response["hits"]["hits"]
            found += [unserved(item) for item in read_page(response, self._reads).items]
            if len(hits) < size:
                return found, True
            after = hits[-1]["sort"]
        return found, False

    def _search(self, query: Mapping[str, Any], size: int) -> Page:
        return read_page(self._ask({"query": query, "track_total_hits": True}, size), self._reads)

    def _ask(self, body: Mapping[str, Any], size: int) -> dict[str, Any]:
        whole = {
            "track_total_hits": False,
            **body,
            "pit": {"id": self._id, "keep_alive": _KEEP_ALIVE},
            "size": size,
            "sort": TIE_POLICY,
            "docvalue_fields": docvalue_fields(self._reads),
            "stored_fields": "_none_",
        }
        with server_errors(f"search in {self.index}"):
            response = self._es.search(include_named_queries_score=True, **whole)
        return dict(response.body)


def reading(profiles: Sequence[Profile]) -> Profile:
    """A profile that reads the fields of all: what each hit has to bring along."""
    factors = {factor.field: factor for profile in profiles for factor in profile.factors}
    return profiles[0].model_copy(update={"factors": tuple(factors.values())})


def unserved(item: CapturedItem) -> CapturedItem:
    """An item that is a candidate, on no page."""
    return replace(item, rank=None, score=None)
