"""The guardrails of a roll-out, as a YAML file, and its steps.

alpha: 0.05                    # chance that a harmless canary is rolled back, in all steps together
min_users: 500                 # of each arm, before a guardrail is judged
planned_users: 20000           # of both arms in a step: where intervals are narrowest; fixed beforehand
settle: 5m                     # left out after a step began: services still hold the document of before
sample_ratio_level: 0.001      # of each step
guardrails:
  CTR@10: {margin: 5%}                      # relative to the control
  BCR: {margin: 5%, prove: true}            # advance only once the loss is shown to be below the margin
  zero_result_rate: {margin: 1pp}           # percentage points
  took_p95: {margin: 20%}                   # or 30ms
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ranking.clock import parse_duration
from ranking.errors import ConfigError, InputError
from ranking.yaml_file import read_yaml

_MARGIN = re.compile(r"(\d+(?:\.\d+)?)\s*(%|pp|ms)?")
_CTR = re.compile(r"CTR@([1-9]\d{0,2})")
_TOOK = re.compile(r"took_p([1-9]\d?)")
_SHARES = ("zero_result_rate", "error_rate", "score_coverage")  # a relative margin of 0 would be nothing
_LESS_IS_BETTER = ("zero_result_rate", "error_rate")
NAMES = ("CTR@k", "RR", "BCR", "ATPU", "zero_result_rate", "took_p95", "error_rate", "score_coverage")


@dataclass(frozen=True, slots=True)
class Margin:
    """How much worse than the control is tolerated."""

    value: float  # a share of the control's value, or an amount in the metric's own unit (ms, a share); >= 0
    relative: bool


class Guardrail(BaseModel):
    """One guardrail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: str  # 5 % of the control, 0.5pp, 20ms, or a plain number for ATPU
    prove: bool = False  # whether advancing waits until the loss is shown to be smaller


class Rules(BaseModel):
    """What a canary must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    min_users: int = Field(default=500, ge=20)
    planned_users: int = Field(default=20_000, ge=100)
    settle: str = "5m"
    sample_ratio_level: float = Field(default=0.001, gt=0, lt=0.1)
    guardrails: dict[str, Guardrail] = Field(
        default={
            "CTR@10": Guardrail(margin="5%"),
            "RR": Guardrail(margin="5%"),
            "BCR": Guardrail(margin="5%"),
            "ATPU": Guardrail(margin="5%"),
            "zero_result_rate": Guardrail(margin="1pp"),
            "took_p95": Guardrail(margin="20%"),
            "error_rate": Guardrail(margin="0.5pp"),
            "score_coverage": Guardrail(margin="2pp"),
        },
        min_length=1,
    )

    @field_validator("settle")
    @classmethod
    def _a_duration(cls, text: str) -> str:
        parse_duration(text)
        return text

    @field_validator("guardrails")
    @classmethod
    def _known(cls, guardrails: dict[str, Guardrail]) -> dict[str, Guardrail]:
        for name, one in guardrails.items():
            parse_margin(name, one.margin)
        return guardrails

    @property
    def settle_ms(self) -> int:
        """Milliseconds after a step began that are left out."""
        return parse_duration(self.settle)

    def level(self, n_steps: int) -> float:
        """Of one guardrail in one step, by Bonferroni over guardrails and the steps that are compared."""
        return self.alpha / (len(self.guardrails) * max(n_steps, 1))


def parse_margin(name: str, text: str) -> Margin:
    """The margin of a guardrail.

    Raises:
        ValueError: no such guardrail, or a unit that it has not.
    """
    kind = metric_kind(name)
    found = _MARGIN.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(f"{name}: margin {text!r} is none; write 5%, 0.5pp or 20ms")
    value, unit = float(found[1]), found[2]
    allowed = {"took": ("%", "ms"), "ATPU": ("%", None), "share": ("pp",)}.get(kind, ("%", "pp"))
    if unit not in allowed:
        units = " or ".join(f"2{one or ''}" for one in allowed)
        raise ValueError(f"{name}: margin {text!r} is none of this guardrail; write it as {units}")
    return Margin(value / 100 if unit in ("%", "pp") else value, unit == "%")


def metric_kind(name: str) -> Literal["CTR", "RR", "BCR", "ATPU", "took", "share"]:
    """What a guardrail measures.

    Raises:
        ValueError: nothing that is known.
    """
    if _CTR.fullmatch(name):
        return "CTR"
    if _TOOK.fullmatch(name):
        return "took"
    if name in _SHARES:
        return "share"
    if name == "RR":
        return "RR"
    if name == "BCR":
        return "BCR"
    if name == "ATPU":
        return "ATPU"
    raise ValueError(f"{name!r} is no guardrail; there are {', '.join(NAMES)}")


def cutoff(name: str) -> int:
    """k of `CTR@k`, or the percentile of `took_p95`."""
    found = _CTR.fullmatch(name) or _TOOK.fullmatch(name)
    assert found is not None
    return int(found[1])


def less_is_better(name: str) -> bool:
    """Whether growth is harm."""
    return name in _LESS_IS_BETTER or metric_kind(name) == "took"


def read_rules(path: Path) -> Rules:
    """Read the file.

    Raises:
        ConfigError: it cannot be read, or keys are wrong: all of them at once.
    """
    data = read_yaml(path)
    if not isinstance(data, dict) or not data:
        raise ConfigError(path, ["guardrails are a mapping, see docs/rollout.md"])
    return parse_rules(data, str(path))


def parse_rules(data: dict[str, Any], where: str) -> Rules:
    """Rules of a mapping.

    Raises:
        ConfigError: keys are wrong: all of them at once.
    """
    try:
        return Rules.model_validate(data)
    except ValidationError as e:
        problems = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}"
            for one in e.errors()
        ]
        raise ConfigError(where, problems, hint="docs/rollout.md has an example") from None


def parse_steps(text: str) -> tuple[float, ...]:
    """Percentages such as `1,5,20,50,100`: rising, in hundredths, ending at 100.

    Raises:
        InputError: another spelling.
    """
    hint = "write shares of users that rise to 100, such as --steps 1,5,20,50,100"
    try:
        steps = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--steps {text!r} holds something that is no number", hint=hint) from None
    rising = steps[0] > 0 and steps[-1] == 100 and list(steps) == sorted(set(steps))
    if not rising or any(round(step * 100) != round(step * 100, 6) for step in steps):
        raise InputError(f"--steps {text!r} does not rise to 100 in hundredths of a percent", hint=hint)
    if len(steps) < 2:
        raise InputError("--steps 100 compares nothing", hint=hint)
    return steps


__all__ = [
    "NAMES",
    "Guardrail",
    "Margin",
    "Rules",
    "cutoff",
    "less_is_better",
    "metric_kind",
    "parse_margin",
    "parse_rules",
    "parse_steps",
    "read_rules",
]
