"""What a load test leaves behind: one `RoundResult` a round, from which every figure is computed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from loadtest.histogram import Counts, record
from loadtest.sender import KINDS, Kind, Sample
from loadtest.shapes import Shape
from ranking.errors import InputError
from ranking.whole_file import write_text

Side = Literal["baseline", "contender"]
SIDES: tuple[Side, Side] = ("baseline", "contender")
FORMAT = 2


@dataclass(frozen=True, slots=True)
class StepResult:
    """One plateau of a shape."""

    rate: float  # requests/s that it meant to send
    n: int  # answered without an error
    n_errors: int
    per_second: float  # answered without an error, by its end and what it had left to answer then
    latency: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundResult:
    """One kind of request in one round of one side. Times are of those without an error."""

    kind: Kind = "search"
    side: Side
    number: int  # of its pair, from 0
    seconds: float  # from the first intended start to the last answer
    n: int  # requests sent
    errors: Mapping[str, int]
    latency: Counts  # from the intended start
    service_time: Counts  # from the actual start
    took: Counts  # of searches, as the server says, whole ms
    late: Counts  # actual start after the intended one: the sender's own lag and the wait for a connection
    server: Mapping[str, int | None] = field(default_factory=dict)  # loadtest/counters.py; empty where unseen
    steps: tuple[StepResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A load test of two sides, or of the contender alone."""

    labels: Mapping[Side, str]  # what each side is, such as a profile's name and hash
    workload: Mapping[str, Any]  # what was sent, for the reader
    rounds: tuple[RoundResult, ...]

    @property
    def sides(self) -> list[Side]:
        """Those that ran."""
        return [side for side in SIDES if side in self.labels]

    @property
    def kinds(self) -> list[Kind]:
        """What was sent, in the order of reports."""
        return [kind for kind in KINDS if any(one.kind == kind for one in self.rounds)]

    def of(self, side: Side, kind: Kind = "search") -> list[RoundResult]:
        """The rounds of one side, in their order."""
        return [one for one in self.rounds if (one.side, one.kind) == (side, kind)]


def summed_up(
    side: Side,
    number: int,
    samples: Sequence[Sample],
    *,
    kind: Kind = "search",
    server: Mapping[str, int | None] | None = None,
    plan: Shape | None = None,
) -> RoundResult:
    """One round's samples as histograms and counts."""
    good = [one for one in samples if not one.error]
    return RoundResult(
        kind=kind,
        side=side,
        number=number,
        seconds=max((one.ended for one in samples), default=0.0),
        n=len(samples),
        errors=dict(Counter(one.error for one in samples if one.error)),
        latency=record(one.latency for one in good),
        service_time=record(one.service_time for one in good),
        took=record(one.took_ms / 1000 for one in good if one.took_ms >= 0),
        late=record(max(one.started - one.intended, 0.0) for one in samples),
        server=dict(server or {}),
        steps=tuple(_steps(samples, plan)) if plan is not None else (),
    )


def _steps(samples: Sequence[Sample], plan: Shape) -> Iterable[StepResult]:
    for i, (start, rate) in enumerate(plan.steps):
        mine = [one for one in samples if plan.step_of(one.intended) == i]
        good = [one for one in mine if not one.error]
        end = plan.steps[i + 1][0] if i + 1 < len(plan.steps) else plan.times[-1]
        took = max(end, max((one.ended for one in good), default=end)) - start
        latency = record(one.latency for one in good)
        yield StepResult(rate, len(good), len(mine) - len(good), len(good) / took, latency)


def write_result(result: Result, out: Path) -> Path:
    """Write the file, whole or not at all."""
    return write_text(out, [json.dumps({"format": FORMAT, **asdict(result)}, separators=(",", ":"))])


def read_result(path: Path) -> Result:
    """Read what `write_result` wrote.

    Raises:
        InputError: it is not such a file.
    """
    hint = "give a file that a load test wrote with --out"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise InputError(
                f"{path} has format {data['format']}, and this version reads {FORMAT}", hint=hint
            )
        rounds = tuple(_round(one) for one in data["rounds"])
        return Result(labels=data["labels"], workload=data["workload"], rounds=rounds)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise InputError(f"{path} is not a load test's result: {e}", hint=hint) from e


def _round(data: dict[str, Any]) -> RoundResult:
    for name in ("latency", "service_time", "took", "late"):
        data[name] = _counts(data[name])
    data["steps"] = tuple(StepResult(**{**one, "latency": _counts(one["latency"])}) for one in data["steps"])
    return RoundResult(**data)


def _counts(data: dict[str, Any]) -> Counts:
    return Counts(tuple(data["values_us"]), tuple(data["counts"]))
