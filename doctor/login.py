"""Who we are to the cluster, and which commands that is enough for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from typing import Any, Final
from urllib.parse import urlsplit

from elasticsearch import ApiError

from doctor.finding import Result, not_checked, ok, problem, warning
from doctor.options import Context
from index_templates.roles import ROLES, role_descriptor
from ranking.clock import DAY_MS

SOON_DAYS: Final = 14
LOCAL: Final = ("127.0.0.1", "localhost", "::1")
ROLES_PAGE: Final = "docs/security.md names the role for each command"


def login(context: Context) -> Result:
    """User or key, whether it travels in clear, and whether the key expires soon."""
    url = urlsplit(context.settings.endpoint("Elasticsearch"))
    try:
        who = context.es.security.authenticate()
    except ApiError as e:
        if e.status_code in (401, 403):
            raise
        says = "the cluster has no security: whoever reaches it may do everything"
        if url.hostname in LOCAL:
            return ok(f"{says}; it is on this machine")
        return warning(says, "set xpack.security.enabled: true, and docs/security.md for keys")
    key = who.body.get("api_key")
    says = f"API key {key['name']}" if key else f"user {who['username']}"
    if url.scheme != "https" and url.hostname not in LOCAL:
        return warning(f"{says}, sent in clear to {url.hostname}", "write https:// in ELASTICSEARCH_URL")
    days = _days_left(context, key["id"]) if key else None
    if days is not None and days < SOON_DAYS:
        make = "rank-cli stack api-key --role ROLE --days 90"
        return warning(f"{says} expires in {days:.1f} days", f"make another: {make}")
    if not key and "superuser" in who.body.get("roles", ()):
        return ok(f"{says}, a superuser: may do everything, and a key could be given less", ROLES_PAGE)
    return ok(says if days is None else f"{says}, {days:.0f} days left")


def privileges(context: Context) -> Result:
    """Which commands the login is enough for, asked of the server privilege by privilege."""
    commands = command_privileges(context.family)
    of_roles = {role: role_descriptor(role, context.family) for role in ROLES}
    asked = _together([*commands.values(), *of_roles.values()])
    try:
        held = context.es.security.has_privileges(**asked).body
    except ApiError as e:
        if e.status_code in (401, 403):
            return not_checked("this login may not ask what it may do")
        return not_checked("the cluster has no security, so there is nothing to ask")
    lacks = {name: missing(needs, held) for name, needs in commands.items()}
    enough = [name for name, what in lacks.items() if not what]
    roles = [role for role, needs in of_roles.items() if not missing(needs, held)]
    says = f"enough for {len(enough)} of {len(commands)} commands, and for "
    says += f"the roles {', '.join(roles)}" if roles else "no whole role"
    if (role := context.options.role) is not None:
        if lacking := missing(of_roles[role], held):
            make = f"rank-cli stack api-key --role {role} --index {context.family}"
            return problem(f"not enough for the role {role}: it lacks {', '.join(lacking)}", make)
        return ok(f"enough for the role {role}; {says}")
    if not enough:
        return problem("not enough for any command", f"rank-cli stack api-key --role reader; {ROLES_PAGE}")
    short = [f"`{name}` lacks {', '.join(what)}" for name, what in lacks.items() if what]
    return ok(f"{says}; {short[0]}{f', and {len(short) - 1} more' if short[1:] else ''}" if short else says)


def command_privileges(family: str) -> dict[str, dict[str, Any]]:
    """What each command needs, as a role descriptor for one family; the table of docs/security.md."""
    text = (resources.files("doctor") / "privileges.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text.replace("${index}", family))
    return found


def missing(needs: dict[str, Any], held: dict[str, Any]) -> list[str]:
    """Privileges of a role descriptor that an answer of `_has_privileges` says are not held."""
    found = [one for one in needs.get("cluster", ()) if not held["cluster"].get(one)]
    for entry in needs.get("indices", ()):
        for one in entry["privileges"]:
            if not all(held["index"].get(name, {}).get(one) for name in entry["names"]):
                found.append(f"{one} on {entry['names'][0]}")
    return list(dict.fromkeys(found))


def _together(descriptors: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Every privilege of several role descriptors, each once."""
    cluster: set[str] = set()
    by_name: dict[str, set[str]] = {}
    for needs in descriptors:
        cluster.update(needs.get("cluster", ()))
        for entry in needs.get("indices", ()):
            for name in entry["names"]:
                by_name.setdefault(name, set()).update(entry["privileges"])
    return {
        "cluster": sorted(cluster),
        "index": [{"names": [name], "privileges": sorted(held)} for name, held in by_name.items()],
    }


def _days_left(context: Context, key_id: str) -> float | None:
    """Until an API key expires; None where it never does, or may not look at itself."""
    try:
        found = context.es.security.get_api_key(id=key_id, owner=True)["api_keys"]
    except ApiError:
        return None
    expires = found[0].get("expiration") if found else None
    return None if expires is None else (int(expires) - context.options.clock()) / DAY_MS
