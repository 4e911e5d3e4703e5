"""`rank-cli replay`: one module per verb."""

from __future__ import annotations

import typer

from ranking.cli.replay import record, run, verify

app = typer.Typer(no_args_is_help=True, help="Past searches: capture, verify, re-rank, report.")
app.command("record")(record.record)
app.command("verify")(verify.verify)
app.command("run")(run.run)

__all__ = ["app"]
