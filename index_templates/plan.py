"""Plan, then apply: one list of steps serves the preview, the deed and the way back.

`plan_steps` is a pure function of files and cluster. `apply_steps` looks at each resource again before it
writes, and refuses where a colleague was faster. What is written is kept by `index_templates.history`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from elasticsearch import Elasticsearch

from index_templates.desired import KINDS, Kind, Resource
from index_templates.live import is_ours, normalize, read_live, same
from index_templates.write import remove, write
from ranking.errors import ConfigError, StalePlan
from ranking.es import server_errors

Action = Literal["create", "update", "delete"]
INVERSE: dict[Action, Action] = {"create": "delete", "update": "update", "delete": "create"}
DONE: dict[Action, str] = {"create": "created", "update": "updated", "delete": "deleted"}


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the cluster state."""

    action: Action
    name: str  # kind and name, such as `index_template/rank-items`
    before: Mapping[str, Any] | None  # what the cluster held when the plan was made
    after: Mapping[str, Any] | None  # what it will hold

    @classmethod
    def between(cls, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Step:
        """The step from one body to another; None stands for nothing there."""
        action: Action = "create" if before is None else "delete" if after is None else "update"
        return cls(action, name, before, after)

    @property
    def kind(self) -> Kind:
        """What sort of resource it is."""
        return cast(Kind, self.name.partition("/")[0])

    @property
    def resource(self) -> Resource:
        """The resource as it will be; for a delete, as it was."""
        return Resource(self.kind, self.name.partition("/")[2], dict(self.after or self.before or {}))

    def reverse(self) -> Step:
        """The step that undoes this one."""
        return Step(INVERSE[self.action], self.name, before=self.after, after=self.before)

    def diff(self) -> str:
        """A unified diff from what the cluster holds to what it will hold, in stored form."""
        before, after = (
            [] if body is None else _lines(normalize(self.kind, body)) for body in (self.before, self.after)
        )
        names = (f"cluster/{self.name}", f"files/{self.name}")
        return "\n".join(difflib.unified_diff(before, after, *names, lineterm="", n=2))


def plan_steps(wanted: Iterable[Resource], live: Mapping[str, Mapping[str, Any] | None]) -> list[Step]:
    """What must be done to bring `live` to `wanted`; empty where nothing differs.

    A live resource of ours that is not wanted any more is deleted; `live` holds such ones where it was
    completed by `read_owned`.

    Raises:
        ConfigError: a resource of that name exists that this toolkit did not make.
    """
    wanted = list(wanted)
    steps = []
    for resource in wanted:
        before = live.get(resource.key)
        if before is None:
            steps.append(Step("create", resource.key, None, resource.body))
        elif not same(resource.kind, before, resource.body):
            if resource.kind != "script" and not is_ours(before):
                raise ConfigError(
                    resource.key,
                    ["the cluster holds one that this toolkit did not make"],
                    hint="rename or remove it, or choose another index family with --index",
                )
            steps.append(Step("update", resource.key, dict(before), _next_version(before, resource)))
    kept = {resource.key for resource in wanted}
    gone = [
        Step("delete", key, dict(body), None)
        for key, body in live.items()
        if key not in kept and body is not None and is_ours(body)
    ]
    return in_order([*steps, *gone])


def removal_steps(wanted: Iterable[Resource], live: Mapping[str, Mapping[str, Any] | None]) -> list[Step]:
    """Steps that take a family's templates and pipelines away again; the shared scripts stay."""
    found = [(resource, live.get(resource.key)) for resource in wanted if resource.kind != "script"]
    return in_order(Step("delete", resource.key, dict(body), None) for resource, body in found if body)


def in_order(steps: Iterable[Step]) -> list[Step]:
    """Writes first, each kind before those that refer to it; then deletes, the other way round."""
    steps = list(steps)
    writes = [step for step in steps if step.action != "delete"]
    deletes = [step for step in steps if step.action == "delete"]
    return [
        *sorted(writes, key=lambda step: KINDS.index(step.kind)),
        *sorted(deletes, key=lambda step: -KINDS.index(step.kind)),
    ]


def check_unchanged(es: Elasticsearch, steps: Iterable[Step]) -> None:
    """See that the cluster still holds what the plan was made from.

    Raises:
        StalePlan: it does not; `changed` names what differs.
    """
    steps = list(steps)
    now = read_live(es, [step.resource for step in steps])
    changed = [step.name for step in steps if not same(step.kind, now[step.name], step.before)]
    if changed:
        raise StalePlan(changed)


def apply_steps(
    es: Elasticsearch, steps: Iterable[Step], *, on_step: Callable[[Step], None] | None = None
) -> int:
    """Do the steps in order; returns how many.

    Raises:
        StalePlan: the cluster changed since the plan was made; nothing was written.
        ServerError: the cluster refused a step; the steps before it stand, and `apply` again goes on.
    """
    steps = list(steps)
    check_unchanged(es, steps)
    for step in steps:
        with server_errors(f"{step.action} {step.name}"):
            if step.action == "delete":
                remove(es, step.resource)
            else:
                write(es, step.resource)
        if on_step is not None:
            on_step(step)
    return len(steps)


def _next_version(before: Mapping[str, Any], resource: Resource) -> dict[str, Any]:
    if "_meta" not in resource.body:
        return resource.body
    held = (before.get("_meta") or {}).get("version", 0)
    return {**resource.body, "_meta": {**resource.body["_meta"], "version": int(held) + 1}}


def _lines(body: Mapping[str, Any] | None) -> list[str]:
    """Indented JSON, a long text such as a script's source as one line each, so that a diff can be read."""
    lines = []
    for line in json.dumps(body, indent=2, sort_keys=True).splitlines():
        head, quote, text = line.partition('": "')
        if not quote or "\\n" not in text:
            lines.append(line)
            continue
        source: str = json.loads('"' + text.rstrip(",").rstrip('"') + '"')
        lines.append(f'{head}":')
        lines += [f"    | {part}" for part in source.splitlines()]
    return lines
