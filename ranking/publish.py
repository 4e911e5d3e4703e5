"""Published profiles: the versioned documents from which a service in any language takes its formula.

The live document has the profile's name as its id; each version also stands under `name@version`. The live
one is written last and only if it is still the one that was read, so a publication that fails half-way
leaves the old profile live, and of two engineers at once one gets a clear refusal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from elasticsearch import ConflictError, Elasticsearch, NotFoundError

from ranking.clock import format_time
from ranking.errors import ConfigError, StalePlan
from ranking.es import server_errors
from ranking.profile import Profile, parse_profile
from ranking.query import script_sources

INDEX = "rank-profiles"
_MAPPINGS = {
    "dynamic": False,
    "properties": {
        "name": {"type": "keyword"},
        "version": {"type": "integer"},
        "hash": {"type": "keyword"},
        "live": {"type": "boolean"},
        "published_at": {"type": "date"},
    },
}


@dataclass(frozen=True, slots=True)
class Published:
    """One live profile."""

    profile: Profile
    version: int
    published_at: str
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
    profile = parse_profile(json.loads(source["profile_json"]), f"{index}/{name}")
    return Published(
        profile, source["version"], source["published_at"], found["_seq_no"], found["_primary_term"]
    )


def list_published(es: Elasticsearch, *, index: str = INDEX) -> list[Published]:
    """Every live profile, by name."""
    with server_errors("list profiles"):
        if not es.indices.exists(index=index):
            return []
        es.indices.refresh(index=index)
        hits = es.search(index=index, query={"term": {"live": True}}, sort=["name"], size=1000)["hits"][
            "hits"
        ]
    names = [hit["_source"]["name"] for hit in hits]
    return [found for name in names if (found := read_published(es, name, index=index)) is not None]


def publish(
    es: Elasticsearch, profile: Profile, *, now_ms: int, replaces: Published | None, index: str = INDEX
) -> int:
    """Make a profile the live one of its name, and store the scripts it runs.

    Args:
        es: the cluster.
        profile: what to publish.
        now_ms: when, epoch ms.
        replaces: the live profile that was read before; None where there was none.
        index: where profiles live.

    Returns:
        The new version, from 1.

    Raises:
        StalePlan: somebody published this name in between; theirs stays live.
        ServerError: the cluster refused; the old profile stays live.
    """
    version = 1 if replaces is None else replaces.version + 1
    document = {
        "name": profile.name,
        "version": version,
        "hash": profile.hash,
        "published_at": format_time(now_ms),
        "profile_json": profile.model_dump_json(),
    }
    with server_errors(f"publish {profile.name}"):
        if not es.indices.exists(index=index):
            es.options(ignore_status=400).indices.create(index=index, mappings=_MAPPINGS)
        if profile.execution == "script_score":
            for name, source in script_sources().items():
                es.put_script(id=name, context="score", script={"lang": "painless", "source": source})
        es.index(index=index, id=f"{profile.name}@{version}", document={**document, "live": False})
        guard = (
            {"op_type": "create"}
            if replaces is None
            else {"if_seq_no": replaces.seq_no, "if_primary_term": replaces.primary_term}
        )
        try:
            es.index(
                index=index,
                id=profile.name,
                document={**document, "live": True},
                refresh="wait_for",
                **guard,
            )
        except ConflictError:
            raise StalePlan([f"profile {profile.name}"]) from None
    return version


def find_live_profile(es: Elasticsearch, name: str) -> Profile:
    """The published profile of that name.

    Raises:
        ConfigError: nothing of that name is published.
    """
    found = read_published(es, name)
    if found is None:
        raise ConfigError(
            name, ["no profile of that name is published"], hint=f"publish it: rank-cli apply-boost {name}"
        )
    return found.profile
