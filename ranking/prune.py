"""Stored scripts and search templates of old versions: which nobody needs, and their removal."""

from __future__ import annotations

from itertools import groupby

from elasticsearch import Elasticsearch, NotFoundError

from ranking.es import server_errors
from ranking.published import INDEX, Version, list_published, read_history
from ranking.search_template import TEMPLATE_PREFIX
from ranking.stored import SCRIPT_PREFIX


def unused_scripts(
    es: Elasticsearch, *, name: str | None = None, keep: int = 3, index: str = INDEX
) -> list[str]:
    """Ids of scripts and templates that stand in the cluster for old versions only.

    Those of each name's last `keep` versions, of the live one, of the one before it and of a canary stay.
    A rollback to an older version stores its scripts again.
    """
    needed: set[str] = set()
    spared: dict[str, set[int]] = {}
    for live in list_published(es, index=index):
        needed |= _ids(live)
        canary = {live.canary.version} if live.canary else set()
        spared[live.profile.name] = {live.version, *canary, *([live.previous] if live.previous else [])}
    old: set[str] = set()
    for owner, versions in groupby(read_history(es, index=index), key=lambda one: one.profile.name):
        for place, version in enumerate(versions):
            if place < keep or version.version in spared.get(owner, set()):
                needed |= _ids(version)
            elif name is None or owner == name:
                old |= _ids(version)
    return [one for one in sorted(old - needed) if _exists(es, one)]


def remove_scripts(es: Elasticsearch, ids: list[str]) -> None:
    """Remove what `unused_scripts` found."""
    for one in ids:
        with server_errors(f"remove {one}"):
            es.options(ignore_status=404).delete_script(id=one)


def _ids(version: Version) -> set[str]:
    found = {script.id for script in version.scripts.values()} | set(version.templates.values())
    return {one for one in found if one.startswith((SCRIPT_PREFIX, TEMPLATE_PREFIX))}


def _exists(es: Elasticsearch, script_id: str) -> bool:
    with server_errors(f"look for {script_id}"):
        try:
            es.get_script(id=script_id)
        except NotFoundError:
            return False
    return True
