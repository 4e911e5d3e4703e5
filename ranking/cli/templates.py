"""`rank-cli templates`: index template, ingest pipeline and stored scripts, planned, applied, taken back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from index_templates import Overlap, Resource, Step

app = typer.Typer(
    no_args_is_help=True,
    help="Index template, ingest pipeline and stored scripts: plan, apply, roll back, export.",
)

Check = Annotated[bool, typer.Option("--check", help="Exit 2 if there is anything to apply (for CI).")]
Diff = Annotated[bool, typer.Option("--diff/--no-diff", help="Print each change line by line.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, and delete what is to be deleted.")]


@app.command()
def plan(
    index: IndexOption = None,
    check: Check = False,
    diff: Diff = True,
    features: Annotated[
        bool, typer.Option("--features", help="Print what the cluster can do, as a table.")
    ] = False,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Show what `apply` would change, and which other templates are in the way. Writes nothing.

    Example: rank-cli templates plan --check
    """
    from index_templates import desired_state, read_overlaps
    from ranking.es import connect
    from ranking.features import find_features

    family = index_name(index)
    wanted = desired_state(family)
    es = connect()
    found, steps = find_features(es), _steps(es, family, wanted)
    overlaps = read_overlaps(es, family, wanted)
    if fmt is out.Format.json:
        out.as_json(
            {
                "steps": [_row(step) | {"diff": step.diff()} for step in steps],
                "overlaps": [overlap.as_dict() for overlap in overlaps],
                "features": found.as_dict(),
            }
        )
    else:
        if features:
            out.table(found.rows(), title=f"{found.distribution} {found.version}")
        _show(steps, diff)
    out.note(found.summary)
    _warn(overlaps)
    out.note(f"{len(steps)} to apply" if steps else "the cluster is as the files say: nothing to apply")
    if check and (steps or any(overlap.effect != "shadowed by ours" for overlap in overlaps)):
        raise typer.Exit(2)


@app.command()
def apply(
    index: IndexOption = None,
    create_index: Annotated[
        bool,
        typer.Option("--create-index/--no-create-index", help="Also make the first index and its aliases."),
    ] = True,
    yes: Yes = False,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Bring the cluster to what the files say, and keep what is overwritten. A second run changes nothing.

    Example: rank-cli templates apply --index items
    """
    from index_templates import deploy, desired_state, ensure_index, read_overlaps
    from ranking.clock import now_ms
    from ranking.es import connect

    family = index_name(index)
    wanted = desired_state(family)
    es = connect()
    steps = _without_deletes(_steps(es, family, wanted), yes)
    entry = deploy(es, family, steps, now_ms=now_ms(), on_step=_tell)
    made = create_index and ensure_index(es, family)
    if fmt is out.Format.json:
        out.as_json(
            {
                "applied": [_row(step) for step in steps],
                "index_created": made,
                "number": entry.number if entry else None,
            }
        )
    _warn(read_overlaps(es, family, wanted))
    if entry:
        out.note(f"change {entry.number} of {family}; `rank-cli templates rollback` takes it back")
    if made:
        out.note(f"created index {family}-000001 behind the aliases {family} and {family}-write")
    if not steps and not made:
        out.note("the cluster is as the files say: nothing was changed")


@app.command()
def rollback(
    index: IndexOption = None,
    to: Annotated[
        int | None,
        typer.Option(
            "--to",
            help="Go back to what change N left; 0 is before the first. The last apply only, by default.",
        ),
    ] = None,
    diff: Diff = True,
    yes: Yes = False,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Write again what the last `apply` overwrote. Shows the plan first; deletes only with --yes.

    Example: rank-cli templates rollback --to 3
    """
    from index_templates import deploy, plan_rollback
    from ranking.clock import now_ms
    from ranking.es import connect

    es, family = connect(), index_name(index)
    planned, undone = plan_rollback(es, family, to)
    numbers = [entry.number for entry in undone]
    if fmt is out.Format.table:
        _show(planned, diff)
    steps = _without_deletes(planned, yes)
    what = f"change {', '.join(map(str, numbers))} of {family}"
    if steps and not yes and not typer.confirm(f"Take back {what}?", err=True):
        out.note("nothing was changed")
        raise typer.Exit(1)
    undoes = numbers if len(steps) == len(planned) else []  # what is left out can still be taken back
    entry = deploy(es, family, steps, now_ms=now_ms(), change="rollback", undoes=undoes, on_step=_tell)
    if fmt is out.Format.json:
        out.as_json(
            {
                "rolled_back": numbers if entry else [],
                "applied": [_row(step) for step in steps],
                "left_out": [_row(step) for step in planned if step not in steps],
                "number": entry.number if entry else None,
            }
        )
    out.note(f"took back {what}" if entry else "nothing to write: nothing was changed")


@app.command()
def history(index: IndexOption = None, fmt: out.FormatOption = out.Format.table) -> None:
    """What was applied and taken back, oldest first.

    Example: rank-cli templates history --format json
    """
    from index_templates.history import read_history
    from index_templates.rollback import standing
    from ranking.es import connect

    entries = read_history(connect(), index_name(index))
    stands = {entry.number for entry in standing(entries)}
    if fmt is out.Format.json:
        out.as_json({"changes": [entry.as_dict() | {"stands": entry.number in stands} for entry in entries]})
        return
    out.table(
        [
            {
                "number": entry.number,
                "change": entry.change,
                "at": entry.at,
                "state": entry.state,
                "steps": len(entry.steps),
                "undoes": ", ".join(map(str, entry.undoes)),
                "stands": "yes" if entry.number in stands else "",
            }
            for entry in entries
        ]
    )


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where the files go; it is made where it is missing.")],
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Write plain JSON bodies and a curl script, for teams that deploy otherwise. Needs no cluster.

    Example: rank-cli templates export deploy/elasticsearch --index items
    """
    from index_templates import desired_state
    from index_templates import export as write_files

    family = index_name(index)
    files = write_files(desired_state(family), folder, family)
    if fmt is out.Format.json:
        out.as_json({"files": [str(file) for file in files]})
    else:
        for file in files:
            out.raw(str(file))
    out.note(f"{len(files)} files; run {files[-1]} with ELASTICSEARCH_URL set")


def _steps(es: Elasticsearch, family: str, wanted: list[Resource]) -> list[Step]:
    from index_templates import plan_steps, read_live, read_owned

    return plan_steps(wanted, {**read_owned(es, family), **read_live(es, wanted)})


def _without_deletes(steps: list[Step], yes: bool) -> list[Step]:
    deletes = [step for step in steps if step.action == "delete"]
    if yes or not deletes:
        return steps
    out.note(f"left out without --yes: {', '.join(f'delete {step.name}' for step in deletes)}")
    return [step for step in steps if step.action != "delete"]


def _show(steps: list[Step], diff: bool) -> None:
    if not steps:
        return
    out.table([_row(step) for step in steps])
    if diff:
        for step in steps:
            out.raw(step.diff())


def _warn(overlaps: list[Overlap]) -> None:
    for overlap in overlaps:
        out.note(f"{'note' if overlap.effect == 'shadowed by ours' else 'warning'}: {overlap.sentence}")


def _tell(step: Step) -> None:
    from index_templates.plan import DONE

    out.note(f"{DONE[step.action]} {step.name}")


def _row(step: Step) -> dict[str, Any]:
    return {"action": step.action, "name": step.name}
