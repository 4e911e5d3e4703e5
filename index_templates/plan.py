"""Plan, then apply: one list of steps serves the preview and the deed.

`plan_steps` is a pure function of files and cluster. `apply_steps` looks at each resource again before it
writes, and refuses where a colleague was faster.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from elasticsearch import Elasticsearch

from index_templates.desired import MANAGED_BY, Kind, Resource
from index_templates.live import normalize, read_live
from ranking.errors import ConfigError, StalePlan
from ranking.es import server_errors

Action = Literal["create", "update"]


@dataclass(frozen=True, slots=True)
class Step:
    """One write to the cluster state."""

    action: Action
    resource: Resource  # what it will hold
    before: Mapping[str, Any] | None  # what the cluster held when the plan was made

    @property
    def name(self) -> str:
        """Kind and name, such as `index_template/rank-items`."""
        return self.resource.key

    def diff(self) -> str:
        """A unified diff from what the cluster holds to what it will hold, in stored form."""
        before, after = (
            [] if body is None else json.dumps(body, indent=2, sort_keys=True).splitlines()
            for body in (
                normalize(self.resource.kind, self.before),
                normalize(self.resource.kind, self.resource.body),
            )
        )
        names = (f"cluster/{self.name}", f"files/{self.name}")
        return "\n".join(difflib.unified_diff(before, after, *names, lineterm="", n=2))


def plan_steps(wanted: Iterable[Resource], live: Mapping[str, Mapping[str, Any] | None]) -> list[Step]:
    """What must be written to bring `live` to `wanted`; empty where nothing differs.

    Raises:
        ConfigError: a resource of that name exists that this toolkit did not make.
    """
    steps = []
    for resource in wanted:
        before = live.get(resource.key)
        if before is None:
            steps.append(Step("create", resource, None))
        elif normalize(resource.kind, before) != normalize(resource.kind, resource.body):
            made_by = before.get("_meta", {}).get("managed_by")
            if resource.kind != "script" and made_by != MANAGED_BY:
                raise ConfigError(
                    resource.key,
                    ["the cluster holds one that this toolkit did not make"],
                    hint="rename or remove it, or choose another index family with --index",
                )
            steps.append(Step("update", resource, dict(before)))
    return steps


def apply_steps(
    es: Elasticsearch, steps: Iterable[Step], *, on_step: Callable[[Step], None] | None = None
) -> int:
    """Write the steps in order; returns how many.

    Raises:
        StalePlan: the cluster changed since the plan was made; nothing was written.
        ServerError: the cluster refused a step; the steps before it stand, and `apply` again goes on.
    """
    steps = list(steps)
    now = read_live(es, [step.resource for step in steps])
    changed = [
        step.name
        for step in steps
        if normalize(step.resource.kind, now[step.name]) != normalize(step.resource.kind, step.before)
    ]
    if changed:
        raise StalePlan(changed)
    for step in steps:
        with server_errors(f"write {step.name}"):
            _WRITE[step.resource.kind](es, step.resource)
        if on_step is not None:
            on_step(step)
    return len(steps)


def _put_script(es: Elasticsearch, resource: Resource) -> None:
    es.put_script(id=resource.name, context="score", script=resource.body)  # compiled now


def _put_pipeline(es: Elasticsearch, resource: Resource) -> None:
    es.ingest.put_pipeline(
        id=resource.name,
        description=resource.body["description"],
        processors=resource.body["processors"],
        meta=resource.body["_meta"],
    )


def _put_component(es: Elasticsearch, resource: Resource) -> None:
    es.cluster.put_component_template(
        name=resource.name, template=resource.body["template"], meta=resource.body["_meta"]
    )


def _put_index_template(es: Elasticsearch, resource: Resource) -> None:
    es.indices.put_index_template(
        name=resource.name,
        index_patterns=resource.body["index_patterns"],
        composed_of=resource.body["composed_of"],
        priority=resource.body["priority"],
        meta=resource.body["_meta"],
    )


_WRITE: dict[Kind, Callable[[Elasticsearch, Resource], None]] = {
    "script": _put_script,
    "ingest_pipeline": _put_pipeline,
    "component_template": _put_component,
    "index_template": _put_index_template,
}
