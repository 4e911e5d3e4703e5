"""`rank-cli scorer`: one module per verb."""

from __future__ import annotations

import typer

from ranking.cli.scorer import (
    agreement,
    analyze,
    attributes,
    calibrate,
    embed,
    evaluate,
    export,
    finetune,
    import_labels,
    label,
    score,
    serps,
    titles,
    train,
)

app = typer.Typer(no_args_is_help=True, help="Image quality: score photos, train a scorer, evaluate one.")
app.command("score")(score.score)
app.command("attributes")(attributes.attributes)
app.command("train")(train.train)
app.command("titles")(titles.titles)
app.command("finetune")(finetune.finetune)
app.command("embed")(embed.embed)
app.command("evaluate")(evaluate.evaluate)
app.command("calibrate")(calibrate.calibrate)
app.command("export")(export.export)
app.command("analyze")(analyze.analyze)
app.command("agreement")(agreement.agreement)
app.command("import-labels")(import_labels.import_labels)
app.command("label")(label.label)
app.command("serps")(serps.serps)

__all__ = ["app"]
