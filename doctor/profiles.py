"""Published profiles: each can be read, its scripts and templates are stored, and it fits the index."""

from __future__ import annotations

from collections.abc import Iterator

from elasticsearch import ApiError, Elasticsearch, NotFoundError

from doctor.finding import Result, not_checked, ok, problem, warning
from doctor.options import Context
from ranking.errors import ConfigError
from ranking.es import server_errors
from ranking.features import find_features
from ranking.lint import lint_before_publish
from ranking.published import INDEX, Published, Version, read_published, read_version


def published(context: Context) -> list[Result]:
    """One row for each live profile."""
    with server_errors("list profiles"):
        try:
            found = context.es.search(
                index=INDEX,
                query={"term": {"live": True}},
                sort=["name"],
                size=1000,
                source_includes=["name"],
            )
        except NotFoundError:
            found = None
    names = [] if found is None else [hit["_source"]["name"] for hit in found["hits"]["hits"]]
    if not names:
        return [ok("none is published: searches run the shipped ones", "rank-cli apply-boost PROFILE")]
    with server_errors(f"look for {context.family}"):
        if not context.es.indices.exists(index=context.family):
            why = f"there is no index {context.family!r} to hold it against"
            return [not_checked(why, about=name) for name in names]
    return [_look(context, name) for name in names]


def _look(context: Context, name: str) -> Result:
    es, again = context.es, f"rank-cli boost show {name}; publish again: rank-cli apply-boost FILE"
    try:
        live = read_published(es, name)
        if live is None:
            return not_checked("taken away meanwhile", about=name)
        versions = [live, *([read_version(es, name, live.canary.version)] if live.canary else [])]
    except ConfigError as e:
        return problem(f"it cannot be read: {e}", again, about=name)
    lacking = [one for version in versions for one in _not_stored(es, version)]
    if lacking:
        return problem(f"not in the cluster: {', '.join(lacking)}", again, about=name)
    findings = [
        (f, version) for version in versions for f in lint_before_publish(version.profile, es, context.family)
    ]
    errors = [f"{f} ({version.label})" for f, version in findings if f.severity == "error"]
    warnings = [f"{f} ({version.label})" for f, version in findings if f.severity == "warning"]
    fix = f"rank-cli boost lint {name} --index {context.family}"
    if errors:
        return problem(errors[0], fix, about=name)
    if why := _without_plugin(es, live):
        return warning(why, "rank-cli plugin install", about=name)
    if warnings:
        return warning(warnings[0], fix, about=name)
    canary = f", {live.canary.percent:g} % on version {live.canary.version}" if live.canary else ""
    return ok(f"version {live.version}{canary} fits {context.family}", about=name)


def _not_stored(es: Elasticsearch, version: Version) -> Iterator[str]:
    """Ids that a version names and the cluster lacks; those that may not be looked at count as there."""
    for name in dict.fromkeys([*(one.id for one in version.scripts.values()), *version.templates.values()]):
        try:
            es.get_script(id=name)
        except NotFoundError:
            yield name
        except ApiError as e:
            if e.status_code not in (401, 403):
                raise


def _without_plugin(es: Elasticsearch, live: Published) -> str | None:
    if live.profile.execution == "plugin" and find_features(es).rank_boost is False:
        return "it asks for the plugin, which not every node has: it is served by its script"
    return None
