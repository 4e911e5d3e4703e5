"""`rank-cli replay sweep`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli.replay._options import Folder, JudgmentsOption

if TYPE_CHECKING:
    from replay.sweep import Sweep
    from replay.sweep.space import Space

_SHOWN = 10


def sweep(
    folder: Folder,
    baseline: Annotated[
        str, typer.Option("--baseline", help="Profile to beat and to extend: file or shipped name.")
    ] = "control",
    judged_by: JudgmentsOption = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="image.weight: 0:3:0.25 (from, to, step), or 0.5,1,2.")
    ] = None,
    modes: Annotated[str | None, typer.Option("--modes", help="image.mode: additive,multiplicative.")] = None,
    transforms: Annotated[
        str | None,
        typer.Option("--transforms", help="image.transform: identity,power:2,sigmoid:0.5:10."),
    ] = None,
    scales: Annotated[str | None, typer.Option("--scales", help="freshness.scale: 7d,14d,30d.")] = None,
    curves: Annotated[str | None, typer.Option("--curves", help="freshness.curve: gauss,exp,linear.")] = None,
    space: Annotated[
        Path | None, typer.Option("--space", help="YAML of keys and values; the options above add to it.")
    ] = None,
    objective: Annotated[str, typer.Option("--objective", help="What the winner has most of.")] = "nDCG@10",
    against: Annotated[
        str | None, typer.Option("--against", help="Other axis of the front; image_score at k by default.")
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            "--constraint",
            help="'ai_share@10 <= 0.2', 'freshness@10 not lower', 'age@10 not higher'; may be given again.",
        ),
    ] = None,
    per_platform: Annotated[
        bool, typer.Option("--per-platform", help="A winner for each platform, written as overrides.")
    ] = False,
    hold_out: Annotated[
        float, typer.Option("--hold-out", help="Share of the searches, the latest, to judge the winner on.")
    ] = 0.3,
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=1, help="Search with so many trials; without, the whole grid."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the search.")] = 20240927,
    storage: Annotated[
        Path | None, typer.Option("--storage", help="Keeps the trials of a search; given again, it goes on.")
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Length of the page.")] = 10,
    write: Annotated[
        Path | None, typer.Option("--write", help="Write the winner here, as a profile for apply-boost.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the winner's profile.")] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Write the Pareto front here, one HTML file.")
    ] = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Find the best profile of a space on earlier searches, and judge it on later ones.

    Exit 2 where the winner breaks a constraint on the later searches.

    Example: rank-cli replay sweep captures --weights 0:3:0.25 --modes additive --constraint
    'freshness@10 not lower' --write profiles/swept.yaml
    """
    from ranking.errors import InputError
    from ranking.profile import find_profile
    from replay import read_log
    from replay.judgments import read_judgments
    from replay.measures import measure
    from replay.sweep import Goal, default_against, parse_constraint, write_profile
    from replay.sweep import sweep as run_sweep

    if storage is not None and trials is None:
        raise InputError("--storage keeps the trials of a search", hint="give --trials N as well")
    wanted = _space(space, weights, modes, transforms, scales, curves)
    aim = measure(objective)
    goal = Goal(
        objective=aim,
        against=measure(against) if against else default_against(aim, k),
        constraints=tuple(parse_constraint(text) for text in constraint or ()),
        k=k,
    )
    if trials is None and wanted.size is None:
        next(wanted.grid())  # says which range has no step
    log, profile = read_log(folder), find_profile(baseline)
    n_scopes = len(list(log.groups("platform"))) if per_platform else 1
    with out.progress("trying candidates", (trials or wanted.size or 0) * n_scopes) as advance:
        found = run_sweep(
            log,
            profile,
            wanted,
            goal,
            read_judgments(folder, judged_by),
            per_platform=per_platform,
            hold_out=hold_out,
            trials=trials,
            seed=seed,
            storage=storage,
            name=name,
            advance=advance,
        )
    if picture is not None:
        from replay.sweep.picture import write_picture

        write_picture(picture, found)
        out.note(f"wrote {picture}")
    if fmt is out.Format.json:
        out.as_json(found.as_dict() | {"written": str(write) if write and found.found else None})
    else:
        _print(found)
    if write is not None and not found.found:
        out.note("nothing beats the baseline under the constraints, so no profile was written")
    elif write is not None:
        write_profile(write, found.winner, profile, _source(baseline))
        out.note(f"wrote {write}: look at it with `rank-cli apply-boost {write} --dry-run`")
    if not all(found.kept.values()):
        raise typer.Exit(2)


