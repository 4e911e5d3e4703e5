"""The linter: what goes wrong silently in a boosted ranking, found before it is served.

Rules of three levels, each in its module: a profile by itself, a search body (ours or anyone's), and either
against a live index. docs/lint.md has a section on each.
"""

from __future__ import annotations

from ranking.lint import (  # noqa: F401  (importing a module registers its rules)
    clock_rules,
    freshness_rules,
    function_rules,
    live_rules,
    native_rules,
    profile_rules,
    query_rules,
    request_rules,
    rounding_rules,
    score_rules,
    script_rules,
)
from ranking.lint.registry import RULES, Finding, Rule, Severity
from ranking.lint.run import (
    check_body,
    lint_before_publish,
    lint_body,
    lint_body_live,
    lint_live,
    lint_profile,
    refuse,
)

__all__ = [
    "RULES",
    "Finding",
    "Rule",
    "Severity",
    "check_body",
    "lint_before_publish",
    "lint_body",
    "lint_body_live",
    "lint_live",
    "lint_profile",
    "refuse",
]
