"""The cluster as a whole: it answers, what it can do, which nodes have the plugin, its health."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from doctor.finding import Result, not_checked, ok, problem, warning
from doctor.options import Context
from ranking.errors import ServerError
from ranking.es import server_errors
from ranking.features import find_features, plugin_versions, version_key
from ranking.refusal import without_login

OLDEST: Final = (8, 19)  # what the tests run on


def reach(context: Context) -> Result:
    """Address, version and flavour; raises where nothing answers or the login is refused."""
    url = without_login(context.settings.endpoint("Elasticsearch"))
    client = version("elasticsearch")
    try:
        found = find_features(context.es, refresh=True)
    except ServerError as e:
        if "(HTTP 403)" not in str(e):
            raise
        return ok(f"{url} answers; this login may not ask which version it is, client {client}")
    says = f"{found.distribution.capitalize()} {found.version} at {url}, client {client}"
    if found.distribution != "elasticsearch":
        return warning(says, "the toolkit is tested on Elasticsearch")
    if version_key(found.version)[:2] < OLDEST:
        return warning(
            says, f"the toolkit is tested from {'.'.join(map(str, OLDEST))} on: upgrade the server"
        )
    if found.mixed_versions:
        return warning(f"{says}; nodes run several versions", "finish the rolling upgrade")
    return ok(says)


def modules(context: Context) -> Result:
    """Painless is needed; the rest has a way round."""
    names = _modules(context)
    found = find_features(context.es)
    if names is not None and "lang-painless" not in names:
        return problem("the module lang-painless is missing: no script runs", "install the full distribution")
    optional = {"lang-mustache": found.mustache, "mapper-extras": found.mapper_extras}
    optional["rank-eval"] = found.rank_eval
    lacking = [name for name, there in optional.items() if there is False]
    painless = "" if names is None else "painless; "
    if lacking:
        return ok(f"{painless}without {', '.join(lacking)}, which the toolkit does without")
    return ok(f"{painless}every optional module")


def plugin(context: Context) -> Result:
    """Which nodes run the native query, and whether a published profile asks for it."""
    versions = plugin_versions(context.es)
    if versions is None:
        knows = "knows" if find_features(context.es).rank_boost else "does not know"
        return not_checked(f"this login may not list nodes; the node that was asked {knows} the query")
    having = {node for node, found in versions.items() if found}
    kinds = {found for found in versions.values() if found}
    if not having:
        return ok("on no node: profiles are served by scripts, with the same scores")
    if len(having) < len(versions):
        without = ", ".join(sorted(set(versions) - having))
        return warning(
            f"on {len(having)} of {len(versions)} nodes, not on {without}: profiles are served by scripts",
            "rank-cli plugin install, on each node (plugin/README.md)",
        )
    if len(kinds) > 1:
        return warning(f"nodes run {', '.join(sorted(kinds))}", "install one version on every node")
    return ok(f"rank-boost {kinds.pop()} on every node")


def health(context: Context) -> Result:
    """Red: data is missing. Yellow is usual on one node, whose replicas have no place."""
    with server_errors("read the cluster's health"):
        found = context.es.cluster.health()
    status, nodes = found["status"], found["number_of_data_nodes"]
    says = f"{status}, {nodes} data node{'s' if nodes != 1 else ''}, {found['active_shards']} shards"
    if status == "red":
        return problem(f"{says}: some primary shards are missing", "GET _cluster/allocation/explain says why")
    if status == "yellow" and nodes > 1:
        unassigned = found["unassigned_shards"]
        return warning(f"{says}, {unassigned} unassigned", "GET _cluster/allocation/explain says why")
    return ok(says)


def _modules(context: Context) -> set[str] | None:
    """Modules that every node has; None where this login may not list them."""
    from elasticsearch import ApiError

    try:
        found = context.es.nodes.info(metric="plugins")["nodes"].values()
    except ApiError as e:
        if e.status_code in (401, 403, 404, 410):
            return None
        raise
    each = [{module["name"] for module in node.get("modules", ())} for node in found]
    return set.intersection(*each) if each else None