def _space(
    path: Path | None,
    weights: str | None,
    modes: str | None,
    transforms: str | None,
    scales: str | None,
    curves: str | None,
) -> Space:
    from replay.sweep import Space, parse_numbers, parse_transform, read_space

    keys: dict[str, Any] = {} if path is None else dict(read_space(path).keys)
    for key, text in (
        ("image.mode", modes),
        ("freshness.scale", scales),
        ("freshness.curve", curves),
    ):
        if text is not None:
            keys[key] = [part.strip() for part in text.split(",")]
    if transforms is not None:
        keys["image.transform"] = [parse_transform(part) for part in transforms.split(",")]
    if weights is not None:
        keys["image.weight"] = parse_numbers(weights, "--weights")
    return Space(keys)


def _source(baseline: str) -> str:
    """What a written profile extends: a path, or the name of a shipped profile."""
    own = Path("profiles") / f"{baseline}.yaml"
    is_path = baseline.endswith((".yaml", ".yml", ".json")) or "/" in baseline
    return str(own) if not is_path and own.is_file() else baseline


def _print(found: Sweep) -> None:
    """Each scope's best candidates, and the winner on the held-out searches."""
    goal = found.goal
    names = list(dict.fromkeys([goal.objective.name, goal.against.name]))
    names += [one.measure.name for one in goal.constraints if one.measure.name not in names]
    sign = 1 if goal.objective.better == "higher" else -1
    for scope in found.scopes:
        ranked = sorted(
            zip(scope.trials, scope.on_front, strict=True),
            key=lambda pair: (not pair[0].feasible, -sign * pair[0].means[goal.objective.name].gain),
        )
        rows = [
            {
                "": "winner" if trial is scope.winner else "",
                "candidate": ", ".join(f"{key.split('.')[-1]} {_short(v)}" for key, v in trial.point.items()),
                **{name: f"{trial.means[name].value:.4f}" for name in names},
                "front": "yes" if on_front else "",
                "proven": f"{trial.proven / trial.searches:.0%}",
                "breaks": "; ".join(trial.broken),
            }
            for trial, on_front in ranked[:_SHOWN]
        ]
        means = ranked[0][0].means
        base = ", ".join(f"{name} {means[name].baseline:.4f}" for name in names)
        left_out = f", {scope.left_out} points make no profile" if scope.left_out else ""
        out.table(
            rows,
            title=f"\n{scope.name}: {len(scope.trials)} candidates{left_out}, fitted on {scope.searches} "
            f"searches; baseline {base}",
            right=names,
        )
    _print_held_out(found)


def _print_held_out(found: Sweep) -> None:
    told = found.comparison
    n = len(told.entered)
    since = datetime.fromtimestamp(found.held_out_from_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    judged = " (simulated judgments)" if told.simulated_judgments else ""
    rows = [
        {
            "measure": row.measure,
            "segment": row.segment,
            "n": row.n,
            "baseline": f"{row.baseline:.4f}",
            "winner": f"{row.contender:.4f}",
            "delta": f"{row.delta:+.4f}",
            "95 % interval": "" if row.low is None else f"{row.low:+.4f} to {row.high:+.4f}",
            "p": "" if row.p is None else f"{row.p:.2g}",
        }
        for row in told.differences
    ]
    out.table(
        rows,
        title=f"\n{found.winner.name} against {found.baseline.name} on {n} later searches, from {since}; "
        f"proven at {told.k} for {told.proven} of {n}{judged}",
        right=("baseline", "winner", "delta", "95 % interval", "p"),
    )
    for text, kept in found.kept.items():
        out.note(f"{'kept' if kept else 'BROKEN'} on the later searches: {text}")


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ":".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value.values())
    return f"{value:g}" if isinstance(value, float) else str(value)
