"""`rank-cli replay`: one module per verb."""

from __future__ import annotations

import typer

from ranking.cli.replay import (
    check,
    explore,
    export,
    history,
    import_,
    interleave,
    judge,
    offpolicy,
    rebuild,
    reconstruct,
    record,
    run,
    sweep,
    verify,
)

app = typer.Typer(no_args_is_help=True, help="Past searches: capture, verify, re-rank, report.")
app.command("explore")(explore.explore)
app.command("interleave")(interleave.interleave)
app.command("judge")(judge.judge)
app.command("offpolicy")(offpolicy.offpolicy)
app.command("record")(record.record)
app.command("import")(import_.import_log)
app.command("check")(check.check)
app.command("export")(export.export)
app.command("verify")(verify.verify)
app.command("run")(run.run)
app.command("sweep")(sweep.sweep)
app.command("reconstruct")(reconstruct.reconstruct)
app.command("rebuild")(rebuild.rebuild)
app.add_typer(history.app, name="history")

__all__ = ["app"]
