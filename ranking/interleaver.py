"""Serves and captures interleaved pages: several profiles' pages of one moment and clock, drafted into one.

The record is the first profile's (its hash, its scores on the items of its own page). Each item carries

    x.team           the profile that it was drafted for, as in UBI's event_attributes; none where nobody's
    x.interleaved    on shown items: the method, and profiles with hashes, `team-draft control:… boosted:…`
    x.rank.PROFILE   its place on that profile's page
    x.formula_rank   its place on the first profile's page (what `replay verify` compares)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from elasticsearch import Elasticsearch

from ranking.capture import CapturedItem, CaptureRecord
from ranking.draw import FORMULA_RANK, INTERLEAVED, RANK_OF, TEAM, uniforms
from ranking.errors import InputError
from ranking.es import server_errors
from ranking.interleaving import Method, draft
from ranking.native import scripted
from ranking.profile import Profile
from ranking.query import Scripts, search_body, window_body
from ranking.search import Page, Pair, Searcher, read_page
from ranking.topk import PointInTime


class Interleaver(Searcher):
    """A searcher whose captured pages are drafted from several profiles; a search id always drafts the same.

    The first profile is the baseline. Profiles must ask the same base query, since relevance is captured
    once; their names must differ.
    """

    def __init__(
        self,
        es: Elasticsearch,
        index: str,
        profiles: Sequence[Profile],
        *,
        method: Method = "team-draft",
        salt: str = "interleave",
        depth: int = 10,
        scripts: Scripts = "inline",
    ) -> None:
        names = [profile.name for profile in profiles]
        if len(set(names)) < len(names):
            raise InputError(f"interleaved profiles need different names, got {', '.join(names)}")
        for other in profiles[1:]:
            if other.base_query != profiles[0].base_query:
                raise InputError(
                    f"{other.name} asks another base query than {profiles[0].name}",
                    hint="interleave profiles that differ in their boosts, or compare arms of users",
                )
        super().__init__(es, index, profiles[0], scripts=scripts)
        self.profiles = profiles
        self.method, self.salt, self.depth = method, salt, depth
        self.point_in_time = PointInTime(es, index)

    def capture(self, text: str, **visit: Any) -> CaptureRecord:
        """Serve an interleaved page and return its record; arguments as of `Searcher.capture`.

        Raises:
            ServerError: the server refused, or some shards did not answer.
        """
        record = super().capture(text, **visit)
        profiles = [profile.for_platform(record.platform) for profile in self.profiles]
        pages = {profile.name: _places(record.items, profile.name) for profile in profiles}
        drafted = draft(self.method, pages, record.k, uniforms(self.salt, record.search_id), depth=self.depth)
        how = " ".join([self.method, *(f"{profile.name}:{profile.hash}" for profile in profiles)])
        known = {item.item_id: item for item in record.items}
        shown = []
        for rank, (item_id, team) in enumerate(zip(drafted.items, drafted.teams, strict=True), start=1):
            item = known.pop(item_id)
            labels = {INTERLEAVED: how} | ({TEAM: team} if team is not None else {})
            shown.append(replace(item, rank=rank, extras={**item.extras, **labels}))
        hidden = (replace(item, rank=None, score=None) for item in known.values())
        return replace(record, items=(*shown, *hidden))

    def page_and_window(
        self,
        text: str,
        *,
        now_ms: int,
        platform: str | None = None,
        size: int | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> Pair:
        """The first profile's page, and all other items; each with its place on every profile's page.

        All are of one point in time, in one `_msearch`.

        Raises:
            ServerError: the server refused, or some shards did not answer.
        """
        profiles = [profile.for_platform(platform) for profile in self.profiles]
        natives = [profile for profile in profiles if profile.execution == "plugin"]
        pages, window, n_shards = self.native.run(
            natives[0] if natives else profiles[0],
            lambda served: self._ask(
                profiles if served.execution == "plugin" else [scripted(profile) for profile in profiles],
                text,
                now_ms,
                size or profiles[0].k,
                filters,
            ),
        )
        places: dict[str, dict[str, float]] = {}
        for profile, page in zip(profiles, pages, strict=True):
            for place, item in enumerate(page.items, start=1):
                places.setdefault(item.item_id, {})[RANK_OF + profile.name] = float(place)
                if page is pages[0]:
                    places[item.item_id][FORMULA_RANK] = float(place)
        everything = {item.item_id: item for page in (*pages, window) for item in page.items}
        everything |= {item.item_id: item for item in pages[0].items}  # with the score of the first profile
        placed = {
            item_id: replace(item, extras={**item.extras, **places.get(item_id, {})})
            for item_id, item in everything.items()
        }
        own = [placed.pop(item.item_id) for item in pages[0].items]
        complete = len(window.items) < profiles[0].window
        return Pair(
            page=replace(pages[0], items=tuple(own)),
            rest=tuple(replace(item, rank=None, score=None) for item in placed.values()),
            rel_floor=None if complete else window.items[-1].rel,
            n_shards=n_shards,
        )

    def close(self) -> None:
        """Give the point in time back."""
        self.point_in_time.close()

    def _ask(
        self,
        profiles: Sequence[Profile],
        text: str,
        now_ms: int,
        size: int,
        filters: Mapping[str, Any] | None,
    ) -> tuple[list[Page], Page, int]:
        """Every profile's page, the first profile's window and the number of shards, of one point in time."""
        bodies = [
            search_body(profile, text, now_ms=now_ms, filters=filters, size=size, scripts=self.scripts)
            for profile in profiles
        ]
        bodies.append(window_body(profiles[0], text, now_ms=now_ms, size=profiles[0].window, filters=filters))
        fields = {str(field): field for body in bodies for field in body["docvalue_fields"]}
        pit = {"pit": {"id": self.point_in_time.get(), "keep_alive": "1m"}}
        searches = [
            part for body in bodies for part in ({}, {**body, **pit, "docvalue_fields": [*fields.values()]})
        ]
        with server_errors(f"search in {self.index}"):
            response = self.es.msearch(searches=searches, include_named_queries_score=True)
        found = response.body["responses"]
        pages = [_read(one, profiles) for one in found]
        return pages[:-1], pages[-1], int(found[0]["_shards"]["total"])


def _places(items: Sequence[CapturedItem], name: str) -> list[str]:
    """The items of one profile's page, best first."""
    placed = [(item.extras[RANK_OF + name], item.item_id) for item in items if RANK_OF + name in item.extras]
    return [item_id for _, item_id in sorted(placed, key=lambda pair: float(pair[0]))]


def _read(response: Mapping[str, Any], profiles: Sequence[Profile]) -> Page:
    """A page whose items carry the fields of every profile's factors."""
    pages = [read_page(response, profile) for profile in profiles]
    items = [
        replace(same[0], extras={name: value for item in same for name, value in item.extras.items()})
        for same in zip(*(page.items for page in pages), strict=True)
    ]
    return replace(pages[0], items=tuple(items))
