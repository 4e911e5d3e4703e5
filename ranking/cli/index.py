"""`rank-cli index`: the numbered indices behind a family's aliases."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from index_templates.migration import Migration

app = typer.Typer(
    no_args_is_help=True, help="The numbered indices behind the aliases: create, migrate, status."
)


@app.command()
def create(index: IndexOption = None, fmt: out.FormatOption = out.Format.table) -> None:
    """Make the first index, its aliases and the failure index, as far as they are missing.

    Example: rank-cli index create --index items
    """
    from index_templates import ensure_index, index_status
    from index_templates.index import template_shape
    from ranking.errors import ConfigError
    from ranking.es import connect

    es, family = connect(), index_name(index)
    if template_shape(es, family) is None:
        raise ConfigError(
            f"index_template/rank-{family}",
            ["not in the cluster, so the index would have no mapping"],
            hint=f"run `rank-cli templates apply --index {family}`",
        )
    made = ensure_index(es, family)
    if fmt is out.Format.json:
        rows = [row.as_dict() for row in index_status(es, family)]
        out.as_json({"created": made, "indices": rows})
    out.note(f"created {family}-000001" if made else f"{family} is there already: nothing was changed")


@app.command()
def migrate(
    index: IndexOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the index has the template's shape already.")
    ] = False,
    delete_old: Annotated[
        bool, typer.Option("--delete-old", help="Delete what finished migrations left behind.")
    ] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Give up the migration that is under way.")] = False,
    range_size: Annotated[
        int, typer.Option("--range", min=1, help="Writes copied by one task; a kill costs at most that.")
    ] = 100_000,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Move to a new index of the template's shape, while searches and writes go on.

    Writes are refused with HTTP 403 (cluster_block_exception) for a moment at the end; writers try again.
    Run it again after it was cut off: it goes on where it stopped.

    Example: rank-cli index migrate --index items --yes
    """
    from index_templates import migrate as work
    from ranking.es import connect

    es, family = connect(), index_name(index)
    result: dict[str, Any] = {"migration": None, "deleted": []}
    if abort:
        given_up = work.abort(es, family)
        result["migration"] = given_up.as_dict()
        out.note(f"gave up {given_up.new}; {family} stays at {given_up.old}")
    else:
        ahead = work.look_ahead(es, family)
        result["outlook"] = {
            "old": ahead.old,
            "new": ahead.new,
            "docs": ahead.docs,
            "made_with": ahead.made_with,
            "current": ahead.current,
            "resumes": ahead.resumes,
            "is_needed": ahead.is_needed,
        }
        if not ahead.is_needed and not force:
            out.note(f"{ahead.old} has the shape of the template ({ahead.current}): nothing to migrate")
        else:
            verb = "carry on moving" if ahead.resumes else "move"
            shape = ahead.made_with or "another template"
            out.note(
                f"{verb} {ahead.docs} documents from {ahead.old} (made with {shape}) "
                f"to {ahead.new} ({ahead.current})"
            )
            if dry_run:
                out.note("dry run: nothing was changed")
            else:
                _confirm(yes, f"Migrate {family}?")
                result["migration"] = _run(es, family, ahead.docs, range_size).as_dict()
    if delete_old and not dry_run:
        left = work.old_indices(es, family)
        if left:
            _confirm(yes, f"Delete {', '.join(left)}?")
            result["deleted"] = work.delete_old(es, family)
        out.note(f"deleted {', '.join(left)}" if left else "no migration left an index behind")
    if fmt is out.Format.json:
        out.as_json(result)


@app.command()
def status(index: IndexOption = None, fmt: out.FormatOption = out.Format.table) -> None:
    """Indices, aliases, sizes, and the template each was made with against the current one.

    Example: rank-cli index status --format json
    """
    from index_templates import index_status
    from index_templates.migration import open_migration
    from ranking.es import connect

    es, family = connect(), index_name(index)
    found = index_status(es, family)
    under_way = open_migration(es, family)
    if fmt is out.Format.json:
        out.as_json(
            {
                "indices": [row.as_dict() for row in found],
                "migration": under_way.as_dict() if under_way else None,
            }
        )
    else:
        out.table(
            [
                {
                    "index": row.index,
                    "aliases": ", ".join(row.aliases),
                    "docs": row.docs,
                    "size": _size(row.bytes),
                    "health": row.health,
                    "writes": "blocked" if row.write_blocked else "open",
                    "made with": row.made_with,
                    "template now": row.current,
                }
                for row in found
            ]
        )
    if under_way:
        out.note(
            f"a migration to {under_way.new} is at {under_way.phase}, {under_way.copied} copied; "
            f"`rank-cli index migrate --index {family}` carries on"
        )


def _run(es: Elasticsearch, family: str, docs: int, range_size: int) -> Migration:
    from index_templates.migrate import migrate as run
    from ranking.clock import now_ms

    signal.signal(signal.SIGTERM, _stop)  # so that a write block is lifted on the way out
    with out.progress("documents", docs) as advance:
        done = run(
            es,
            family,
            now_ms=now_ms(),
            range_size=range_size,
            on_progress=lambda _state, copied: advance(copied),
        )
    out.note(
        f"{family} is at {done.new}: {done.docs} documents, {done.compared} compared equal, "
        f"writes refused for {done.paused_ms or 0} ms; {done.old} is kept (--delete-old deletes it)"
    )
    return done


def _stop(signum: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signum)


def _confirm(yes: bool, question: str) -> None:
    if not yes and not typer.confirm(question, err=True):
        out.note("nothing was changed")
        raise typer.Exit(1)


def _size(n_bytes: int) -> str:
    size, unit = float(n_bytes), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.3g} {unit}"
