"""Words for people: the one place where an error becomes a sentence and what to do next."""

from __future__ import annotations

from ranking.errors import ConfigError, LintError, RankError, StackError, StalePlan


def explain_error(error: RankError) -> str:
    """What happened, to what, and what to type next."""
    hint = error.hint
    lines: list[str]
    match error:
        case ConfigError(path=path, problems=problems) if len(problems) > 1:
            lines = [f"error: {path} has {len(problems)} problems"]
            lines += [f"  {problem}" for problem in problems]
        case LintError(findings=findings):
            lines = [f"error: {len(findings)} rule(s) broken"]
            lines += [f"  {finding}" for finding in findings]
        case StalePlan(changed=changed):
            lines = [f"error: {error}"]
            hint = hint or f"run `rank-cli templates plan` again and look at {changed[0]}"
        case StackError(log_tail=tail) if tail:
            lines = [f"error: {error}", "last lines of its log:"]
            lines += [f"  {line}" for line in tail.splitlines()]
        case _:
            lines = [f"error: {error}"]
    if hint:
        lines.append(f"hint: {hint}")
    return "\n".join(lines)
