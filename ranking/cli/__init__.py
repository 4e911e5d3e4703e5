"""`rank-cli`: one module per noun. A command parses, calls and prints; the work is done elsewhere.

Nothing heavy is imported here: a noun's module imports typer and the standard library only, and each
command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import sys
from functools import cache

import typer

from ranking.errors import RankError

app = typer.Typer(
    name="rank-cli",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Boost Elasticsearch ranking with an image-quality score, and replay any past search exactly.",
)


@cache
def full_app() -> typer.Typer:
    """The application with every noun registered."""
    from ranking.cli import (
        ab,
        apply_boost,
        backfill,
        boost,
        demo,
        doctor,
        index,
        ingest,
        loadtest,
        monitor,
        plan,
        plugin,
        replay,
        rollout,
        scorer,
        search,
        serve,
        similar,
        stack,
        templates,
        upgrade,
    )

    app.command("demo")(demo.demo)
    app.command("doctor")(doctor.doctor)
    app.command("apply-boost")(apply_boost.apply_boost)
    app.command("search")(search.search)
    app.command("serve")(serve.serve)
    app.command("similar")(similar.similar)
    boost.app.command("plan-execution")(plan.plan_execution)
    ingest.app.command("backfill")(backfill.backfill)
    ingest.app.add_typer(upgrade.app, name="upgrade")
    for noun in (
        stack,
        templates,
        index,
        boost,
        plugin,
        scorer,
        ingest,
        replay,
        ab,
        rollout,
        loadtest,
        monitor,
    ):
        app.add_typer(noun.app, name=noun.__name__.rpartition(".")[2])
    return app


def main() -> None:
    """Entry point of `rank-cli`: exit 0 done, 1 error, 2 `--check` found something.

    What is printed of an error, tracebacks included, holds no secret that the process was given.
    """
    try:
        full_app()()
    except Exception as e:
        from traceback import format_exception

        from ranking.cli._errors import explain_error
        from ranking.secret import hide

        plain = isinstance(e, RankError) and not os.environ.get("RANK_DEBUG")
        text = (
            explain_error(e) if plain and isinstance(e, RankError) else "".join(format_exception(e)).rstrip()
        )
        print(hide(text), file=sys.stderr)
        raise SystemExit(1) from None


__all__ = ["app", "full_app", "main"]
