"""Rounds in turns against the same engines, whatever they send."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

from loadtest.counters import Watch
from loadtest.plan import Plan, order
from loadtest.results import SIDES, Result, RoundResult, Side, summed_up
from loadtest.sender import Kind, Load, Sender, Work, sender
from loadtest.shapes import Shape
from loadtest.targets import Broker, ModelServer, Target


class Source(Protocol):
    """One kind of request: searches, item messages or photos."""

    @property
    def kind(self) -> Kind:
        """Which one."""

    @property
    def target(self) -> Target | Broker | ModelServer:
        """Where they go, and what they carry."""

    @property
    def at(self) -> tuple[float, ...]:
        """Intended starts of an open round in seconds; empty for a closed one."""

    @property
    def shape(self) -> Shape | None:
        """What the intended starts follow, where that is no log."""

    @property
    def only(self) -> Side | None:
        """The one side that sends them; both where None."""

    def load(self, side: Side) -> Load | None:
        """The next round of a side; None where that side has none of it."""

    def warm_up(self, running: Sender) -> None:
        """Before the first round; nothing of it counts."""


def run_rounds(
    sources: Sequence[Source],
    *,
    labels: Mapping[Side, str],
    said: Mapping[str, Any],
    plan: Plan,
    watches: Mapping[Kind, Watch],
    advance: Callable[[int], object] = lambda _n: None,
    note: Callable[[Sequence[RoundResult]], object] = lambda _one: None,
) -> Result:
    """Play all rounds.

    Args:
        sources: what is sent together in a round.
        labels: what each side is; one side alone is the contender.
        said: what was sent, for the reader.
        plan: how many rounds, and by how many processes.
        watches: which server's counters are kept with which kind.
        advance: is told how many more requests were answered.
        note: is given each round, by kind, when it ends.

    Raises:
        LoadError: Locust is not there, or a process that sends ended.
    """
    sides = [side for side in SIDES if side in labels]
    shapes: dict[Kind, Shape | None] = {one.kind: one.shape for one in sources}
    shapes["searchable"] = shapes.get("publish")
    results: list[RoundResult] = []
    work: Work = {one.kind: one.target for one in sources}
    with sender(work, processes=plan.processes, commands=plan.workers) as running:
        for one in sources:
            one.warm_up(running)
        for number, side in order(plan.rounds, sides):
            loads = [load for one in sources if (load := one.load(side)) is not None]
            with ExitStack() as stack:
                seen = {kind: stack.enter_context(watch()) for kind, watch in watches.items()}
                played = running.play(loads, advance)
            done = [
                summed_up(side, number, samples, kind=kind, server=seen.get(kind), plan=shapes[kind])
                for kind, samples in played.items()
            ]
            results += done
            note(done)
    return Result(labels=labels, workload=said, rounds=tuple(results))


def expected(sources: Sequence[Source], plan: Plan, sides: Sequence[Side]) -> int | None:
    """Requests that all rounds send; None for a closed load, which sends what it can."""
    if plan.mode == "closed":
        return None
    return plan.rounds * sum(len(one.at) for one in sources for side in sides if one.only in (None, side))
