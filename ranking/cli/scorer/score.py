"""`rank-cli scorer score`: score photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import DeviceOption, HeadOption, ModelOption


def score(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Photos: any format that Pillow reads.")
    ],
    model: ModelOption = "compact",
    head: HeadOption = None,
    device: DeviceOption = "cpu",
    format: FormatOption = Format.table,
) -> None:
    """Score photos: 0 is poor, 1 is good.

    A photo that cannot be read has an empty score and its error; the exit code is then 1.

    Example: rank-cli scorer score front.jpg back.jpg --format json
    """
    from scorer.model.photo import PhotoError, open_photo
    from scorer.model.scorer import load_scorer

    scorer = load_scorer(model, head=head, device=device)
    rows: list[dict[str, object]] = []
    with out.progress("photos scored", len(photos)) as advance:
        for path in photos:
            row: dict[str, object] = {
                "photo": str(path),
                "score": None,
                "model_version": scorer.version,
                "error": None,
            }
            try:
                row["score"] = round(
                    float(scorer.score_images([open_photo(path, size=scorer.image_size)])[0]), 4
                )
            except PhotoError as e:
                row["error"] = str(e)
            rows.append(row)
            advance(1)
    if format is Format.json:
        out.as_json({"model_version": scorer.version, "photos": rows})
    else:
        failed = any(row["error"] for row in rows)
        shown = rows if failed else [{k: v for k, v in row.items() if k != "error"} for row in rows]
        out.table(shown, right=["score"])
    if any(row["error"] for row in rows):
        raise typer.Exit(1)
