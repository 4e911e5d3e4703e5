"""Writes docs/lint.md, a section on each rule, from the registry. A test holds the file to it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from ranking.lint import RULES, Rule

TARGET = Path(__file__).parent / "lint.md"
_HEAD = """# The linter

Generated from `ranking/lint/` by `make docs`. `rank-cli boost lint --rules` lists the same.

    rank-cli boost lint profiles/mine.yaml                  # by itself; needs no server
    rank-cli boost lint profiles/mine.yaml --index items    # and against an index
    rank-cli boost lint body.json                           # any search body; - reads stdin

Exit code 2 where a finding is an error (`--strict`: or a warning), 0 otherwise; an `info` never counts. Each
finding names its rule, the place, why it matters there and what to write instead; `--format json` gives the
same keys. `rank-cli apply-boost` runs the profile and live rules first and refuses on errors.

To leave a rule out: `--ignore RULE`, or in the profile, with the reason; the profile's hash stays the same:

```yaml
lint_ignore: {missing-date-fresh: no item is listed without its date}  # or a list of names
```

What the rules say of the server was measured on Elasticsearch 9.4.3, and
[the tests](../tests/integration/test_lint_traps.py) show the traps on a real one. A body is read
without running it, and scripts by patterns: a finding is worth a look, silence is no proof.
"""
_LEVELS = {
    "profile": "Rules for a profile",
    "body": "Rules for a search body",
    "live": "Rules for a live index",
}


def section(rule: Rule) -> str:
    """One rule."""
    paragraphs = [f"*{rule.severity}* · {rule.what}", rule.why, f"Instead: {rule.instead}."]
    wrapped = [
        textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False) for text in paragraphs
    ]
    return "\n\n".join([f"### {rule.name}", *wrapped]) + "\n"


def page() -> str:
    """The whole page, rules by level and name."""
    parts = [_HEAD]
    for level, title in _LEVELS.items():
        rules = sorted((rule for rule in RULES.values() if rule.level == level), key=lambda rule: rule.name)
        parts += [f"## {title}\n", *(section(rule) for rule in rules)]
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
