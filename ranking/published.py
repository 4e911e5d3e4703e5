"""Published profiles as documents: what is live, and every version that was.

    rank-profiles/NAME            what is live: version, profile, scripts, templates, and a canary if one runs
    rank-profiles/NAME@VERSION    one version, written once and never changed

A service reads `NAME`, and for a user whom the canary takes also `NAME@VERSION` (docs/apply-boost.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch, NotFoundError

from ranking.canary import Canary
from ranking.clock import format_time
from ranking.errors import ConfigError
from ranking.es import server_errors
from ranking.native import scripted
from ranking.profile import Execution, Profile, parse_profile
from ranking.stored import StoredScript

INDEX = "rank-profiles"
_NOT_KEPT = {"type": "object", "enabled": False}
MAPPINGS: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        "name": {"type": "keyword"},
        "version": {"type": "integer"},
        "hash": {"type": "keyword"},
        "live": {"type": "boolean"},
        "published_at": {"type": "date"},
        "scripts": _NOT_KEPT,
        "templates": _NOT_KEPT,
        "bodies": _NOT_KEPT,
        "fallback_bodies": _NOT_KEPT,
        "execution": {"type": "keyword"},
        "canary": _NOT_KEPT,
    },
}
SETTINGS = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}


@dataclass(frozen=True, slots=True)
class Version:
    """One published version of a profile."""

    profile: Profile
    version: int  # from 1
    published_at: str  # ISO 8601
    published_by: str | None = None  # where the publisher gave a name (RANK_PUBLISHER)
    scripts: Mapping[str, StoredScript] = field(default_factory=dict)  # by platform, `default` for the rest
    templates: Mapping[str, str] = field(default_factory=dict)  # ids of search templates, by platform
    bodies: Mapping[str, Any] = field(default_factory=dict)  # body templates, by platform
    execution: Execution | None = None  # what bodies and templates run; None: as the profile says
    fallback_bodies: Mapping[str, Any] = field(default_factory=dict)  # where bodies need the plugin

    @property
    def served(self) -> Profile:
        """The profile as its bodies and templates run it: by script where the cluster had no plugin."""
        return scripted(self.profile) if self.execution == "script_score" else self.profile

    @property
    def label(self) -> str:
        """Such as `mine@3`."""
        return f"{self.profile.name}@{self.version}"

    def source(self) -> dict[str, Any]:
        """As the version's document."""
        return {
            "name": self.profile.name,
            "version": self.version,
            "hash": self.profile.hash,
            "live": False,
            "published_at": self.published_at,
            "published_by": self.published_by,
            "profile_json": self.profile.model_dump_json(),
            "scripts": {platform: script.as_dict() for platform, script in self.scripts.items()},
            "templates": dict(self.templates),
            "bodies": dict(self.bodies),
            "execution": self.execution or self.profile.execution,
            "fallback_bodies": dict(self.fallback_bodies),
        }

    def live_source(
        self, *, now_ms: int, by: str | None, previous: int | None, canary: Canary | None = None
    ) -> dict[str, Any]:
        """As the live document of its name, changed at this moment."""
        return self.source() | {
            "live": True,
            "changed_at": format_time(now_ms),
            "changed_by": by,
            "previous": previous,
            "canary": canary.as_dict() if canary else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Version):
    """The live version of a name, and what runs beside it."""

    changed_at: str  # when the live document was last written: published, rolled back, a canary's share
    changed_by: str | None
    previous: int | None  # the version that was live before
    canary: Canary | None
    seq_no: int
    primary_term: int


def read_published(es: Elasticsearch, name: str, *, index: str = INDEX) -> Published | None:
    """The live profile of that name, or None."""
    with server_errors(f"read profile {name}"):
        try:
            found = es.get(index=index, id=name)
        except NotFoundError:
            return None
    source = found["_source"]
    canary = source.get("canary")
    return Published(
        **_version_fields(source, f"{index}/{name}"),
        changed_at=source.get("changed_at", source["published_at"]),
        changed_by=source.get("changed_by"),
        previous=source.get("previous"),
        canary=Canary(**canary) if canary else None,
        seq_no=found["_seq_no"],
        primary_term=found["_primary_term"],
    )


