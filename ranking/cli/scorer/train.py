"""`rank-cli scorer train`: train a scorer on labelled pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import LabelsOption, PhotosOption


def train(
    photos: PhotosOption,
    labels: LabelsOption,
    folder: Annotated[
        Path, typer.Option("--out", help="Folder to write: the scorer, its config and metrics.")
    ],
    tower: Annotated[
        str,
        typer.Option(
            "--tower",
            help="compact (trained from scratch), or MODEL:PRETRAINED, hf-hub:org/repo, local-dir:/path.",
        ),
    ] = "compact",
    config: Annotated[
        Path | None, typer.Option("--config", help="JSON with any field of TrainConfig; the rest is default.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of every random choice.")] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads for torch.")] = 1,
    format: FormatOption = Format.table,
) -> None:
    """Train a scorer on labelled pages of photos.

    The compact tower is trained from scratch, with all photos beside the labelled ones; any other tower is
    frozen, and a head is trained on it.

    Example: rank-cli scorer train --photos photos --labels labels/train.jsonl --out runs/compact
    """
    from scorer.training.config import read_config
    from scorer.training.run import train as run_training

    settings = read_config(config, tower=tower, seed=seed, threads=threads)
    run = run_training(photos, labels, folder, settings, note=out.note)
    row = {"folder": str(run.folder), "model_version": run.version, "seconds": round(run.seconds, 1)}
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
