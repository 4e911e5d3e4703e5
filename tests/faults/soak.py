"""Half an hour at four fifths of what the ingest can do: does its memory grow, does it keep up?

    python -m tests.faults.soak --minutes 30

First the capacity is measured: a backlog is put on the topic and consumed as fast as it goes. Then messages
come at a share of that, and the consumer's memory and the lag of its group are written down minute by minute.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.catalogue import nothing
from tests.faults.messages import Message, Workload, make_workload
from tests.faults.processes import Publisher, wait_until
from tests.faults.run import Fault, Ground, Run

TARGET = Path(__file__).parents[2] / "benchmarks" / "results" / "soak.json"
FLAT_MB_PER_HOUR = 60.0  # the slope over the second half that still counts as flat
CYCLE_MS = 10_000_000  # how much newer the same changes are when they come round again
KEPT_CYCLES = 3  # whose photos are kept on the disk


@dataclass(frozen=True, slots=True)
class Minute:
    """One line of the record."""

    minute: int
    sent: int  # messages confirmed so far
    lag: int  # of these, not committed
    rss_mb: float


class Endless:
    """The messages of a workload round after round, each round newer and with photos never seen before."""

    def __init__(self, work: Workload) -> None:
        self._work = work
        self._round = 0

    def __iter__(self) -> Iterator[Message]:
        for self._round in itertools.count(1):
            yield from map(self._again, self._work.messages)
            self._drop(self._round - KEPT_CYCLES)

    def _again(self, message: Message) -> Message:
        if message.version is None:
            return message
        body = json.loads(message.value)
        version = message.version + self._round * CYCLE_MS
        photo = body["image_url"]
        body |= {"updated_at": version, "image_url": f"round-{self._round}/{photo}"}
        copied = self._work.root / body["image_url"]
        if not copied.exists():
            copied.parent.mkdir(exist_ok=True)
            # A JPEG ends at its end mark; what follows makes it another file with the same picture.
            copied.write_bytes((self._work.root / photo).read_bytes() + version.to_bytes(8))
        return replace(message, value=json.dumps(body).encode(), version=version)

    def _drop(self, number: int) -> None:
        for path in (self._work.root / f"round-{number}").glob("*"):
            path.unlink()


def soak(ground: Ground, *, minutes: float, share: float, n_backlog: int) -> dict[str, Any]:
    """Measure the capacity, then run at a share of it.

    Args:
        ground: engines.
        minutes: how long.
        share: of the capacity, in (0, 1).
        n_backlog: messages by which the capacity is measured.
    """
    work = make_workload(ground.folder, n_backlog)
    logs = ground.folder / "logs" / "soak"
    logs.mkdir(parents=True, exist_ok=True)
    fault = Fault("soak", "", nothing)
    with Run(ground, fault, work, 1e9, logs).in_place() as run:
        capacity = _capacity(run)
        print(f"capacity: {capacity:.1f} messages/s", file=sys.stderr)
        rate = share * capacity
        n = round(rate * 60 * minutes)
        publisher = Publisher(run.bootstrap, run.name, itertools.islice(Endless(work), n), rate)
        record = list(_minutes(run, publisher, len(work.messages), minutes))
        wait_until(lambda: publisher.done, 120, lambda: f"{publisher.confirmed} messages published")
        wait_until(
            lambda: run.committed() >= len(work.messages) + n, 300, lambda: f"{run.committed()} committed"
        )
        (consumer,) = run.consumers
        summary = consumer.stop() or {}
        indexed = run.es.count(index=run.name)["count"]
    later = record[len(record) // 2 :]
    slope = np.polyfit([m.minute for m in later], [m.rss_mb for m in later], 1)[0] if len(later) > 1 else 0.0
    return {
        "what": "the ingest at a share of its capacity, minute by minute",
        "minutes": minutes,
        "capacity_per_s": round(capacity, 1),
        "sent_per_s": round(rate, 1),
        "sent": n,
        "items": indexed,
        "rss_peak_mb": round(consumer.peak_rss_mb, 1),
        "rss_mb_per_hour": round(60 * float(slope), 1),
        "lag_max": max(m.lag for m in record),
        "lag_end": record[-1].lag,
        "by_minute": [{"minute": m.minute, "sent": m.sent, "lag": m.lag, "rss_mb": m.rss_mb} for m in record],
        "summary": summary,
    }


def _capacity(run: Run) -> float:
    """Messages a second out of a backlog, the start of the process left out."""
    publisher = Publisher(run.bootstrap, run.name, run.work.messages, 1e9)
    wait_until(lambda: publisher.done, 120, lambda: f"{publisher.confirmed} messages published")
    run.consume()
    run.wait_done(0.1)
    began, first = time.monotonic(), run.committed()
    run.wait_done()
    return (run.committed() - first) / (time.monotonic() - began)


def _minutes(run: Run, publisher: Publisher, before: int, minutes: float) -> Iterator[Minute]:
    began = time.monotonic()
    for minute in range(1, int(minutes) + 1):
        time.sleep(max(0.0, began + 60 * minute - time.monotonic()))
        sent = publisher.confirmed
        found = Minute(minute, sent, before + sent - run.committed(), round(run.consumers[0].rss_mb, 1))
        print(f"{found}", file=sys.stderr)
        yield found


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; 1 where the memory grew or the lag did."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--share", type=float, default=0.8, help="of the measured capacity")
    parser.add_argument("--backlog", type=int, default=2_000, help="messages to measure the capacity by")
    parser.add_argument("--out", type=Path, default=TARGET)
    asked = parser.parse_args(argv)
    result = soak(Ground(), minutes=asked.minutes, share=asked.share, n_backlog=asked.backlog)
    print(json.dumps(result, indent=2))
    asked.out.write_text(json.dumps(result, indent=2) + "\n")
    behind = result["lag_end"] > 10 * result["sent_per_s"]
    grew = result["rss_mb_per_hour"] > FLAT_MB_PER_HOUR and asked.minutes >= 10
    return 1 if behind or grew else 0


if __name__ == "__main__":
    raise SystemExit(main())
