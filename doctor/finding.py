"""What a check says: a state, one sentence, and what to type next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

State = Literal["ok", "warning", "problem", "not checked"]
Area = Literal["installation", "elasticsearch", "index", "profiles", "triton", "kafka", "captures"]
AREAS: tuple[Area, ...] = get_args(Area)


@dataclass(frozen=True, slots=True)
class Finding:
    """One row. `fix` is empty where there is nothing to do."""

    check: str  # such as "clock", or "profile mine"
    state: State
    says: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        """As JSON, stable keys."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Result:
    """What is found out under the name of a check; the check's own name is put before it by `examine`."""

    state: State
    says: str
    fix: str = ""
    about: str = ""  # which one, where a check looks at several


def ok(says: str, fix: str = "", *, about: str = "") -> Result:
    """Nothing to do."""
    return Result("ok", says, fix, about)


def warning(says: str, fix: str, *, about: str = "") -> Result:
    """It works, and will not always."""
    return Result("warning", says, fix, about)


def problem(says: str, fix: str, *, about: str = "") -> Result:
    """Something does not work."""
    return Result("problem", says, fix, about)


def not_checked(why: str, fix: str = "", *, about: str = "") -> Result:
    """Nobody knows, and why."""
    return Result("not checked", why, fix, about)
