"""Publishing a profile, and every later change of what is live: one compare-and-set each.

Scripts come first (the server compiles each as it is stored), then search templates, then the version's own
document, and last the live document, only if it is still the one that was read. What fails before that leaves
the old version live; of two engineers at once, one gets a clear refusal.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from elasticsearch import ConflictError, Elasticsearch

from ranking.body_template import body_templates
from ranking.canary import Canary
from ranking.clock import format_time
from ranking.errors import ConfigError, InputError, StalePlan
from ranking.es import server_errors
from ranking.features import find_features
from ranking.native import scripted
from ranking.profile import Profile
from ranking.published import (
    INDEX,
    MAPPINGS,
    SETTINGS,
    Published,
    Version,
    find_live_profile,
    find_published,
    list_published,
    read_history,
    read_published,
    read_version,
    resolve,
)
from ranking.search_template import search_templates
from ranking.stored import StoredScript, stored_scripts

_NUMBERS_TRIED = 100


def publish(
    es: Elasticsearch,
    profile: Profile,
    *,
    now_ms: int,
    replaces: Published | None,
    canary_percent: float | None = None,
    publisher: str | None = None,
    index: str = INDEX,
) -> int:
    """Make a profile the live one of its name, or its canary, with the scripts and templates that serve it.

    Args:
        es: the cluster.
        profile: what to publish.
        now_ms: when, epoch ms.
        replaces: the live profile that was read before; None where there was none.
        canary_percent: serve it to this share of the users; the live version keeps the others.
        publisher: who, if they want it recorded.
        index: where profiles live.

    Returns:
        The new version, from 1.

    Raises:
        StalePlan: somebody changed what is live in between; theirs stays.
        ServerError: the cluster refused; the old profile stays live.
        InputError: a canary beside nothing, or a percentage that is none.
    """
    name = profile.name
    if canary_percent is not None:
        _check_percent(canary_percent)
        if replaces is None:
            raise InputError(
                f"nothing is live under {name}, so a canary has no baseline",
                hint=f"publish a baseline first: rank-cli apply-boost {name} without --canary",
            )
    with server_errors(f"publish {name}"):
        if not es.indices.exists(index=index):
            es.options(ignore_status=400).indices.create(index=index, mappings=MAPPINGS, settings=SETTINGS)
        number = 1 if replaces is None else replaces.version + 1
        version = _equip(es, Version(profile, number, format_time(now_ms), published_by=publisher))
        version, written = _write_version(es, version, index)
    if canary_percent is None or replaces is None:
        previous = None if replaces is None else replaces.version
        source = version.live_source(now_ms=now_ms, by=publisher, previous=previous)
    else:
        canary = Canary(version.version, canary_percent, version.label)
        source = replaces.live_source(now_ms=now_ms, by=publisher, previous=replaces.previous, canary=canary)
    try:
        _flip(es, source, replaces, index)
    except StalePlan:
        with server_errors(f"take back {version.label}"):
            es.options(ignore_status=[404, 409]).delete(index=index, id=version.label, **written)
        raise
    return version.version


def rollback(
    es: Elasticsearch,
    live: Published,
    *,
    now_ms: int,
    to: int | None = None,
    publisher: str | None = None,
    index: str = INDEX,
) -> Version:
    """Go back: end a running canary, else the version that was live before; or to any version by number.

    Rolling back twice is where one began.

    Raises:
        ConfigError: there is no such version.
        StalePlan: somebody changed what is live in between; theirs stays.
    """
    name = live.profile.name
    number = to if to is not None else live.version if live.canary else live.previous
    if number is None:
        raise ConfigError(
            live.label, ["no version was live before"], hint=f"list them: rank-cli boost show {name}"
        )
    target = read_version(es, name, number, index=index)
    _go_live(es, target, live, now_ms=now_ms, by=publisher, index=index)
    return target


def promote(
    es: Elasticsearch, live: Published, *, now_ms: int, publisher: str | None = None, index: str = INDEX
) -> Version:
    """The canary serves everybody.

    Raises:
        InputError: no canary runs.
        StalePlan: somebody changed what is live in between; theirs stays.
    """
    if live.canary is None:
        raise InputError(
            f"no canary of {live.profile.name} runs",
            hint=f"start one: rank-cli apply-boost {live.profile.name} --canary 5",
        )
    target = read_version(es, live.profile.name, live.canary.version, index=index)
    _go_live(es, target, live, now_ms=now_ms, by=publisher, index=index)
    return target


def change_percent(
    es: Elasticsearch,
    live: Published,
    percent: float,
    *,
    now_ms: int,
    publisher: str | None = None,
    index: str = INDEX,
) -> Canary:
    """Give the running canary another share; with the same salt, so nobody leaves it as it grows."""
    _check_percent(percent)
    if live.canary is None:
        raise InputError(f"no canary of {live.profile.name} runs")
    canary = replace(live.canary, percent=percent)
    source = live.live_source(now_ms=now_ms, by=publisher, previous=live.previous, canary=canary)
    _flip(es, source, live, index)
    return canary


def _go_live(
    es: Elasticsearch, target: Version, live: Published, *, now_ms: int, by: str | None, index: str
) -> None:
    """Make an earlier version live; its scripts are stored again, for they may have been pruned.

    It is served as this cluster can serve it now: the plugin may have come or gone since.
    """
    with server_errors(f"make {target.label} live"):
        target = _equip(es, target)
    previous = live.previous if target.version == live.version else live.version
    _flip(es, target.live_source(now_ms=now_ms, by=by, previous=previous), live, index)


def serving(es: Elasticsearch, profile: Profile) -> Profile:
    """The profile as this cluster can serve it: by its script where not every node has the plugin."""
    if profile.execution != "plugin" or find_features(es, refresh=True).rank_boost:
        return profile
    return scripted(profile)


def _equip(es: Elasticsearch, version: Version) -> Version:
    """Store what this cluster needs to serve a version; the version with the names and bodies of it."""
    served = serving(es, version.profile)
    scripts, templates = _store(es, served)
    native = served.execution == "plugin"
    return replace(
        version,
        scripts=scripts,
        templates=templates,
        bodies=body_templates(served),
        execution=served.execution,
        fallback_bodies=body_templates(scripted(version.profile)) if native else {},
    )


def _store(es: Elasticsearch, profile: Profile) -> tuple[dict[str, StoredScript], dict[str, str]]:
    """Write scripts, and search templates where the cluster knows them; both by platform."""
    scripts, sources = stored_scripts(profile)
    for name, source in sources.items():
        es.put_script(id=name, context="score", script={"lang": "painless", "source": source})
    if not find_features(es).mustache:
        return scripts, {}
    templates, sources = search_templates(profile)
    for name, source in sources.items():
        es.put_script(id=name, script={"lang": "mustache", "source": source})
    return scripts, templates


def _write_version(es: Elasticsearch, version: Version, index: str) -> tuple[Version, dict[str, Any]]:
    """Write the version's document under the first number that is free; also what guards its removal."""
    mine = uuid.uuid4().hex  # tells our own document, where an answer was lost, from a colleague's
    for number in range(version.version, version.version + _NUMBERS_TRIED):
        version = replace(version, version=number)
        document = {**version.source(), "write_id": mine}
        try:
            done = es.index(index=index, id=version.label, document=document, op_type="create")
        except ConflictError:
            done = es.options(ignore_status=404).get(index=index, id=version.label)
            if done.get("_source", {}).get("write_id") != mine:
                continue
        return version, {"if_seq_no": done["_seq_no"], "if_primary_term": done["_primary_term"]}
    raise StalePlan([f"profile {version.profile.name}"], hint="others publish it all the time: try again")