def read_version(es: Elasticsearch, name: str, version: int, *, index: str = INDEX) -> Version:
    """One version of a name.

    Raises:
        ConfigError: there is none of that number.
    """
    key = f"{name}@{version}"
    with server_errors(f"read profile {key}"):
        try:
            source = es.get(index=index, id=key)["_source"]
        except NotFoundError:
            raise ConfigError(
                key, ["no such version is published"], hint=f"list them: rank-cli boost show {name}"
            ) from None
    return Version(**_version_fields(source, f"{index}/{key}"))


def find_published(es: Elasticsearch, text: str, *, index: str = INDEX) -> Version:
    """`NAME` or `NAME@live`, what is live, or `NAME@VERSION`.

    Raises:
        ConfigError: nothing of that name or number is published.
    """
    name, at, number = text.rpartition("@")
    if at and number.isdecimal():
        return read_version(es, name, int(number), index=index)
    name = name if at and number == "live" else text
    found = read_published(es, name, index=index)
    if found is None:
        raise ConfigError(
            name, ["no profile of that name is published"], hint=f"publish it: rank-cli apply-boost {name}"
        )
    return found


def find_live_profile(es: Elasticsearch, name: str) -> Profile:
    """The live profile of that name.

    Raises:
        ConfigError: nothing of that name is published.
    """
    return find_published(es, name).profile


def list_published(es: Elasticsearch, *, index: str = INDEX) -> list[Published]:
    """Every live profile, by name."""
    names = [source["name"] for source in _search(es, index, {"term": {"live": True}}, [{"name": "asc"}])]
    return [found for name in names if (found := read_published(es, name, index=index)) is not None]


def read_history(es: Elasticsearch, name: str | None = None, *, index: str = INDEX) -> list[Version]:
    """Every version of a name, the newest first; of all names where none is given."""
    chosen: list[dict[str, Any]] = [{"term": {"live": False}}]
    if name is not None:
        chosen.append({"term": {"name": name}})
    order = [{"name": "asc"}, {"version": "desc"}]
    found = _search(es, index, {"bool": {"filter": chosen}}, order)
    return [Version(**_version_fields(source, f"{index}/{source['name']}")) for source in found]


def resolve(
    es: Elasticsearch, name: str, user_id: str | None, *, index: str = INDEX
) -> tuple[Profile, str | None]:
    """The profile that serves a user, and the arm that a capture records (None where no canary runs).

    Raises:
        ConfigError: nothing of that name is published.
    """
    live = find_published(es, name, index=index)
    canary = live.canary if isinstance(live, Published) else None
    if canary is None:
        return live.profile, None
    if not canary.takes(user_id):
        return live.profile, canary.arm(user_id)
    return read_version(es, name, canary.version, index=index).profile, canary.arm(user_id)


def _version_fields(source: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {
        "profile": parse_profile(json.loads(source["profile_json"]), where),
        "version": source["version"],
        "published_at": source["published_at"],
        "published_by": source.get("published_by"),
        "scripts": {
            platform: StoredScript(one["id"], one.get("params", {}))
            for platform, one in source.get("scripts", {}).items()
        },
        "templates": dict(source.get("templates", {})),
        "bodies": dict(source.get("bodies", {})),
        "execution": source.get("execution"),
        "fallback_bodies": dict(source.get("fallback_bodies", {})),
    }


def _search(
    es: Elasticsearch, index: str, query: dict[str, Any], sort: list[dict[str, str]]
) -> list[dict[str, Any]]:
    with server_errors("list profiles"):
        try:
            found = es.search(index=index, query=query, sort=sort, size=10_000)
        except NotFoundError:
            return []
    return [hit["_source"] for hit in found["hits"]["hits"]]
