"""The faults, by name: each made in the middle of a run, and over when its function returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Final

from tests.faults.run import Fault, Run

ENGINES: Final = ("triton", "elasticsearch", "kafka")
DOWN_S: Final = 3.0  # between the kill and the start
FROZEN_S: Final = 10.0
STORM_S: Final = 12.0
CUT_S: Final = 60.0
SHORT_CUT_S: Final = 20.0  # in the selection that `make test` runs


def nothing(run: Run) -> None:
    """A run in which nothing breaks."""


def kill(*victims: str) -> Callable[[Run], None]:
    """`kill -9` of engines and consumer at one moment; all are started again, the consumer at once."""

    def inject(run: Run) -> None:
        for victim in victims:
            if victim == "consumer":
                run.consumers[-1].kill()
            else:
                run.engines.kill(victim)
        if "consumer" in victims:
            run.consume()
        if engines := [victim for victim in victims if victim != "consumer"]:
            time.sleep(DOWN_S)
            run.engines.start(engines)

    return inject


def kill_model(run: Run) -> None:
    """The model's process is gone; who watches the model's readiness starts Triton again."""
    before = run.engines.pid("triton")
    if not run.engines.kill_model():
        raise RuntimeError("Triton has no model process")
    time.sleep(DOWN_S)
    run.engines.start(["triton"])
    if run.engines.pid("triton") == before:
        raise RuntimeError("Triton was not started again")


def freeze(engine: str, seconds: float) -> Callable[[Run], None]:
    """SIGSTOP: connections stay open, and nothing is answered."""

    def inject(run: Run) -> None:
        run.engines.freeze(engine)
        time.sleep(seconds)
        run.engines.thaw(engine)

    return inject


def slow_triton(run: Run) -> None:
    """Each answer of Triton is 10 s under way."""
    run.triton_door.delay_s = 10.0
    time.sleep(2 * STORM_S)
    run.triton_door.delay_s = 0.0


def storm(run: Run) -> None:
    """Half of the bulk requests are refused with 429, and a third of the items in the others."""
    run.bulk.refused_requests, run.bulk.refused_items = 0.5, 0.33
    time.sleep(STORM_S)
    run.bulk.refused_requests = run.bulk.refused_items = 0.0
    if not run.bulk.n_refused_items:
        raise RuntimeError("the storm met no item")


def read_only_index(run: Run) -> None:
    """Someone, or the disk, has made the index read-only."""
    block = "index.blocks.read_only_allow_delete"
    run.es.indices.put_settings(index=run.name, settings={block: True})
    time.sleep(STORM_S)
    run.es.indices.put_settings(index=run.name, settings={block: None})


def disk_watermark(run: Run) -> None:
    """The disk is fuller than the flood stage says, until someone raises it."""
    settings = {
        "cluster.routing.allocation.disk.threshold_enabled": True,
        "cluster.routing.allocation.disk.watermark.low": "99999gb",
        "cluster.routing.allocation.disk.watermark.high": "99998gb",
        "cluster.routing.allocation.disk.watermark.flood_stage": "99997gb",
        "cluster.info.update.interval": "10s",
    }
    run.es.cluster.put_settings(persistent=settings)
    try:
        _wait_for_block(run, there=True)
        time.sleep(STORM_S)
    finally:
        run.es.cluster.put_settings(persistent=dict.fromkeys(settings))
    _wait_for_block(run, there=False)


def _wait_for_block(run: Run, *, there: bool) -> None:
    """Until the server has seen what its disk holds, which it looks at every so often."""
    for _ in range(120):
        for found in run.es.indices.get_settings(index=run.name, flat_settings=True).values():
            blocked = found["settings"].get("index.blocks.read_only_allow_delete") == "true"
            if blocked == there:
                return
        time.sleep(0.5)
    raise TimeoutError(f"the index is {'not ' if there else ''}read-only")


def cut(seconds: float, *, triton: bool = True) -> Callable[[Run], None]:
    """The cable to Elasticsearch and Triton is out; what was under way arrives after it."""

    def inject(run: Run) -> None:
        doors = [run.es_door, run.triton_door] if triton else [run.es_door]
        for door in doors:
            door.cut()
        time.sleep(seconds)
        for door in doors:
            door.mend()

    return inject


def rebalance(run: Run) -> None:
    """Two more consumers join in the middle of batches; one leaves in order, one is killed."""
    second = run.consume()
    run.wait_members(2)
    run.wait_done(0.4)
    third = run.consume()
    run.wait_members(3)
    run.wait_done(0.55)
    if second.alive and second.stop() is None:
        raise RuntimeError(f"{second.name} did not end well: {second.last_words()}")
    third.kill()


def _killed(names: Sequence[str]) -> Fault:
    return Fault(
        name=f"kill_{'_'.join(names)}",
        what=f"`kill -9` of {' and '.join(NAMES[name] for name in names)}, started again",
        inject=kill(*names),
        kills=[name for name in names if name != "consumer"],
        supervised="consumer" in names,
    )


NAMES: Final = {
    "triton": "Triton",
    "elasticsearch": "Elasticsearch",
    "kafka": "Kafka",
    "consumer": "the consumer",
}
# A client that gives up sooner than the cable is mended sends again what the server gets twice, late.
_IMPATIENT: Final = {"ELASTICSEARCH_TIMEOUT_S": "5"}
_ALL = [
    Fault("none", "nothing but duplicates, disorder and poison", nothing),
    *(_killed([name]) for name in NAMES),
    *(_killed(pair) for pair in combinations(NAMES, 2)),
    Fault(
        "kill_model",
        "`kill -9` of Triton's model process, Triton started again",
        kill_model,
        kills=["triton"],
    ),
    Fault("frozen_triton", "Triton stands still for 10 s", freeze("triton", FROZEN_S), kills=["triton"]),
    Fault("frozen_kafka", "Kafka stands still for 20 s", freeze("kafka", 2 * FROZEN_S), kills=["kafka"]),
    Fault("slow_triton", "each answer of Triton takes 10 s, for 24 s", slow_triton),
    Fault("storm_429", "half of the bulk requests and a third of the items get 429, for 12 s", storm),
    Fault("read_only_index", "the index is read-only for 12 s", read_only_index),
    Fault("disk_watermark", "the disk is above its flood stage", disk_watermark),
    Fault("network_cut", "no network to Elasticsearch and Triton for 60 s", cut(CUT_S), env=_IMPATIENT),
    Fault(
        "elasticsearch_cut",
        "no network to Elasticsearch for 20 s, requests given up after 5 s arrive after it",
        cut(SHORT_CUT_S, triton=False),
        env=_IMPATIENT,
    ),
    Fault(
        "clock_skew",
        "producers' clocks 50 minutes ahead and behind, the consumer's two hours ahead",
        nothing,
        skew=True,
    ),
    Fault("rebalance", "two consumers join, one leaves, one is killed", rebalance, pace=0.3),
]
FAULTS: Final = {fault.name: fault for fault in _ALL}
# What `make test` runs: the pair that loses most, and late writes after newer ones.
QUICK: Final = ("kill_elasticsearch_consumer",)  # what `make test` runs

__all__ = ["FAULTS", "QUICK"]
