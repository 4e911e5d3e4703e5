"""`rank-cli boost lint`: rules over a profile or a search body, and over the index behind it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out

if TYPE_CHECKING:
    from ranking.lint import Finding
    from ranking.profile import Profile


def lint_boost(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="PROFILE|BODY.json",
            help="A profile file or name, or a search body as JSON; - reads a body from stdin.",
        ),
    ] = None,
    index: Annotated[
        str | None, typer.Option("--index", help="Look at this index too: mapping, dates, scores, pipeline.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="RULE", help="Leave a rule out; repeat for more.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 2 for warnings too.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="List all rules, and stop.")] = False,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Check a profile, or any search body; exit 2 where a rule is broken. docs/lint.md explains each rule.

    Example: rank-cli boost lint profiles/mine.yaml --index items --strict
    """
    from ranking.lint import RULES, lint_before_publish, lint_body, lint_body_live, lint_profile

    if rules:
        _print_rules(fmt)
        return
    skip = _known(ignore or [])
    subject = _read(target)
    es = None
    if index is not None:
        from ranking.es import connect

        es = connect()
    findings: list[Finding]
    if isinstance(subject, dict):
        name, digest = str(target), None
        findings = lint_body(subject, ignore=skip)
        if es is not None and index is not None:
            findings += lint_body_live(subject, es, index, ignore=skip)
    else:
        name, digest = subject.name, subject.hash
        skip += [rule for rule in subject.lint_ignore if rule in RULES]
        if es is not None and index is not None:
            findings = lint_before_publish(subject, es, index, ignore=skip)
        else:
            findings = lint_profile(subject, ignore=skip)
    count = Counter(finding.severity for finding in findings)
    if fmt is out.Format.json:
        out.as_json(
            {
                "target": name,
                "kind": "body" if digest is None else "profile",
                "hash": digest,
                "index": index,
                "errors": count["error"],
                "warnings": count["warning"],
                "ignored": sorted(set(skip)),
                "findings": [finding.as_dict() for finding in findings],
            }
        )
    else:
        print_findings(findings)
        shown = f"{name} ({digest})" if digest else name
        out.note(f"{shown}: {count['error']} errors, {count['warning']} warnings, {count['info']} notes")
    if count["error"] or (strict and count["warning"]):
        raise typer.Exit(2)


def print_findings(findings: list[Finding]) -> None:
    """Findings on stdout, two lines each: where and why, then what to write instead."""
    for finding in findings:
        out.raw(f"{finding.severity}: {finding.rule}: {finding.where}: {finding.why}")
        out.raw(f"    instead: {finding.instead}")


def show_findings(findings: list[Finding]) -> list[Finding]:
    """Warnings on stderr, one line each; the findings as they came. Errors are for the caller to refuse."""
    for finding in findings:
        if finding.severity == "warning":
            out.note(f"warning: {finding}")
    return findings


def _print_rules(fmt: out.Format) -> None:
    from ranking.lint import RULES

    rows = [
        {"rule": rule.name, "level": rule.level, "severity": rule.severity, "finds": rule.what}
        for rule in RULES.values()
    ]
    if fmt is out.Format.json:
        out.as_json({"rules": rows})
    else:
        out.table(rows)


def _known(names: list[str]) -> list[str]:
    from difflib import get_close_matches

    from ranking.errors import InputError
    from ranking.lint import RULES

    for name in names:
        if name not in RULES:
            close = get_close_matches(name, RULES, n=1)
            hint = f"did you mean {close[0]}?" if close else "`rank-cli boost lint --rules` lists the names"
            raise InputError(f"--ignore: no rule is called {name!r}", hint=hint)
    return list(names)


def _read(target: str | None) -> Profile | dict[str, Any]:
    """A profile, or a body: JSON from stdin, or a .json file that is not a profile."""
    from ranking.errors import InputError
    from ranking.profile import find_profile

    if target is None:
        raise InputError("nothing to check", hint="give a profile, a body as a .json file, or - for stdin")
    if target != "-" and not target.endswith(".json"):
        return find_profile(target)
    try:
        text = sys.stdin.read() if target == "-" else Path(target).read_text(encoding="utf-8")
        data = json.loads(text)
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{target} cannot be read: {e}") from e
    except (ValueError, RecursionError) as e:
        raise InputError(f"{target} is not JSON: {e}") from e
    if not isinstance(data, dict):
        raise InputError(f"{target} is not a search body", hint='a body is an object, such as {"query": ...}')
    if "name" in data and "query" not in data:
        from ranking.profile import parse_profile

        return parse_profile(data, target)
    return data
