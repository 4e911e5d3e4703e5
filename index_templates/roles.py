"""Roles as API keys: the least that reading, writing items, deploying and migrating need.

A role is a file, `files/roles/NAME.json`, in the form that Elasticsearch takes for roles and for the
`role_descriptors` of API keys. `${index}` stands for the index family. docs/security.md has a table of
commands and privileges; tests/integration/test_roles.py holds roles and table to a real server.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any, Literal

from elasticsearch import Elasticsearch

from ranking.errors import InputError
from ranking.es import server_errors

Role = Literal["reader", "writer", "admin", "migrator"]
ROLES: tuple[Role, ...] = ("reader", "writer", "admin", "migrator")
# No wildcard: it would widen a key to other indices.
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


def role_descriptor(role: Role, index: str = "items") -> dict[str, Any]:
    """What a role may do, for one index family.

    Raises:
        InputError: the family's name is not that of an index.
    """
    if not _NAME.fullmatch(index):
        raise InputError(
            f"{index!r} is not the name of an index", hint="give one without wildcards or commas"
        )
    text = (resources.files("index_templates") / "files" / "roles" / f"{role}.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text.replace("${index}", index))
    return found


def api_key_request(role: Role, index: str = "items", *, days: int | None = None) -> dict[str, Any]:
    """The body of `POST /_security/api_key` for a role.

    Args:
        role: one of ROLES.
        index: the index family.
        days: until the key expires; never where None.
    """
    name = f"rank-{role}"
    body: dict[str, Any] = {
        "name": f"{name}-{index}",
        "role_descriptors": {name: role_descriptor(role, index)},
    }
    return body if days is None else {**body, "expiration": f"{days}d"}


def create_api_key(es: Elasticsearch, request: dict[str, Any]) -> dict[str, Any]:
    """Make the key; `id`, `name`, and `encoded`, which is the secret and is shown by no later call.

    Raises:
        ServerError: the cluster has no security, or the caller may not make keys.
    """
    with server_errors(f"make the API key {request['name']}"):
        made = es.security.create_api_key(**request)
    return {key: made[key] for key in ("id", "name", "encoded")}


__all__ = ["ROLES", "Role", "api_key_request", "create_api_key", "role_descriptor"]
