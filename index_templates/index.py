"""The indices behind the aliases: `items` and `items-write` point at `items-000001`, then at `items-000002`.

    items            what searches read; also the write index of whoever writes through it
    items-write      what writers may use instead, so that a key for writing needs no more than that
    items-failures   what the ingest pipeline rejected, behind an alias too, since bulk requests with
                     `require_alias` would refuse a plain index

Both aliases always point at one and the same index and move in one request.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from index_templates.desired import MANAGED_BY, check_family
from ranking.errors import ServerError
from ranking.es import server_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus:
    """One index of a family."""

    index: str
    aliases: tuple[str, ...]
    docs: int
    bytes: int  # of its primary shards
    health: str
    write_blocked: bool
    made_with: str | None  # template hash at its creation; None where another template made it
    current: str | None  # template hash of the cluster's template now

    @property
    def is_current(self) -> bool:
        """Whether a new index would have the same shape."""
        return self.made_with is not None and self.made_with == self.current

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self) | {"is_current": self.is_current}


def write_alias(family: str) -> str:
    """The alias for writers."""
    return f"{family}-write"


def failure_alias(family: str) -> str:
    """The alias of what the ingest pipeline rejected."""
    return f"{family}-failures"


def numbered(family: str, number: int) -> str:
    """Name of a family's index, such as `items-000001`."""
    return f"{family}-{number:06d}"


def number_of(family: str, index: str) -> int | None:
    """The number of an index of this family; None where it is no such index."""
    found = re.fullmatch(re.escape(family) + r"-(\d{6})", index)
    return int(found[1]) if found else None


def first_index_bodies(family: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """By alias: the first index behind it, and the body that creates it with its aliases."""
    both = {family: {"is_write_index": True}, write_alias(family): {"is_write_index": True}}
    failures = failure_alias(family)
    return {
        family: (numbered(family, 1), {"aliases": both}),
        failures: (numbered(failures, 1), {"aliases": {failures: {"is_write_index": True}}}),
    }


def ensure_index(es: Elasticsearch, alias: str = "items") -> bool:
    """Make the first index of a family and what belongs to it, as far as they are missing.

    Returns:
        True where the index or its read alias was made now.

    Raises:
        InputError: the name cannot be that of an index family.
        ServerError: the cluster refused, or an index has the alias's name.
    """
    check_family(alias)
    first = numbered(alias, 1)
    (_, body), (failures, failures_body) = first_index_bodies(alias).values()
    with server_errors(f"make index {first}"):
        made = not es.indices.exists_alias(name=alias) and _create(es, first, body["aliases"])
        if not es.indices.exists_alias(name=write_alias(alias)):
            target = write_index(es, alias)
            es.indices.put_alias(index=target, name=write_alias(alias), is_write_index=True)
        if not es.indices.exists(index=failure_alias(alias)):
            _create(es, failures, failures_body["aliases"])
    return made


def write_index(es: Elasticsearch, family: str) -> str:
    """The one index that a family's alias points at.

    Raises:
        ServerError: there is no such alias, or it points at several indices.
    """
    with server_errors(f"look at alias {family}"):
        try:
            names: list[str] = sorted(es.indices.get_alias(name=family).body)
        except NotFoundError:
            raise ServerError(
                "Elasticsearch",
                f"there is no alias {family!r}",
                hint=f"run `rank-cli index create --index {family}`",
            ) from None
    if len(names) > 1:
        raise ServerError(
            "Elasticsearch",
            f"alias {family!r} points at {', '.join(names)}; one index is expected",
            hint="take all but one out of the alias",
        )
    return names[0]


def family_indices(es: Elasticsearch, family: str) -> list[str]:
    """The numbered indices of a family, oldest first."""
    with server_errors(f"list indices of {family}"):
        found = es.indices.get_alias(index=f"{family}-*", expand_wildcards="all")
    return sorted(name for name in found if number_of(family, name) is not None)


def template_shape(es: Elasticsearch, family: str) -> str | None:
    """The template hash that a new index would carry; None where the template is not in the cluster."""
    with server_errors(f"read index template rank-{family}"):
        try:
            found = es.indices.get_index_template(name=f"rank-{family}")["index_templates"][0]
        except NotFoundError:
            return None
    return shape_of(found["index_template"].get("template", {}).get("mappings", {}))


def shape_of(mappings: dict[str, Any]) -> str | None:
    """The template hash in a mapping's `_meta`."""
    found = mappings.get("_meta", {}).get(MANAGED_BY, {}).get("template_hash")
    return None if found is None else str(found)


def index_status(es: Elasticsearch, family: str) -> list[IndexStatus]:
    """Every index of a family and its failures, oldest first.

    Raises:
        InputError: the name cannot be that of an index family.
        ServerError: the cluster refused.
    """
    check_family(family)
    current = template_shape(es, family)
    failures = failure_alias(family)
    names = [*family_indices(es, family), *family_indices(es, failures)]
    if not names:
        return []
    with server_errors(f"read indices of {family}"):
        found = es.indices.get(index=names, expand_wildcards="all", flat_settings=True)
        rows = es.cat.indices(
            index=names, format="json", bytes="b", h="index,health,docs.count,pri.store.size"
        ).body
    cat = {row["index"]: row for row in rows if isinstance(row, dict)}
    return [
        IndexStatus(
            index=name,
            aliases=tuple(sorted(found[name]["aliases"])),
            docs=int(cat[name]["docs.count"] or 0),
            bytes=int(cat[name]["pri.store.size"] or 0),
            health=cat[name]["health"],
            write_blocked=found[name]["settings"].get("index.blocks.write") == "true",
            made_with=None if number_of(family, name) is None else shape_of(found[name]["mappings"]),
            current=None if number_of(family, name) is None else current,
        )
        for name in names
    ]


def _create(es: Elasticsearch, index: str, aliases: dict[str, Any]) -> bool:
    try:
        es.indices.create(index=index, aliases=aliases)
    except BadRequestError as e:
        if e.error != "resource_already_exists_exception":
            raise
        for name, options in aliases.items():
            es.indices.put_alias(index=index, name=name, **options)
    return True
