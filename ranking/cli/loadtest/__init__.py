"""`rank-cli loadtest`: one module per verb."""

from __future__ import annotations

import typer

from ranking.cli.loadtest import ingest, mixed, report, run, score, worker

app = typer.Typer(
    no_args_is_help=True, help="Load tests: searches, item messages and photos as load, against an SLO."
)
app.command("run")(run.run)
app.command("ingest")(ingest.ingest)
app.command("score")(score.score)
app.command("mixed")(mixed.mixed)
app.command("report")(report.report)
app.command("worker")(worker.worker)

__all__ = ["app"]
