"""The service level that a contender must hold, as a YAML file, and the verdict.

latency_ms: {p95: 80, p99: 150}      # of the contender, from the intended start
service_time_ms: {p99: 120}          # from the actual start
max_error_rate: 0.001
max_rejections: 0                    # of Elasticsearch's search thread pool
max_ratio: {p95: 1.10}               # contender / baseline, latency
max_late_ms: 20                      # p99 by which searches start late: above it, the sender is the limit
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loadtest.histogram import merged
from loadtest.results import SIDES, Result, Side
from loadtest.summary import Summary
from ranking.errors import ConfigError

Percentile = Literal["p50", "p90", "p95", "p99", "p99.9", "max"]
Limit = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=False)]


class Slo(BaseModel):
    """Limits; what is left out is not judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: dict[Percentile, Limit] = {}
    service_time_ms: dict[Percentile, Limit] = {}
    max_error_rate: float | None = Field(default=None, ge=0, le=1)
    max_rejections: int | None = Field(default=None, ge=0)
    max_ratio: dict[Percentile, Limit] = {}
    max_late_ms: Limit | None = None


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
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(path, [e.strerror or str(e)]) from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as e:
        raise ConfigError(path, [f"not YAML: {' '.join(str(e).split())}"]) from e
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
    """Every limit of the file against the contender."""
    side = summary.sides["contender"]
    checks = []
    for measure, limits in (("latency", slo.latency_ms), ("service_time", slo.service_time_ms)):
        for name, limit in limits.items():
            found = summary.row(measure, _percent(name)).contender
            checks.append(_check(f"{measure}_ms {name}", limit, found))
    for name, limit in slo.max_ratio.items():
        checks.append(_check(f"latency ratio {name}", limit, summary.row("latency", _percent(name)).ratio))
    if slo.max_error_rate is not None:
        checks.append(_check("error rate", slo.max_error_rate, side.error_rate if side.n else None))
    if slo.max_rejections is not None:
        checks.append(_check("rejections", slo.max_rejections, side.server.get("rejected")))
    if slo.max_late_ms is not None:
        checks.append(_check("late start p99 ms", slo.max_late_ms, side.late_p99_ms))
    return checks


def throughput_at_slo(slo: Slo, result: Result) -> dict[Side, float | None]:
    """Searches/s of the highest step that holds latency and error rate, with all steps below it.

    None: the shape has no steps, or the first one does not hold.
    """
    return {side: _highest(slo, result, side) for side in SIDES}


def _highest(slo: Slo, result: Result, side: Side) -> float | None:
    rounds = [one.steps for one in result.of(side)]
    best = None
    for steps in zip(*rounds, strict=True):
        latency = merged([step.latency for step in steps])
        good, bad = sum(step.n for step in steps), sum(step.n_errors for step in steps)
        slow = any(
            (found := latency.percentile_ms(_percent(name))) is None or found > limit
            for name, limit in slo.latency_ms.items()
        )
        allowed = slo.max_error_rate or 0.0
        if slow or not good or bad / (good + bad) > allowed:
            break
        best = sum(step.per_second for step in steps) / len(steps)
    return best


def _check(what: str, limit: float, found: float | None) -> Check:
    return Check(what, limit, found, found is not None and found <= limit)


def _percent(name: str) -> float:
    return 100.0 if name == "max" else float(name[1:])
