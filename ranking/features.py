"""What the cluster can do, asked once: modules, plugins and parsers that differ between installations.

A module is found in the node list; where the caller may not read that (least-privilege keys, serverless), the
same thing is asked by a request that only succeeds where the module is there. The script rescorer is always
asked for by a request: it belongs to the server itself and appears with a version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError

from ranking.es import server_errors

RANK_BOOST_PLUGIN: Final = "rank-boost"
_NO_INDEX: Final = "rank-no-such-index-*"  # matches nothing, so a body is parsed and nothing is searched
_CACHE: dict[str, Features] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What one cluster can do. `None` where the caller's key may not find out."""

    version: str  # the oldest node's, such as 9.4.3
    distribution: str  # elasticsearch, or what the server calls itself
    nodes: int | None
    mixed_versions: bool  # a rolling upgrade is under way
    mustache: bool | None  # search templates (lang-mustache)
    mapper_extras: bool | None  # rank_feature, scaled_float
    script_rescorer: bool  # `rescore: {script: ...}`
    rank_boost: bool | None  # the plugin's native query, in one version on every node
    rank_eval: bool | None

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)

    def rows(self) -> list[dict[str, Any]]:
        """One row per feature, and what it is good for."""
        shown = {True: "yes", False: "no", None: "not allowed to ask"}
        return [
            {"feature": name, "found": shown[getattr(self, name)], "used_for": what}
            for name, what in _USED_FOR.items()
        ]

    @property
    def summary(self) -> str:
        """One line, such as `Elasticsearch 9.4.3, 1 node; without mustache, rank_boost`."""
        missing = [name for name in _USED_FOR if getattr(self, name) is False]
        nodes = "" if self.nodes is None else f", {self.nodes} node{'s' if self.nodes != 1 else ''}"
        mixed = " (nodes of several versions)" if self.mixed_versions else ""
        return f"{self.distribution.capitalize()} {self.version}{mixed}{nodes}; " + (
            f"without {', '.join(missing)}" if missing else "with every optional feature"
        )


_USED_FOR: Final[Mapping[str, str]] = {
    "mustache": "search templates that a service calls by name",
    "mapper_extras": "rank_feature and scaled_float fields",
    "script_rescorer": "the window execution with one script",
    "rank_boost": "the native boost query, which skips what cannot reach the top",
    "rank_eval": "nDCG on the server",
}


def find_features(es: Elasticsearch, *, refresh: bool = False) -> Features:
    """What the cluster behind `es` can do; asked once per process and cluster.

    Args:
        es: a client.
        refresh: ask again, such as after an upgrade or an installed plugin.

    Raises:
        ServerError: nothing answers, or the key may not even ask who the server is.
    """
    with server_errors("find out what the cluster can do"):
        info = es.info()
        uuid = str(info["cluster_uuid"])
        known = _CACHE.get(uuid)
        if known is not None and not refresh:
            return known
        found = _ask(es, info["version"])
    if uuid != "_na_":  # the cluster has not formed yet
        _CACHE[uuid] = found
    return found


def _ask(es: Elasticsearch, version: Mapping[str, Any]) -> Features:
    nodes = _nodes(es)
    versions = [str(node["version"]) for node in nodes or ()] or [str(version["number"])]
    return Features(
        version=min(versions, key=version_key),
        distribution=str(version.get("distribution", "elasticsearch")),
        nodes=None if nodes is None else len(nodes),
        mixed_versions=len(set(versions)) > 1,
        mustache=_module(nodes, "lang-mustache", lambda: es.render_search_template(source="{}")),
        mapper_extras=_module(nodes, "mapper-extras", lambda: _query(es, {"rank_feature": {"field": "x"}})),
        script_rescorer=bool(_parsed(lambda: _search(es, {"rescore": _SCRIPT_RESCORE}))),
        rank_boost=_rank_boost(es, nodes),
        rank_eval=_module(nodes, "rank-eval", lambda: _rank_eval(es)),
    )


_RANK_BOOST: Final = {
    "rank_boost": {
        "query": {"match_all": {}},
        "freshness": {"field": "x", "curve": "gauss", "origin": 1_000_000_000_000, "scale": "1d"},
    }
}
_SCRIPT_RESCORE: Final = {"window_size": 1, "script": {"script": {"source": "1.0"}}}


def version_key(version: str) -> tuple[int, ...]:
    """Orders version numbers: 8.19.13 before 9.4.3; what follows a hyphen is left out."""
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


def _nodes(es: Elasticsearch) -> Sequence[Mapping[str, Any]] | None:
    """Every node with its modules and plugins; None where the key may not list them."""
    try:
        found = es.nodes.info(metric="plugins")["nodes"]
    except ApiError as e:
        if e.status_code in (401, 403, 404, 410):
            return None
        raise
    return list(found.values()) or None


def _module(nodes: Sequence[Mapping[str, Any]] | None, name: str, probe: Callable[[], object]) -> bool | None:
    if nodes is None:
        return _parsed(probe)
    return all(any(module["name"] == name for module in node.get("modules", ())) for node in nodes)


def plugin_versions(es: Elasticsearch) -> dict[str, str | None] | None:
    """The version of the rank-boost plugin by node name, None where a node lacks it.

    Returns:
        None where the caller's key may not list nodes.
    """
    nodes = _nodes(es)
    return None if nodes is None else {str(node["name"]): _plugin_version(node) for node in nodes}


def _rank_boost(es: Elasticsearch, nodes: Sequence[Mapping[str, Any]] | None) -> bool | None:
    """Whether every node runs one version; where nodes may not be listed, whether one knows the query."""
    if nodes is None:
        return _parsed(lambda: _query(es, _RANK_BOOST))
    versions = {_plugin_version(node) for node in nodes}
    return len(versions) == 1 and None not in versions


def _plugin_version(node: Mapping[str, Any]) -> str | None:
    """A server refuses to start with a plugin built for another version of it, so this one fits its node."""
    for plugin in node.get("plugins", ()):
        if str(plugin["name"]) == RANK_BOOST_PLUGIN:
            return str(plugin["version"])
    return None


def _parsed(probe: Callable[[], object]) -> bool | None:
    """Whether the server understood the request; None where the key may not send it."""
    try:
        probe()
    except (BadRequestError, NotFoundError):
        return False
    except ApiError as e:
        if e.status_code in (401, 403, 410):
            return None
        if e.status_code == 405:
            return False
        raise
    return True


def _search(es: Elasticsearch, body: dict[str, Any]) -> object:
    return es.search(index=_NO_INDEX, body=body)


def _query(es: Elasticsearch, query: dict[str, Any]) -> object:
    return _search(es, {"query": query})


def _rank_eval(es: Elasticsearch) -> object:
    request = {"id": "probe", "request": {"query": {"match_all": {}}}, "ratings": []}
    return es.rank_eval(index=_NO_INDEX, requests=[request], metric={"precision": {}})


__all__ = ["RANK_BOOST_PLUGIN", "Features", "find_features", "plugin_versions", "version_key"]
