"""`rank-cli scorer`: one module per verb."""

from __future__ import annotations

import typer

from ranking.cli.scorer import attributes, embed, evaluate, export, finetune, score, titles, train

app = typer.Typer(no_args_is_help=True, help="Image quality: score photos, train a scorer, evaluate one.")
app.command("score")(score.score)
app.command("attributes")(attributes.attributes)
app.command("train")(train.train)
app.command("titles")(titles.titles)
app.command("finetune")(finetune.finetune)
app.command("embed")(embed.embed)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)

__all__ = ["app"]
