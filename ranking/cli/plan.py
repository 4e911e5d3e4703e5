"""`rank-cli boost plan-execution`: which strategy serves a profile best, measured on captured searches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, PlatformOption, check_platform, index_name


def plan_execution(
    profile: Annotated[str, typer.Argument(help="A profile file, or the name of a shipped one.")],
    captures: Annotated[Path, typer.Option("--captures", help="Captured searches to measure with.")],
    platform: PlatformOption = None,
    index: IndexOption = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds over all strategies.")] = 5,
    per_class: Annotated[int, typer.Option("--per-class", min=1, help="Searches per class.")] = 20,
    save: Annotated[Path | None, typer.Option("--save", help="Write the plan here, as JSON.")] = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Measure every exact strategy by how many documents match, and say which to use, and why.

    Example: rank-cli boost plan-execution additive --captures .rank/demo/captures --index rank-demo
    """
    import json

    from ranking.capture import read_captures
    from ranking.es import connect
    from ranking.planner import Asked
    from ranking.planner import plan_execution as measure
    from ranking.profile import find_profile

    check_platform(platform)
    found = find_profile(profile).for_platform(platform)
    if found.execution == "function_score":
        out.note("planning with the script's arithmetic: set execution: window in the profile to serve so")
        found = found.model_copy(update={"execution": "window"})
    seen: dict[str, Asked] = {}
    for record in read_captures(captures):
        seen.setdefault(
            record.query, Asked(record.query, record.now_ms, dict(record.filters), record.total_hits or 0)
        )
    plan = measure(
        connect(), index_name(index), found, list(seen.values()), rounds=rounds, per_class=per_class
    )
    if save is not None:
        save.write_text(json.dumps(plan.as_dict(), indent=2), encoding="utf-8")
    if fmt is out.Format.json:
        out.as_json(plan.as_dict())
        return
    out.table(
        [
            {
                "matches": f"{part.low} to {part.high}" if part.high else f"{part.low} and more",
                "n": part.n,
                "strategy": str(part.strategy),
                **{f"{name} ms": value for name, value in part.ms.items()},
                "why": part.why,
            }
            for part in plan.classes
        ]
    )
