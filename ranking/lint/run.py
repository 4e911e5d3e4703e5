"""Running the rules: on a profile and each of its platforms, on a body, against a live index."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from ranking.errors import LintError
from ranking.lint.body import Body
from ranking.lint.mapping import body_uses, profile_uses, read_live_index
from ranking.lint.registry import Finding, run
from ranking.profile import Profile

PROMISED = ("unpinned-clock", "float-origin", "native-origin")  # what every body of ours keeps


def lint_profile(profile: Profile, *, ignore: Collection[str] = ()) -> list[Finding]:
    """Findings of the profile rules, for the profile and each of its platforms; needs no server.

    Args:
        profile: with its platforms.
        ignore: names of rules to leave out, besides the profile's own `lint_ignore`.
    """
    skip = {*profile.lint_ignore, *ignore}
    with np.errstate(all="ignore"):  # NaN and overflow are what the rules look for
        return _by_platform(profile, lambda variant: run("profile", variant, ignore=skip))


def lint_body(body: Mapping[str, Any], *, ignore: Collection[str] = ()) -> list[Finding]:
    """Findings of one search body, or of a bare query; an empty list where it keeps every rule."""
    return run("body", Body.of(body), ignore=ignore)


def check_body(body: Mapping[str, Any]) -> None:
    """Refuse a body that breaks what every body of ours promises: the clock is a parameter.

    Raises:
        LintError: with every finding.
    """
    refuse(run("body", Body.of(body), only=PROMISED))


def lint_live(
    profile: Profile, es: Elasticsearch, index: str, *, ignore: Collection[str] = ()
) -> list[Finding]:
    """Findings of the live rules: the profile's fields and numbers against an index. Reads only.

    Raises:
        ServerError: there is no such index, or the server refused.
    """
    skip = {*profile.lint_ignore, *ignore}

    def look(variant: Profile) -> list[Finding]:
        live = read_live_index(es, index, profile_uses(variant), profile=variant)
        return run("live", live, ignore=skip)

    return _by_platform(profile, look)


def lint_body_live(
    body: Mapping[str, Any], es: Elasticsearch, index: str, *, ignore: Collection[str] = ()
) -> list[Finding]:
    """Findings of the live rules for a search body against an index. Reads only."""
    parts = Body.of(body)
    scripts = [(script.id, script.path) for script in parts.scripts if script.id is not None]
    return run("live", read_live_index(es, index, body_uses(parts), scripts=scripts), ignore=ignore)


def lint_before_publish(
    profile: Profile, es: Elasticsearch, index: str, *, ignore: Collection[str] = ()
) -> list[Finding]:
    """What must be looked at before a profile goes live: profile rules and live rules.

    What a live rule counts, no profile rule guesses: undated items, and the names of fields. `refuse` turns
    the errors into a LintError.
    """
    guesses = ("missing-date-fresh", "factor-field-unknown")
    return [
        *lint_profile(profile, ignore=[*ignore, *guesses]),
        *lint_live(profile, es, index, ignore=ignore),
    ]


def refuse(findings: Iterable[Finding], *, strict: bool = False) -> None:
    """Stop where a finding is an error, or with `strict` a warning.

    Raises:
        LintError: with those findings.
    """
    bad = [f for f in findings if f.severity == "error" or (strict and f.severity == "warning")]
    if bad:
        hint = "resolve the clock once (now_ms) and send it as an integer"
        pinned = all(finding.rule in PROMISED for finding in bad)
        raise LintError(
            [str(finding) for finding in bad],
            hint=hint
            if pinned
            else "docs/lint.md says more; `lint_ignore: [RULE]` in the profile suppresses",
        )


def _by_platform(profile: Profile, look: Callable[[Profile], list[Finding]]) -> list[Finding]:
    """The profile's findings, and those that only a platform's override has."""
    found = look(profile)
    seen = {(f.rule, f.where, f.why) for f in found}
    for platform in profile.platforms:
        for finding in look(profile.for_platform(platform)):
            if (finding.rule, finding.where, finding.why) not in seen:
                found.append(replace(finding, where=f"platforms.{platform}: {finding.where}"))
    return found
