"""`rank-cli scorer`: one module per verb."""

from __future__ import annotations

import typer

from ranking.cli.scorer import calibrate, evaluate, export, score, train

app = typer.Typer(no_args_is_help=True, help="Image quality: score photos, train a scorer, evaluate one.")
app.command("score")(score.score)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("calibrate")(calibrate.calibrate)
app.command("export")(export.export)

__all__ = ["app"]
