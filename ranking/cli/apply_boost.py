"""`rank-cli apply-boost`: say what a profile changes, ask, publish."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import (
    AtOption,
    IndexOption,
    PlatformOption,
    check_platform,
    clock,
    index_name,
    read_lines,
)
from ranking.cli.lint import show_findings

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from ranking.cost import Cost
    from ranking.preview import Preview
    from ranking.profile import Profile
    from replay.judgments import Judgments

_SAMPLE = 20  # queries where the user gives none


class ExecutionName(StrEnum):
    """How a formula is executed."""

    function_score = "function_score"
    script_score = "script_score"
    window = "window"
    plugin = "plugin"


Canary = Annotated[
    float | None,
    typer.Option("--canary", metavar="PERCENT", help="Serve it to this share of the users, by hash."),
]


def apply_boost(
    profile: Annotated[str, typer.Argument(help="A profile file, or the name of a shipped one.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Preview only; publish nothing.")] = False,
    queries: Annotated[
        Path | None, typer.Option("--queries", help="Sample queries, one a line, for the preview.")
    ] = None,
    judgments: Annotated[
        Path | None,
        typer.Option("--judgments", help="Grades for nDCG: a capture folder, or a Parquet file."),
    ] = None,
    canary: Canary = None,
    print_query: Annotated[
        str | None,
        typer.Option("--print-query", metavar="TEXT", help="Print the search body for TEXT, and stop."),
    ] = None,
    execution: Annotated[
        ExecutionName | None,
        typer.Option("--execution", help="Publish it with another execution than the file says."),
    ] = None,
    stored: Annotated[
        bool,
        typer.Option("--stored", help="With --print-query: the body that runs the published script."),
    ] = False,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Length of the compared page.")] = 10,
    rounds: Annotated[
        int, typer.Option("--rounds", min=0, help="Timed rounds behind the cost ratio; 0 leaves it out.")
    ] = 7,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Publish without asking.")] = False,
    platform: PlatformOption = None,
    at: AtOption = None,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Preview what a profile changes, then publish it.

    Example: rank-cli apply-boost additive --judgments .rank/demo/captures --dry-run
    """
    from ranking.profile import builtin_profiles, find_profile

    contender, now_ms = find_profile(profile), clock(at)
    if execution is not None:
        contender = contender.model_copy(update={"execution": execution.value, "approximate": False})
    check_platform(platform)
    check_rules(contender, now_ms)
    if print_query is not None:
        _print_body(contender.for_platform(platform), print_query, now_ms, stored=stored)
        return

    from ranking.cli._publication import publish_asking
    from ranking.es import connect
    from ranking.lint import lint_before_publish, refuse
    from ranking.published import read_published

    es, name = connect(), index_name(index)
    refuse(show_findings(lint_before_publish(contender, es, name)))
    live = read_published(es, contender.name)
    baseline = live.profile if live else builtin_profiles()["control"]
    against = live.label if live else baseline.name
    graded = _read_judgments(judgments)
    texts = _sample(es, name, queries, graded)
    found, cost = _measure(
        es, name, baseline, contender, texts, graded, now_ms=now_ms, platform=platform, k=k, rounds=rounds
    )
    simulated = graded is not None and graded.simulated
    summary = sentence(contender, against, found, cost, simulated_judgments=simulated)
    result: dict[str, Any] = {
        "profile": contender.name,
        "hash": contender.hash,
        "baseline": against,
        "platform": platform,
        "now_ms": now_ms,
        "summary": summary,
        "preview": found.as_dict(),
        "cost": cost.as_dict() if cost else None,
        "simulated_judgments": simulated,
    }
    if fmt is out.Format.table:
        out.table(_columns(found), title=f"{contender.summary}, against {against}", right=("farthest",))
    out.note(summary)
    result |= publish_asking(es, contender, live, now_ms=now_ms, canary=canary, dry_run=dry_run, yes=yes)
    if fmt is out.Format.json:
        out.as_json(result)


def check_rules(profile: Profile, now_ms: int) -> None:
    """Refuse a profile whose body breaks a rule, on any platform; needs no server.

    Raises:
        LintError: with every finding.
    """
    from ranking.lint import check_body
    from ranking.query import boosted_query
    from ranking.stored import resolved

    for one in resolved(profile).values():
        check_body({"query": boosted_query(one, "lint", now_ms=now_ms).to_dict()})


