"""`rank-cli templates`: index template, ingest pipeline and stored scripts, planned and applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from index_templates.plan import Step

app = typer.Typer(
    no_args_is_help=True, help="Index template, ingest pipeline and stored scripts: plan, apply."
)

Check = Annotated[bool, typer.Option("--check", help="Exit 2 if there is anything to apply (for CI).")]


@app.command()
def plan(
    index: IndexOption = None,
    check: Check = False,
    diff: Annotated[bool, typer.Option("--diff/--no-diff", help="Print each change line by line.")] = True,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Show what `apply` would change. Reads the cluster, writes nothing.

    Example: rank-cli templates plan --check
    """
    from ranking.es import connect

    steps = _steps(connect(), index_name(index))
    if fmt is out.Format.json:
        out.as_json({"steps": [_row(step) | {"diff": step.diff()} for step in steps]})
    elif steps:
        out.table([_row(step) for step in steps])
        if diff:
            for step in steps:
                out.raw(step.diff())
    out.note(f"{len(steps)} to apply" if steps else "the cluster is as the files say: nothing to apply")
    if check and steps:
        raise typer.Exit(2)


@app.command()
def apply(
    index: IndexOption = None,
    create_index: Annotated[
        bool,
        typer.Option("--create-index/--no-create-index", help="Also make the first index and its alias."),
    ] = True,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Bring the cluster to what the files say. A second run changes nothing.

    Example: rank-cli templates apply --index items
    """
    from index_templates import apply_steps, ensure_index
    from ranking.es import connect

    es, family = connect(), index_name(index)
    steps = _steps(es, family)
    apply_steps(es, steps, on_step=lambda step: out.note(f"{step.action}d {step.name}"))
    made = create_index and ensure_index(es, family)
    if fmt is out.Format.json:
        out.as_json({"applied": [_row(step) for step in steps], "index_created": made})
    if made:
        out.note(f"created index {family}-000001 behind the alias {family}")
    if not steps and not made:
        out.note("the cluster is as the files say: nothing was changed")


def _steps(es: Elasticsearch, family: str) -> list[Step]:
    from index_templates import desired_state, plan_steps, read_live

    wanted = desired_state(family)
    return plan_steps(wanted, read_live(es, wanted))


def _row(step: Step) -> dict[str, Any]:
    return {"action": step.action, "name": step.name}
