"""Alert rules: a YAML file, each rule with one test.

min_searches: 100              # a slice's day with fewer is not judged
rules:
  - name: pages without results
    metric: zero_result_rate
    above: 0.1                 # or below: 0.05
    for: 2                     # days in a row
    over: platform             # all (default), platform, profile, or both
    severity: critical         # warning (default) or critical
  - name: clicks fall
    metric: ctr_at_k
    falls: 15%                 # against the median of the days before; or rises, or moves (either way)
    window: 14                 # so many days before
  - name: image score moved
    metric: image_score_at_k
    change_point: true         # a change of level began within the last 7 days
    false_alarms: 0.01
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from monitoring.metrics import metric
from ranking.errors import ConfigError, InputError
from ranking.yaml_file import parse_yaml, read_yaml

TESTS = ("above", "below", "falls", "rises", "moves", "change_point")
Over = Literal["all", "platform", "profile", "both"]
Severity = Literal["warning", "critical"]
Number = Annotated[float, Field(allow_inf_nan=False, strict=False)]


def _share(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("%"):
        try:
            return float(value[:-1]) / 100
        except ValueError:
            raise ValueError(f"{value!r} is no relative change: write 15% or 0.15") from None
    return value


Change = Annotated[float, BeforeValidator(_share), Field(gt=0, allow_inf_nan=False)]


class Rule(BaseModel):
    """One rule; exactly one of the tests is set."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(min_length=1, max_length=100)
    metric: str
    above: Number | None = None
    below: Number | None = None
    falls: Change | None = None
    rises: Change | None = None
    moves: Change | None = None
    change_point: bool = False
    for_days: int = Field(default=1, alias="for", ge=1, le=90)
    window: int = Field(default=14, ge=3, le=365)  # days, of relative tests
    false_alarms: float = Field(default=0.01, gt=0, lt=0.5)  # per series, of change points
    over: Over = "all"
    severity: Severity = "warning"

    @model_validator(mode="after")
    def _one_test(self) -> Rule:
        tests = [name for name in TESTS if getattr(self, name) not in (None, False)]
        if len(tests) != 1:
            given = f"it has {' and '.join(tests)}" if tests else "it has none"
            raise ValueError(f"a rule has one of {', '.join(TESTS)}; {given}")
        if self.change_point and self.for_days > 1:
            raise ValueError("a change point is a change of level for days by itself: leave `for` out")
        try:
            cluster = metric(self.metric).kind == "cluster"
        except InputError as e:
            raise ValueError(f"{e}; {e.hint}") from None
        if cluster and self.over != "all":
            raise ValueError(f"{self.metric} is measured for the whole cluster: leave `over` out")
        return self

    @property
    def test(self) -> str:
        """Which test it has."""
        return next(name for name in TESTS if getattr(self, name) not in (None, False))


class Rules(BaseModel):
    """What is judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_searches: int = Field(default=100, ge=1)
    rules: tuple[Rule, ...] = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _names_differ(self) -> Rules:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rules are named {twice[0]!r}")
        return self


def read_rules(path: Path) -> Rules:
    """Read a file of rules.

    Raises:
        ConfigError: it cannot be read, or keys are wrong: all of them at once.
    """
    return _rules(read_yaml(path), path)


def default_rules() -> Rules:
    """The rules that come with the toolkit, `monitoring/rules.yaml`."""
    file = resources.files("monitoring") / "rules.yaml"
    return parse_rules(file.read_text(encoding="utf-8"), "rules.yaml")


def parse_rules(text: str, where: Path | str) -> Rules:
    """Rules of a text.

    Raises:
        ConfigError: as `read_rules`.
    """
    return _rules(parse_yaml(text, where), where)


def _rules(data: Any, where: Path | str) -> Rules:
    if not isinstance(data, dict) or "rules" not in data:
        raise ConfigError(where, ["a file of rules has the key `rules`, see docs/monitoring.md"])
    try:
        return Rules.model_validate(data)
    except ValidationError as e:
        raise ConfigError(where, [_problem(one, data) for one in e.errors()]) from None


def _problem(error: Any, data: dict[str, Any]) -> str:
    """A wrong key by the name of its rule rather than by its number."""
    place = list(error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    if len(place) > 1 and place[0] == "rules" and isinstance(place[1], int):
        rule = data["rules"][place[1]]
        name = rule.get("name") if isinstance(rule, dict) else None
        place[:2] = [f"rule {name!r}" if name else f"rule {place[1] + 1}"]
    return f"{': '.join(map(str, place))}: {message}" if place else message


__all__ = ["Rule", "Rules", "default_rules", "parse_rules", "read_rules"]
