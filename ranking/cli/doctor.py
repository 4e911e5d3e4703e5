"""`rank-cli doctor`: an installation looked at, and what to type next."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption

if TYPE_CHECKING:
    from doctor import Finding


class RoleName(StrEnum):
    """What a login is held to."""

    reader = "reader"
    writer = "writer"
    admin = "admin"
    migrator = "migrator"


def doctor(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="AREA|CHECK",
            help="installation, elasticsearch, index, profiles, triton, kafka, captures, or the name of one "
            "check; repeat for more.",
        ),
    ] = None,
    index: IndexOption = None,
    captures: Annotated[
        Path | None, typer.Option("--captures", help="Capture folder to look at.", show_default=False)
    ] = None,
    topic: Annotated[str, typer.Option("--topic", help="Kafka topic of the item messages.")] = "items",
    group: Annotated[str, typer.Option("--group", help="Consumer group of `ingest stream`.")] = "rank-ingest",
    role: Annotated[
        RoleName | None,
        typer.Option("--role", help="The login must be enough for this role (docs/security.md)."),
    ] = None,
    timeout_s: Annotated[float, typer.Option("--timeout-s", min=0.1, help="Seconds for each check.")] = 10.0,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Check this installation and say what to fix: packages, engines, index, captures. Changes nothing.

    Exits 2 where something does not work. What is not configured is not checked, and says so.

    Example: rank-cli doctor --only elasticsearch --role reader
    """
    from collections import Counter

    from doctor import Options, examine
    from doctor.examine import chosen_checks

    options = Options(
        index=index,
        captures=captures,
        topic=topic,
        group=group,
        role=role.value if role else None,
        timeout_s=timeout_s,
    )
    with out.progress("checks", len(chosen_checks(only or ()))) as advance:
        findings = examine(options, only=only or (), on_done=advance)
    count = Counter(finding.state for finding in findings)
    if fmt is out.Format.json:
        out.as_json(
            {
                "problems": count["problem"],
                "warnings": count["warning"],
                "ok": count["ok"],
                "not_checked": count["not checked"],
                "checks": [finding.as_dict() for finding in findings],
            }
        )
    else:
        _print(findings)
        n, w = count["problem"], count["warning"]
        out.note(f"{n} problem{'s' if n != 1 else ''}, {w} warning{'s' if w != 1 else ''}")
    if count["problem"]:
        raise typer.Exit(2)


def _print(findings: list[Finding]) -> None:
    """One line each, and below it what to type where there is something to do."""
    skipped = [finding for finding in findings if finding.says.startswith("needs ")]
    findings = [finding for finding in findings if finding not in skipped]
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        out.raw(f"{finding.state:<11} {finding.check:<{width}}  {finding.says}")
        if finding.fix:
            out.raw(f"{'':<11} {'':<{width}}  -> {finding.fix}")
    for need in dict.fromkeys(finding.says for finding in skipped):
        names = ", ".join(finding.check for finding in skipped if finding.says == need)
        out.raw(f"not checked {names}: {need.replace('needs', 'need', 1)}")
