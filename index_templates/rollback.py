"""Applying with a memory, and the way back: what an apply overwrote is written again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from elasticsearch import Elasticsearch

from index_templates import history
from index_templates.desired import Resource
from index_templates.history import Change, Entry
from index_templates.live import read_live, same
from index_templates.plan import Step, apply_steps, check_unchanged, in_order
from ranking.errors import InputError, ServerError, StalePlan
from ranking.es import server_errors


def deploy(
    es: Elasticsearch,
    family: str,
    steps: Sequence[Step],
    *,
    now_ms: int,
    change: Change = "apply",
    undoes: Sequence[int] = (),
    on_step: Callable[[Step], None] | None = None,
) -> Entry | None:
    """Do the steps and keep what they overwrote; None where there was nothing to do.

    Raises:
        StalePlan: the cluster changed since the plan was made, or somebody applies at this moment.
        ServerError: the cluster refused; the steps before stand and can be rolled back.
    """
    if not steps:
        return None
    entries = history.read_history(es, family)
    check_unchanged(es, steps)
    check_deletable(es, steps)
    entry = history.begin(es, family, steps, change=change, entries=entries, now_ms=now_ms, undoes=undoes)
    apply_steps(es, steps, on_step=on_step)
    return history.finish(es, family, entry)


def standing(entries: Sequence[Entry]) -> list[Entry]:
    """The applies that no rollback took back, oldest first."""
    undone = {number for entry in entries for number in entry.undoes}
    return [entry for entry in entries if entry.change == "apply" and entry.number not in undone]


def taken_back(entries: Sequence[Entry], to: int | None = None) -> list[Entry]:
    """The applies that a rollback takes back: the last one, or all after number `to`.

    Raises:
        InputError: there is nothing to take back, or no apply of that number stands.
    """
    stand = standing(entries)
    if not stand:
        raise InputError("nothing was applied that could be rolled back")
    if to is None:
        return stand[-1:]
    numbers = [entry.number for entry in stand]
    if to != 0 and to not in numbers:
        raise InputError(
            f"--to {to}: no such apply stands; there are {', '.join(map(str, numbers))}",
            hint="`rank-cli templates history` lists them; --to 0 goes back to before the first",
        )
    undone = [entry for entry in stand if entry.number > to]
    if not undone:
        raise InputError(f"--to {to}: that is the last apply; nothing came after it")
    return undone


def rollback_steps(undone: Sequence[Entry], live: Mapping[str, Mapping[str, Any] | None]) -> list[Step]:
    """The steps that undo some applies, from what the cluster holds now. Shared scripts are never deleted.

    Raises:
        StalePlan: something that was applied has been changed since by other means.
    """
    first: dict[str, Step] = {}
    last: dict[str, Step] = {}
    for entry in undone:
        for step in entry.steps:
            first.setdefault(step.name, step)
            last[step.name] = step
    changed, steps = [], []
    for name, earliest in first.items():
        now = live.get(name)
        back = last[name].reverse()
        if same(earliest.kind, now, earliest.before):
            continue  # there already, such as after an apply that was cut off
        if not same(earliest.kind, now, back.before):
            changed.append(name)
        elif earliest.before is None and earliest.kind == "script":
            continue  # other families and published profiles may run it
        else:
            steps.append(Step.between(name, now, earliest.before))
    if changed:
        raise StalePlan(changed)
    return in_order(steps)


def plan_rollback(es: Elasticsearch, family: str, to: int | None = None) -> tuple[list[Step], list[Entry]]:
    """What a rollback would do, and the applies that it takes back.

    Raises:
        InputError: there is nothing to take back.
        StalePlan: something that was applied has been changed since by other means.
    """
    undone = taken_back(history.read_history(es, family), to)
    names = dict.fromkeys(step.name for entry in undone for step in entry.steps)
    touched = [Resource(Step.between(n, {}, {}).kind, n.partition("/")[2], {}) for n in names]
    return rollback_steps(undone, read_live(es, touched)), undone


def check_deletable(es: Elasticsearch, steps: Sequence[Step]) -> None:
    """See that no index still runs a pipeline that would be deleted: the server would refuse half-way.

    Raises:
        ServerError: one does.
    """
    names = {
        step.resource.name for step in steps if (step.action, step.kind) == ("delete", "ingest_pipeline")
    }
    if not names:
        return
    with server_errors("look for indices that use the pipeline"):
        found = es.indices.get_settings(
            index="*", name="index.default_pipeline", flat_settings=True, expand_wildcards="all"
        )
    users = sorted(
        index for index, body in found.items() if body["settings"].get("index.default_pipeline") in names
    )
    if users:
        raise ServerError(
            "Elasticsearch",
            f"pipeline {', '.join(sorted(names))} would be deleted, and {', '.join(users)} still uses it",
            hint="delete or re-create those indices first, or leave the deletes out (without --yes)",
        )
