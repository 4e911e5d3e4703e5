"""Every error this toolkit raises on purpose.

    RankError
    ├── ConfigError      a profile, template or settings file is wrong (.path .problems)
    ├── InputError       data given by the user is wrong: a log, a label file, an argument
    ├── ServerError      an engine refused or is not there (.engine)
    │   └── BulkError    some documents could not be written (.failures)
    ├── StackError       a local engine cannot be started (.engine .log_tail)
    ├── StalePlan        the cluster changed after the plan was made (.changed)
    └── LintError        a query body or profile breaks a rule (.findings)

An error that is not a `RankError` is our bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


class RankError(Exception):
    """Base of every error raised on purpose. `hint` is what to type or change next."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(RankError):
    """A configuration file is wrong. `problems` holds one line per wrong key, all of them at once."""

    def __init__(self, path: str | Path, problems: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {'; '.join(problems)}", hint=hint)
        self.path = str(path)
        self.problems = list(problems)


class InputError(RankError):
    """Data given by the user cannot be used as it is."""


class ServerError(RankError):
    """An engine refused a request, or does not answer."""

    def __init__(self, engine: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{engine}: {message}", hint=hint)
        self.engine = engine


class BulkError(ServerError):
    """Some documents of a bulk write were refused; `failures` maps `_id` to the server's reason."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        first_id, reason = next(iter(failures.items()))
        super().__init__(
            "Elasticsearch", f"{len(failures)} documents were not written, {first_id!r} first: {reason}"
        )
        self.failures = dict(failures)


class StackError(RankError):
    """A local engine cannot be fetched, started or stopped."""

    def __init__(self, engine: str, message: str, *, hint: str | None = None, log_tail: str = "") -> None:
        super().__init__(f"{engine}: {message}", hint=hint)
        self.engine = engine
        self.log_tail = log_tail


class StalePlan(RankError):
    """The cluster changed between plan and apply; nothing was overwritten."""

    def __init__(self, changed: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__(f"changed since the plan was made: {', '.join(changed)}", hint=hint)
        self.changed = list(changed)


class LintError(RankError):
    """A body or a profile breaks a rule of the linter."""

    def __init__(self, findings: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("; ".join(findings), hint=hint)
        self.findings = list(findings)
