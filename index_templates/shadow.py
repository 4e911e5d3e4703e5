"""Other index templates that match the same indices: Elasticsearch applies one, that of the highest priority.

A template of higher priority silently takes the place of ours; one of lower priority loses its place to ours.
Both are reported with names; what is lost is read from the cluster's own simulation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from elasticsearch import Elasticsearch

from index_templates.desired import Resource
from index_templates.live import flatten
from ranking.es import server_errors

Effect = Literal["shadows ours", "same priority", "shadowed by ours"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """One index template that matches the family's indices too."""

    name: str
    patterns: tuple[str, ...]
    priority: int
    effect: Effect
    lost: tuple[
        str, ...
    ] = ()  # what new indices would not get of ours, such as `settings.index.default_pipeline`

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """For people, in one line."""
        what = f"index template {self.name} ({', '.join(self.patterns)}, priority {self.priority})"
        match self.effect:
            case "shadows ours":
                lost = f": new indices lose {_some(self.lost)}" if self.lost else ""
                return f"{what} takes the place of ours{lost}"
            case "same priority":
                return f"{what} has the same priority as ours: Elasticsearch refuses one of the two"
            case _:
                return f"{what} loses its place to ours on these indices"


def find_overlaps(family: str, priority: int, templates: Iterable[Mapping[str, Any]]) -> list[Overlap]:
    """The other templates that match the family's indices, from the answer of `GET _index_template`."""
    example, own = f"{family}-000001", f"rank-{family}"
    found = []
    for template in templates:
        body = template["index_template"]
        patterns = body["index_patterns"]
        patterns = [patterns] if isinstance(patterns, str) else patterns
        if template["name"] == own or not any(matches(pattern, example) for pattern in patterns):
            continue
        theirs = int(body.get("priority", 0))
        effect: Effect = (
            "shadows ours"
            if theirs > priority
            else "same priority"
            if theirs == priority
            else "shadowed by ours"
        )
        found.append(Overlap(name=template["name"], patterns=tuple(patterns), priority=theirs, effect=effect))
    return sorted(found, key=lambda overlap: (-overlap.priority, overlap.name))


def matches(pattern: str, name: str) -> bool:
    """Whether an index pattern matches a name; `*` is the only wildcard."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name) is not None


def lost_keys(ours: Iterable[Resource], resolved: Mapping[str, Any]) -> tuple[str, ...]:
    """What of our component templates an index would not get, by the cluster's simulation of one."""
    wanted: dict[str, str] = {}
    for resource in ours:
        if resource.kind == "component_template":
            wanted |= _keys(resource.body["template"])
    given = _keys(resolved)
    return tuple(sorted(key for key, value in wanted.items() if given.get(key) != value))


def read_overlaps(es: Elasticsearch, family: str, wanted: Sequence[Resource]) -> list[Overlap]:
    """The overlaps on a cluster, with what the winner takes away.

    Raises:
        ServerError: the cluster refused.
    """
    priority = next(r.body["priority"] for r in wanted if r.key == f"index_template/rank-{family}")
    with server_errors("read index templates"):
        overlaps = find_overlaps(family, priority, es.indices.get_index_template().body["index_templates"])
        if not overlaps or overlaps[0].effect != "shadows ours":
            return overlaps
        simulated = es.indices.simulate_index_template(name=f"{family}-000001").body.get("template", {})
    winner = overlaps[0]
    lost = lost_keys(wanted, simulated)
    return [
        Overlap(
            name=winner.name,
            patterns=winner.patterns,
            priority=winner.priority,
            effect=winner.effect,
            lost=lost,
        ),
        *overlaps[1:],
    ]


def _keys(template: Mapping[str, Any]) -> dict[str, str]:
    settings = flatten(template.get("settings", {}))
    keys = {
        f"settings.{name if name.startswith('index.') else f'index.{name}'}": str(value)
        for name, value in settings.items()
    }
    properties = template.get("mappings", {}).get("properties", {})
    keys |= {f"mappings.{name}": str(sorted(flatten(body).items())) for name, body in properties.items()}
    return keys


def _some(names: Sequence[str], n: int = 4) -> str:
    shown = ", ".join(names[:n])
    return f"{shown} and {len(names) - n} more" if len(names) > n else shown
