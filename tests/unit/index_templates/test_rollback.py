"""The way back is computed from the history and from what the cluster holds; no server is needed."""

from __future__ import annotations

import pytest

from index_templates.history import Entry
from index_templates.plan import Step, in_order
from index_templates.rollback import rollback_steps, standing, taken_back
from ranking.errors import InputError, StalePlan

A = "component_template/rank-a"
B = "index_template/rank-b"
S = "script/rank-s"


def body(n: int) -> dict:
    return {"template": {"settings": {"index.x": n}}, "_meta": {"managed_by": "rank-toolkit"}}


def entry(number: int, *steps: Step, change="apply", undoes=()) -> Entry:
    return Entry(
        number=number, change=change, at="2026-01-01", state="written", steps=steps, undoes=tuple(undoes)
    )


def test_the_earliest_before_is_what_comes_back() -> None:
    entries = [entry(2, Step.between(A, body(1), body(2))), entry(3, Step.between(A, body(2), body(3)))]
    assert rollback_steps(entries, {A: body(3)}) == [Step("update", A, body(3), body(1))]


def test_what_was_created_is_deleted_after_what_refers_to_it() -> None:
    made = entry(1, Step.between(A, None, body(1)), Step.between(B, None, body(1)))
    steps = rollback_steps([made], {A: body(1), B: body(1)})
    assert [(step.action, step.name) for step in steps] == [("delete", B), ("delete", A)]


def test_what_was_deleted_is_written_before_anything_is_deleted() -> None:
    entries = [entry(1, Step.between(B, None, body(1)), Step.between(A, body(1), None))]
    steps = rollback_steps(entries, {B: body(1), A: None})
    assert [(step.action, step.name) for step in steps] == [("create", A), ("delete", B)]


def test_a_shared_script_is_never_deleted_but_brought_back() -> None:
    script = {"lang": "painless", "source": "1"}
    assert rollback_steps([entry(1, Step.between(S, None, script))], {S: script}) == []
    older = {"lang": "painless", "source": "0"}
    steps = rollback_steps([entry(1, Step.between(S, older, script))], {S: script})
    assert [step.after for step in steps] == [older]


def test_what_is_back_already_needs_nothing_and_what_is_neither_is_refused() -> None:
    applied = entry(1, Step.between(A, body(1), body(2)))
    assert rollback_steps([applied], {A: body(1)}) == []
    with pytest.raises(StalePlan) as caught:
        rollback_steps([applied], {A: body(9)})
    assert caught.value.changed == [A]


def test_a_rollback_takes_applies_off_the_top() -> None:
    entries = [entry(1), entry(2), entry(3), entry(4, change="rollback", undoes=[3]), entry(5)]
    assert [e.number for e in standing(entries)] == [1, 2, 5]
    assert [e.number for e in taken_back(entries)] == [5]
    assert [e.number for e in taken_back(entries, to=1)] == [2, 5]
    assert [e.number for e in taken_back(entries, to=0)] == [1, 2, 5]
    for wrong in (3, 5, 9):
        with pytest.raises(InputError, match=f"--to {wrong}"):
            taken_back(entries, to=wrong)
    with pytest.raises(InputError, match="nothing was applied"):
        taken_back([])


def test_a_step_knows_its_kind_and_its_inverse() -> None:
    step = Step.between(A, None, body(1))
    assert (step.action, step.kind, step.resource.name) == ("create", "component_template", "rank-a")
    assert step.reverse() == Step("delete", A, body(1), None)
    assert step.reverse().reverse() == step
    assert in_order([step.reverse(), step])[0] == step
