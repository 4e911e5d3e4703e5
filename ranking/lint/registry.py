"""The registry of rules: each a generator over what it checks, under a name that can be suppressed.

A rule's docstring says what it finds; `why` and `instead` are the rest of its section in docs/lint.md, which
`make docs` writes from here. Rules of one name are one rule: a name belongs to one level.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

Severity = Literal["error", "warning", "info"]
Level = Literal["profile", "body", "live"]
Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule: which, where, why it matters there, and what to write instead."""

    rule: str
    where: str  # a key of the profile, a path in the body, or a field of the index
    why: str
    instead: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.why}; {self.instead}"

    def as_dict(self) -> dict[str, str]:
        """As JSON, stable keys."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule yields; where `instead` or `severity` is None, the rule's own holds."""

    where: str
    why: str
    instead: str | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, its documentation and its check."""

    name: str
    level: Level
    severity: Severity  # of most of its findings; a finding may be milder or worse
    what: str
    why: str
    instead: str
    check: Callable[[Any], Iterator[Hit]]

    def findings(self, subject: Any) -> Iterator[Finding]:
        """What it finds in a profile, a body or a live index."""
        for hit in self.check(subject):
            yield Finding(
                self.name, hit.where, hit.why, hit.instead or self.instead, hit.severity or self.severity
            )


RULES: dict[str, Rule] = {}


def rule(
    name: str, *, level: Level, severity: Severity = "error", why: str, instead: str
) -> Callable[[Callable[[Subject], Iterator[Hit]]], Callable[[Subject], Iterator[Hit]]]:
    """Register a check under `name`; its docstring becomes the rule's first sentence."""

    def register(check: Callable[[Subject], Iterator[Hit]]) -> Callable[[Subject], Iterator[Hit]]:
        if name in RULES:
            raise ValueError(f"two rules are called {name}")
        what = " ".join((check.__doc__ or "").split())
        RULES[name] = Rule(name, level, severity, what, why, instead, check)
        return check

    return register


def run(
    level: Level, subject: Any, *, ignore: Collection[str] = (), only: Collection[str] = ()
) -> list[Finding]:
    """Findings of every rule of a level, in the order of the registry."""
    chosen = (r for r in RULES.values() if r.level == level and r.name not in ignore)
    return [found for r in chosen if not only or r.name in only for found in r.findings(subject)]
