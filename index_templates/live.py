"""What the cluster holds now, in the same form as the files.

The server rewrites what it is given: settings come back nested under `index` with strings for numbers.
`normalize` brings both sides to one form, so that a plan after an apply is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from elasticsearch import Elasticsearch, NotFoundError

from index_templates.desired import MANAGED_BY, Kind, Resource
from ranking.es import server_errors


def read_live(es: Elasticsearch, wanted: Iterable[Resource]) -> dict[str, dict[str, Any] | None]:
    """The live body of each wanted resource by key; None where the cluster has none.

    Raises:
        ServerError: the cluster refused.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for resource in wanted:
        with server_errors(f"read {resource.key}"):
            try:
                found[resource.key] = _READ[resource.kind](es, resource.name)
            except NotFoundError:
                found[resource.key] = None
    return found


def read_owned(es: Elasticsearch, family: str) -> dict[str, dict[str, Any]]:
    """Every template and pipeline that this toolkit made for a family, by key: what the files no longer
    hold is found this way. Stored scripts serve every family and are left out.

    Raises:
        ServerError: the cluster refused.
    """
    with server_errors(f"read what belongs to {family}"):
        pipelines = es.options(ignore_status=404).ingest.get_pipeline(id="rank-*").body
        components = es.cluster.get_component_template().body["component_templates"]
        templates = es.indices.get_index_template().body["index_templates"]
    found = {f"ingest_pipeline/{name}": dict(body) for name, body in pipelines.items()}
    found |= {f"component_template/{c['name']}": dict(c["component_template"]) for c in components}
    found |= {f"index_template/{t['name']}": dict(t["index_template"]) for t in templates}
    return {
        key: body for key, body in found.items() if is_ours(body) and body["_meta"].get("family") == family
    }


def is_ours(body: Mapping[str, Any]) -> bool:
    """Whether this toolkit made it, by the mark in its `_meta`."""
    return bool((body.get("_meta") or {}).get("managed_by") == MANAGED_BY)


def same(kind: Kind, one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether two bodies say the same, marks aside."""
    return normalize(kind, one) == normalize(kind, other)


def normalize(kind: Kind, body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A body in stored form: flat settings with string values, no server-made keys, no `_meta`."""
    if body is None:
        return None
    made_by_server = {"_meta", "created_date", "created_date_millis", "modified_date", "modified_date_millis"}
    plain = {key: value for key, value in body.items() if key not in made_by_server}
    if kind in ("component_template", "index_template") and "settings" in plain.get("template", {}):
        template = dict(plain["template"])
        flat = flatten(template["settings"])
        template["settings"] = {
            name if name.startswith("index.") else f"index.{name}": value for name, value in flat.items()
        }
        plain["template"] = template
    if kind == "index_template":
        plain.pop("ignore_missing_component_templates", None)
        plain.setdefault("composed_of", [])
    return plain


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names with text values, as the server stores them."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            flat |= flatten(value, name)
        elif isinstance(value, list):
            flat[name] = [str(part) for part in value]
        else:
            flat[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return flat


def _script(es: Elasticsearch, name: str) -> dict[str, Any]:
    script = es.get_script(id=name)["script"]
    return {"lang": script["lang"], "source": script["source"]}


def _pipeline(es: Elasticsearch, name: str) -> dict[str, Any]:
    return dict(es.ingest.get_pipeline(id=name)[name])


def _component(es: Elasticsearch, name: str) -> dict[str, Any]:
    found = es.cluster.get_component_template(name=name)["component_templates"][0]
    return dict(found["component_template"])


def _index_template(es: Elasticsearch, name: str) -> dict[str, Any]:
    return dict(es.indices.get_index_template(name=name)["index_templates"][0]["index_template"])


_READ: dict[Kind, Callable[[Elasticsearch, str], dict[str, Any]]] = {
    "script": _script,
    "ingest_pipeline": _pipeline,
    "component_template": _component,
    "index_template": _index_template,
}
