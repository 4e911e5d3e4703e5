"""How each kind of resource is written: the one table that `apply` and `export` share."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from elasticsearch import Elasticsearch

from index_templates.desired import Kind, Resource, script_context

_FOLDER: Final[dict[Kind, str]] = {
    "script": "_scripts",
    "ingest_pipeline": "_ingest/pipeline",
    "component_template": "_component_template",
    "index_template": "_index_template",
}
MADE_BY_SERVER: Final = frozenset(
    {"created_date", "created_date_millis", "modified_date", "modified_date_millis"}
)
_JSON: Final = {"accept": "application/json", "content-type": "application/json"}


def path(resource: Resource) -> str:
    """Where it is read and deleted, such as `/_index_template/rank-items`."""
    return f"/{_FOLDER[resource.kind]}/{quote(resource.name, safe='')}"


def put_request(resource: Resource) -> tuple[str, dict[str, Any]]:
    """Path and body of the PUT that writes it. A script is compiled in its context while it is stored."""
    if resource.kind == "script":
        return f"{path(resource)}/{script_context(resource.name)}", {"script": resource.body}
    return path(resource), {key: value for key, value in resource.body.items() if key not in MADE_BY_SERVER}


def write(es: Elasticsearch, resource: Resource) -> None:
    """Create it, or put it in the place of what is there."""
    where, body = put_request(resource)
    es.perform_request("PUT", where, headers=_JSON, body=body)


def remove(es: Elasticsearch, resource: Resource) -> None:
    """Delete it."""
    es.perform_request("DELETE", path(resource), headers={"accept": "application/json"})
