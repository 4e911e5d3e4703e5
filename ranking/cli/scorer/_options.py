"""Options that several verbs of `rank-cli scorer` take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    str,
    typer.Option("--model", help="compact (shipped), a scorer folder, or a tower with --head."),
]
HeadOption = Annotated[
    Path | None,
    typer.Option("--head", help="Scorer folder to take the head from, where --model names a bare tower."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 ...")]
PhotosOption = Annotated[Path, typer.Option("--photos", help="Folder that the labels' paths start from.")]
LabelsOption = Annotated[
    Path, typer.Option("--labels", help="JSONL: serp_id, category, images, scores; one page a line.")
]


def folder_of(model: str) -> Path:
    """The folder that `--model` or `--head` names: the shipped one's for `compact`."""
    from scorer.model.tower import COMPACT, COMPACT_FOLDER

    return COMPACT_FOLDER if model == COMPACT else Path(model)


__all__ = ["DeviceOption", "HeadOption", "LabelsOption", "ModelOption", "PhotosOption", "folder_of"]
