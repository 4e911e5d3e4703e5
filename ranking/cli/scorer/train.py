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
            help="compact, or a tower to freeze: MODEL:PRETRAINED, hf-hub:org/repo, local-dir:/path.",
        ),
    ] = "compact",
    config: Annotated[
        Path | None, typer.Option("--config", help="JSON with any field of TrainConfig; the rest is default.")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            "--validation", help="Label file to measure on; a frozen tower's head stops early by it."
        ),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(
            "--grid", help="JSON of TrainConfig fields and lists of values; best validation OPA wins."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="Folder where a frozen tower's embeddings are kept, across runs."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of every random choice.")] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads for torch.")] = 1,
    format: FormatOption = Format.table,
) -> None:
    """Train a scorer on labelled pages of photos.

    The compact tower starts from an ImageNet network and learns from all photos beside the labelled ones;
    any other tower is frozen, and a head is trained on it. A stopped run goes on where it was.

    Example: rank-cli scorer train --photos photos --labels labels/train.jsonl --out runs/compact
    """
    from scorer.training.config import read_config
    from scorer.training.grid import read_grid
    from scorer.training.run import train as run_training

    settings = read_config(config, tower=tower, seed=seed, threads=threads)
    run = run_training(
        photos,
        labels,
        folder,
        settings,
        validation=validation,
        grid=read_grid(grid, settings) if grid else (),
        cache=cache,
        note=out.note,
    )
    row: dict[str, object] = {
        "folder": str(run.folder),
        "model_version": run.version,
        "seconds": round(run.seconds, 1),
    }
    if run.validation_opa is not None:
        row["validation_opa"] = round(run.validation_opa, 2)
    if run.validation_ca is not None:
        row["validation_ca"] = round(run.validation_ca, 2)
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
