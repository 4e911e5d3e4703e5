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

__all__ = ["DeviceOption", "HeadOption", "LabelsOption", "ModelOption", "PhotosOption"]
