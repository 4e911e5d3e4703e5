"""The service level that a contender must hold, as a YAML file, and the verdict.

latency_ms: {p95: 80, p99: 150}      # of the contender, from the intended start
service_time_ms: {p99: 120}          # from the actual start
max_error_rate: 0.001
max_rejections: 0                    # of Elasticsearch's search thread pool
max_ratio: {p95: 1.10}               # contender / baseline, latency
max_late_ms: 20                      # p99 by which searches start late: above it, the sender is the limit
publish: {latency_ms: {p99: 100}}         # item messages, until the brokers have them
searchable: {latency_ms: {p95: 3000}}     # until a search finds the item
score: {latency_ms: {p99: 200}, max_error_rate: 0.001}

The last three take latency_ms, service_time_ms, max_error_rate and max_late_ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loadtest.histogram import merged
from loadtest.results import Result, Side, StepResult
from loadtest.sender import Kind
from loadtest.summary import MEASURES, Summary
from ranking.errors import ConfigError, InputError
from ranking.yaml_file import read_yaml

Percentile = Literal["p50", "p90", "p95", "p99", "p99.9", "max"]
Limit = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=False)]


class Limits(BaseModel):
    """Of one kind of request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: dict[Percentile, Limit] = {}
    service_time_ms: dict[Percentile, Limit] = {}
    max_error_rate: float | None = Field(default=None, ge=0, le=1)
    max_late_ms: Limit | None = None


class Slo(Limits):
    """Limits, of searches first; what is left out is not judged."""

    max_rejections: int | None = Field(default=None, ge=0)
    max_ratio: dict[Percentile, Limit] = {}
    publish: Limits | None = None
    searchable: Limits | None = None
    score: Limits | None = None

    def of(self, kind: Kind) -> Limits:
        """The limits of one kind."""
        return self if kind == "search" else getattr(self, kind) or Limits()


@dataclass(frozen=True, slots=True)
class Check:
    """One limit, held or not."""

    what: str
    limit: float
    found: float | None  # None: nothing was measured, which does not hold
    holds: bool

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def read_slo(path: Path) -> Slo:
    """Read the file.

    Raises:
        ConfigError: it cannot be read, or keys are wrong: all of them at once.
    """
    data = read_yaml(path)
    if not isinstance(data, dict) or not data:
        raise ConfigError(path, ["an SLO is a mapping of limits, see docs/loadtest.md"])
    try:
        return Slo.model_validate(data)
    except ValidationError as e:
        problems = [
            f"{'.'.join(map(str, one['loc'])).removesuffix('.[key]')}: {one['msg']}" for one in e.errors()
        ]
        raise ConfigError(path, problems) from None


def judge(slo: Slo, summary: Summary) -> list[Check]:
    """Every limit of the file on what was sent, against the contender.

    Raises:
        InputError: there is none, so that nothing would be judged.
    """
    checks = [check for kind in summary.figures for check in _of_kind(slo.of(kind), kind, summary)]
    if "search" in summary.figures:
        side = summary.figures["search"]["contender"]
        for name, limit in slo.max_ratio.items():
            ratio = summary.row("latency", _percent(name)).ratio
            checks.append(_check(f"latency ratio {name}", limit, ratio))
        if slo.max_rejections is not None:
            checks.append(_check("rejections", slo.max_rejections, side.server.get("rejected")))
    if not checks:
        sent = ", ".join(summary.figures)
        raise InputError(f"the SLO has no limit on what was sent: {sent}", hint="see docs/loadtest.md")
    return checks


def _of_kind(limits: Limits, kind: Kind, summary: Summary) -> list[Check]:
    prefix = "" if kind == "search" else f"{kind} "
    side = summary.figures[kind].get("contender")
    checks = []
    for measure, of_measure in (("latency", limits.latency_ms), ("service_time", limits.service_time_ms)):
        for name, limit in of_measure.items():
            found = summary.row(measure, _percent(name), kind).contender if _has(kind, measure) else None
            checks.append(_check(f"{prefix}{measure}_ms {name}", limit, found))
    if limits.max_error_rate is not None:
        found = side.error_rate if side is not None and side.n else None
        checks.append(_check(f"{prefix}error rate", limits.max_error_rate, found))
    if limits.max_late_ms is not None:
        found = side.late_p99_ms if side is not None else None
        checks.append(_check(f"{prefix}late start p99 ms", limits.max_late_ms, found))
    return checks


def _has(kind: Kind, measure: str) -> bool:
    return measure in MEASURES[kind]


@dataclass(frozen=True, slots=True)
class Step:
    """One plateau of a shape, over all rounds of a side."""

    kind: Kind
    side: Side
    rate: float  # requests/s that it meant to send
    per_second: float  # answered without an error; less than the rate where the server fell behind
    n: int  # sent
    n_errors: int
    p50_ms: float | None  # latency
    p99_ms: float | None
    holds: bool | None  # the kind's limits on latency and errors; None where there are none

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def read_steps(result: Result, slo: Slo | None = None) -> list[Step]:
    """Every plateau, of every kind and side; none where the shape has none."""
    found = []
    for kind in result.kinds:
        for side in result.sides:
            for steps in zip(*(one.steps for one in result.of(side, kind)), strict=True):
                found.append(_step(kind, side, steps, None if slo is None else slo.of(kind)))
    return found


def _step(kind: Kind, side: Side, rounds: Sequence[StepResult], limits: Limits | None) -> Step:
    latency = merged([one.latency for one in rounds])
    good, bad = sum(one.n for one in rounds), sum(one.n_errors for one in rounds)
    holds = None
    if limits is not None and (limits.latency_ms or limits.max_error_rate is not None):
        slow = any(
            (found := latency.percentile_ms(_percent(name))) is None or found > limit
            for name, limit in limits.latency_ms.items()
        )
        holds = not slow and good > 0 and bad / (good + bad) <= (limits.max_error_rate or 0.0)
    return Step(
        kind,
        side,
        rounds[0].rate,
        sum(one.per_second for one in rounds) / len(rounds),
        good + bad,
        bad,
        latency.percentile_ms(50),
        latency.percentile_ms(99),
        holds,
    )


def throughput_at_slo(slo: Slo, result: Result) -> dict[Kind, dict[Side, float | None]]:
    """Requests/s of the highest step that holds latency and error rate, with all steps below it.

    Of kinds whose shape has steps and which have limits; None where the first step does not hold. A step of
    item messages holds where the searches for them hold too.
    """
    steps = read_steps(result, slo)
    found: dict[Kind, dict[Side, float | None]] = {}
    for kind in result.kinds:
        judged_by: tuple[Kind, ...] = ("publish", "searchable") if kind == "publish" else (kind,)
        for side in result.sides if kind != "searchable" else ():
            own = [[one for one in steps if (one.kind, one.side) == (by, side)] for by in judged_by]
            judged = [of_kind for of_kind in own if any(one.holds is not None for one in of_kind)]
            if not judged or not own[0]:
                continue
            best = None
            for at, *by in zip(own[0], *judged, strict=True):
                if not all(one.holds for one in by):
                    break
                best = at.per_second
            found.setdefault(kind, {})[side] = best
    return found


def _check(what: str, limit: float, found: float | None) -> Check:
    return Check(what, limit, found, found is not None and found <= limit)


def _percent(name: str) -> float:
    return 100.0 if name == "max" else float(name[1:])
