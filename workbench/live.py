"""One live search under two profiles: the page of each, and the most relevant documents behind it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from elasticsearch import Elasticsearch

from ranking import fields
from ranking.capture import CapturedItem
from ranking.clock import now_ms as this_moment
from ranking.errors import InputError
from ranking.es import server_errors
from ranking.profile import Profile
from ranking.search import Pair, Searcher
from workbench.answers import Candidate, Side, two_sides
from workbench.asked import LiveSearch
from workbench.catalog import Catalog
from workbench.moved import moved

_MOST_SEARCHERS = 64
_MOST_CATEGORIES = 200


class Live:
    """Searches on one index."""

    def __init__(self, cluster: Callable[[], Elasticsearch], index: str, catalog: Catalog) -> None:
        self._cluster, self.index, self._catalog = cluster, index, catalog
        self._searchers: dict[str, Searcher] = {}

    def compare(self, asked: LiveSearch) -> dict[str, Any]:
        """Both sides at one clock.

        Raises:
            RankError: no such profile or field, or the cluster refused.
        """
        es = self._cluster()
        now_ms = (this_moment() if asked.at_ms is None else asked.at_ms) + asked.shift_ms
        baseline, contender = self._catalog.find(asked.baseline), self._catalog.find(asked.contender)
        labels = (baseline.label, contender.label)
        own = [choice.profile.for_platform(asked.platform) for choice in (baseline, contender)]
        profiles = (own[0], moved(contender.profile, asked.sliders).for_platform(asked.platform))
        self._check_filters(es, asked)
        with ThreadPoolExecutor(2) as both:
            pairs = both.map(lambda profile: self._ask(es, profile, asked, now_ms), profiles)
            sides = [_side(*parts) for parts in zip(labels, profiles, own, pairs, strict=True)]
        return two_sides((sides[0], sides[1]), kind="live", now_ms=now_ms, k=asked.k, index=self.index)

    def categories(self) -> list[str]:
        """The most frequent categories of the index.

        Raises:
            ServerError: the cluster refused.
        """
        terms = {"terms": {"field": fields.CATEGORY, "size": _MOST_CATEGORIES}}
        with server_errors(f"categories of {self.index}"):
            answer = self._cluster().search(index=self.index, size=0, aggregations={"categories": terms})
        return [str(one["key"]) for one in answer["aggregations"]["categories"]["buckets"]]

    def _ask(self, es: Elasticsearch, profile: Profile, asked: LiveSearch, now_ms: int) -> Pair:
        if len(self._searchers) > _MOST_SEARCHERS:
            self._searchers.clear()
        searcher = self._searchers.setdefault(profile.hash, Searcher(es, self.index, profile))
        return searcher.page_and_window(asked.query, now_ms=now_ms, size=asked.k, filters=asked.filters)

    def _check_filters(self, es: Elasticsearch, asked: LiveSearch) -> None:
        """A filter on a field that is not there would silently find nothing."""
        if not asked.filters:
            return
        with server_errors(f"fields of {self.index}"):
            known = es.field_caps(index=self.index, fields=list(asked.filters))["fields"]
        unknown = [name for name in asked.filters if name not in known]
        if unknown:
            raise InputError(
                f"{self.index} has no field {unknown[0]!r}",
                hint="filters are written field=value, with commas",
            )


def _side(label: str, profile: Profile, own: Profile, pair: Pair) -> Side:
    page = pair.page
    return Side(
        label=label,
        profile=profile,
        own=own,
        candidates=[_candidate(item, profile) for item in (*page.items, *pair.rest)],
        rel_floor=pair.rel_floor,
        found=[item.item_id for item in page.items],
        scores=[float(item.score or 0.0) for item in page.items],
        exact_k=None,
        more={
            "took_ms": page.took_ms,
            "total_hits": page.total_hits,
            "execution": page.execution or profile.execution,
        },
    )


def _candidate(item: CapturedItem, profile: Profile) -> Candidate:
    own: dict[str, str | float | None] = {
        fields.CATEGORY: item.category,
        fields.PRICE: item.price,
        fields.AI_PROBABILITY: item.ai_prob,
    }
    return Candidate(
        item_id=item.item_id,
        rel=item.rel,
        image_score=item.image_score,
        created_ms=item.created_ms,
        ai_prob=item.ai_prob,
        price=item.price,
        columns={name: own[name] if name in own else item.extras.get(name) for name in profile.factor_fields},
    )


__all__ = ["Live"]
