"""Search with capture: serve a page under a profile, and keep what its replay needs.

A capture asks for two things in one `_msearch`: the page, and the most relevant documents of the base query.
Each comes from its own moment of the index; where a refresh falls between them, the relevance of an item in
both answers differs, and the pair is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from ranking import fields
from ranking.capture import OWN_FIELDS, CapturedItem, CaptureRecord, new_search_id
from ranking.errors import ServerError
from ranking.es import check_complete, server_errors
from ranking.native import Native
from ranking.profile import Execution, Profile
from ranking.query import REL_NAME, Scripts, search_body, window_body

_PAIR_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Page:
    """One served page."""

    items: tuple[CapturedItem, ...]  # in rank order
    total_hits: int | None  # None where the server did not count
    took_ms: int
    execution: Execution | None = None  # what served it


@dataclass(frozen=True, slots=True)
class Pair:
    """A page, and the most relevant documents that are not on it, from one moment of the index."""

    page: Page
    rest: tuple[CapturedItem, ...]
    rel_floor: float | None  # nothing outside is more relevant; None where every match is here
    n_shards: int


class Searcher:
    """Serves one profile on one index."""

    def __init__(
        self, es: Elasticsearch, index: str, profile: Profile, *, scripts: Scripts = "inline"
    ) -> None:
        self.es = es
        self.index = index
        self.profile = profile
        self.scripts = scripts
        self.native = Native()

    def search(
        self,
        text: str,
        *,
        now_ms: int,
        platform: str | None = None,
        size: int | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> Page:
        """The page at the clock `now_ms`, each hit with its components.

        Raises:
            ServerError: the server refused, or some shards did not answer.
        """
        profile = self.profile.for_platform(platform)
        return self.native.run(
            profile, lambda served: self._page(served, text, now_ms=now_ms, size=size, filters=filters)
        )

    def _page(
        self,
        served: Profile,
        text: str,
        *,
        now_ms: int,
        size: int | None,
        filters: Mapping[str, Any] | None,
    ) -> Page:
        body = search_body(served, text, now_ms=now_ms, size=size, filters=filters, scripts=self.scripts)
        with server_errors(f"search in {self.index}"):
            response = self.es.search(index=self.index, include_named_queries_score=True, **body)
        return read_page(response.body, served, size=body["size"])

    def capture(
        self,
        text: str,
        *,
        now_ms: int,
        platform: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        search_id: str | None = None,
        arm: str | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> CaptureRecord:
        """Serve the page and return its record.

        Raises:
            ServerError: the server refused, or the index is refreshed faster than a pair can be read.
        """
        pair = self.page_and_window(text, now_ms=now_ms, platform=platform, filters=filters)
        profile = self.profile.for_platform(platform)
        return CaptureRecord(
            search_id=search_id or new_search_id(),
            query=text,
            now_ms=now_ms,
            index=self.index,
            profile=profile.name,
            profile_hash=profile.hash,
            k=profile.k,
            total_hits=pair.page.total_hits,
            window=profile.window,
            rel_floor=pair.rel_floor,
            items=(*pair.page.items, *pair.rest),
            platform=platform,
            user_id=user_id,
            session_id=session_id,
            arm=arm,
            filters=dict(filters or {}),
            n_shards=pair.n_shards,
            took_ms=pair.page.took_ms,
            execution=pair.page.execution,
        )

    def page_and_window(
        self,
        text: str,
        *,
        now_ms: int,
        platform: str | None = None,
        size: int | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> Pair:
        """The page and the most relevant documents, both of the same moment of the index.

        Raises:
            ServerError: the server refused, or the index is refreshed faster than a pair can be read.
        """
        profile = self.profile.for_platform(platform)
        return self.native.run(
            profile, lambda served: self._pair(served, text, now_ms=now_ms, size=size, filters=filters)
        )

    def _pair(
        self,
        profile: Profile,
        text: str,
        *,
        now_ms: int,
        size: int | None,
        filters: Mapping[str, Any] | None,
    ) -> Pair:
        bodies = [
            search_body(profile, text, now_ms=now_ms, size=size, filters=filters, scripts=self.scripts),
            window_body(profile, text, now_ms=now_ms, size=profile.window, filters=filters),
        ]
        for _ in range(_PAIR_ATTEMPTS):
            served, window = self._msearch(bodies)
            page = read_page(served, profile, size=bodies[0]["size"])
            most_relevant = read_page(window, profile)
            if same_moment(page.items, most_relevant.items):
                break
        else:
            raise ServerError(
                "Elasticsearch",
                f"{self.index} changed between page and window {_PAIR_ATTEMPTS} times in a row",
                hint="raise index.refresh_interval, or capture on a quieter replica",
            )
        complete = len(most_relevant.items) < profile.window
        served_ids = {item.item_id for item in page.items}
        return Pair(
            page=page,
            rest=tuple(
                replace(item, rank=None, score=None)
                for item in most_relevant.items
                if item.item_id not in served_ids
            ),
            rel_floor=None if complete else most_relevant.items[-1].rel,
            n_shards=int(served["_shards"]["total"]),
        )

    def _msearch(self, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        searches = [part for body in bodies for part in ({"index": self.index}, body)]
        with server_errors(f"search in {self.index}"):
            response = self.es.msearch(searches=searches, include_named_queries_score=True)
        return list(response.body["responses"])


def read_page(response: Mapping[str, Any], profile: Profile, *, size: int | None = None) -> Page:
    """The page in a search response whose body came from `ranking.query` for `profile`.

    Args:
        response: the server's answer.
        profile: as it was served, resolved for its platform.
        size: hits that were asked for; where the server did not count and found fewer, they are all.

    Raises:
        ServerError: some shards did not answer, or a hit lacks what the body asked for.
    """
    check_complete(response)
    extras = tuple(name for name in profile.factor_fields if name not in OWN_FIELDS)
    hits = response["hits"]["hits"]
    items = tuple(_read_hit(hit, rank, extras) for rank, hit in enumerate(hits, start=1))
    return Page(items, _total(response["hits"], size), int(response.get("took", 0)), profile.execution)


def _total(hits: Mapping[str, Any], size: int | None) -> int | None:
    """How many documents matched; None where the server did not count them."""
    counted = hits.get("total")
    if counted and counted.get("relation", "eq") == "eq":
        return int(counted["value"])
    found = len(hits["hits"])
    return found if size is not None and found < size else None


def _read_hit(hit: Mapping[str, Any], rank: int, extras: Sequence[str]) -> CapturedItem:
    values = hit.get("fields", {})

    def first(name: str) -> Any:
        found = values.get(name)
        return found[0] if found else None

    item_id = first(fields.ITEM_ID)
    if item_id is None:
        raise ServerError(
            "Elasticsearch",
            f"a hit has no {fields.ITEM_ID} doc value",
            hint="index items through the toolkit's template (`rank-cli templates apply`)",
        )
    created = first(fields.CREATED_AT)
    price = first(fields.PRICE)
    return CapturedItem(
        item_id=item_id,
        rel=_f32(hit["matched_queries"][REL_NAME]),
        rank=rank,
        score=_f32(hit["_score"]),
        image_score=_optional_f32(first(fields.IMAGE_SCORE)),
        created_ms=None if created is None else int(created),
        category=first(fields.CATEGORY),
        price=None if price is None else float(price),
        ai_prob=_optional_f32(first(fields.AI_PROBABILITY)),
        extras={name: value for name in extras if (value := first(name)) is not None},
    )


def _f32(value: float | str) -> float:
    """The float32 the server held; it writes the shortest digits of a float, and infinity as a string."""
    return float(np.float32(float(value)))


def _optional_f32(value: float | None) -> float | None:
    return None if value is None else _f32(value)


def same_moment(page: Sequence[CapturedItem], window: Sequence[CapturedItem]) -> bool:
    """Whether the items that both hold have the same relevance, bit for bit."""
    rel = {item.item_id: item.rel for item in window}
    return all(rel.get(item.item_id, item.rel) == item.rel for item in page)