def sentence(
    contender: Profile, against: str, found: Preview, cost: Cost | None, *, simulated_judgments: bool
) -> str:
    """The preview in one sentence."""
    n = len(found.rows)
    parts = [f"{found.changed * found.k:.1f} of {found.k} items change ({found.changed:.0%})"]
    for name, words in (
        ("image_score", "image score"),
        ("freshness", "freshness"),
        ("ai_share", "AI share"),
        ("nDCG", f"nDCG@{found.k}"),
    ):
        change = found.changes.get(f"{name}@{found.k}")
        if change is None or (name == "ai_share" and change.baseline == change.contender == 0):
            continue
        basis = ""
        if name == "nDCG":
            judged = found.changes[f"Judged@{found.k}"]
            kind = "simulated" if simulated_judgments else "given"
            basis = f" ({kind} judgments of {change.n} queries, Judged@{found.k} {judged.contender:.2f})"
        parts.append(f"{words} {change}{basis}")
    if cost is not None:
        parts.append(
            f"search time ×{cost.ratio:.2f} (quartiles {cost.ratio_low:.2f} to {cost.ratio_high:.2f}, "
            f"n = {cost.n} pairs)"
        )
    return f"{contender.name} against {against}, {n} queries: {', '.join(parts)}"


def _print_body(profile: Profile, text: str, now_ms: int, *, stored: bool) -> None:
    from ranking.query import search_body

    body = search_body(profile, text, now_ms=now_ms, scripts="published" if stored else "inline")
    out.raw(json.dumps(body, indent=2, ensure_ascii=False))
    if profile.execution == "plugin":
        out.note("needs rank-boost on every node; `--execution script_score` prints what needs no plugin")
        return
    if not stored:
        return
    from ranking.stored import own_script

    own = own_script(profile, now_ms)
    if own is None:
        out.note(f"{profile.name} runs no script of its own ({profile.execution}): the body is complete")
    else:
        out.note(f"runs {own[0]}: it is there once {profile.name} is published")


def _read_judgments(path: Path | None) -> Judgments | None:
    from ranking.errors import InputError
    from replay.judgments import read_judgments

    if path is None:
        return None
    found = read_judgments(path)
    if found is None:
        raise InputError(
            f"{path} has no judgments",
            hint="give a folder with judgments/*.parquet, or one Parquet file of query, item_id, grade",
        )
    return found


def _sample(es: Elasticsearch, index: str, queries: Path | None, graded: Judgments | None) -> list[str]:
    """The user's queries; else an even spread of those with judgments; else titles of the index."""
    from ranking.preview import sample_queries

    if queries is not None:
        return read_lines(queries)
    if graded is None:
        return sample_queries(es, index)
    judged = sorted(query for query, known in graded.by_query.items() if any(known.values()))
    step = max(1, len(judged) / _SAMPLE)
    return [judged[int(i * step)] for i in range(min(_SAMPLE, len(judged)))]


def _measure(
    es: Elasticsearch,
    index: str,
    baseline: Profile,
    contender: Profile,
    queries: list[str],
    graded: Judgments | None,
    *,
    now_ms: int,
    platform: str | None,
    k: int,
    rounds: int,
) -> tuple[Preview, Cost | None]:
    from ranking.cost import measure_cost
    from ranking.errors import InputError
    from ranking.preview import preview

    if not queries:
        raise InputError(f"{index} has no titles to make sample queries of", hint="give some with --queries")
    grades = graded.by_query if graded else None
    found = preview(
        es, index, baseline, contender, queries, now_ms=now_ms, platform=platform, k=k, grades=grades
    )
    if not rounds:
        return found, None
    sides = (baseline.for_platform(platform), contender.for_platform(platform))
    with out.progress("timing both, in turns", rounds + 1) as advance:
        cost = measure_cost(es, index, *sides, queries, now_ms=now_ms, rounds=rounds, advance=advance)
    return found, cost


def _columns(found: Preview) -> list[dict[str, Any]]:
    """Rows with the same columns, whichever queries have judgments or AI-generated photos."""
    rows = [row.row() for row in found.rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name, "") for name in names} for row in rows]