def _flip(es: Elasticsearch, source: dict[str, Any], replaces: Published | None, index: str) -> None:
    """Write the live document if it is still the one that was read."""
    guard: dict[str, Any] = (
        {"op_type": "create"}
        if replaces is None
        else {"if_seq_no": replaces.seq_no, "if_primary_term": replaces.primary_term}
    )
    name = source["name"]
    with server_errors(f"make {name}@{source['version']} live"):
        try:
            es.index(index=index, id=name, document=source, refresh="wait_for", **guard)
        except ConflictError:
            now = es.options(ignore_status=404).get(index=index, id=name).get("_source", {})
            if now == source:  # ours: the answer was lost, and the client had asked again
                return
            by = f" by {now['changed_by']}" if now.get("changed_by") else ""
            raise StalePlan(
                [f"profile {name} (now version {now.get('version')}, since {now.get('changed_at')}{by})"],
                hint="run the command again: it compares with what is live now",
            ) from None


def _check_percent(percent: float) -> None:
    try:
        Canary(1, percent, "")
    except ValueError as e:
        raise InputError(f"--canary: {e}", hint="write a share such as 5 or 0.5") from None


__all__ = [
    "INDEX",
    "Published",
    "Version",
    "change_percent",
    "find_live_profile",
    "find_published",
    "list_published",
    "promote",
    "publish",
    "read_history",
    "read_published",
    "read_version",
    "resolve",
    "rollback",
    "serving",
]
