"""`rank-cli scorer`: one module per verb."""

from __future__ import annotations

import typer

from ranking.cli.scorer import agreement, analyze, evaluate, export, import_labels, label, score, serps, train

app = typer.Typer(no_args_is_help=True, help="Image quality: score photos, train a scorer, evaluate one.")
app.command("score")(score.score)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("analyze")(analyze.analyze)
app.command("agreement")(agreement.agreement)
app.command("import-labels")(import_labels.import_labels)
app.command("label")(label.label)
app.command("serps")(serps.serps)

__all__ = ["app"]
