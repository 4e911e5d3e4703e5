"""`rank-cli scorer export`: a model into a Triton repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import ModelOption


def export(
    to: Annotated[
        Path | None, typer.Option("--to", help="Triton model repository; the local stack's by default.")
    ] = None,
    model: ModelOption = "compact",
    load: Annotated[bool, typer.Option("--load", help="Also have the running Triton load it.")] = False,
    format: FormatOption = Format.table,
) -> None:
    """Write a model into a Triton model repository: weights, config.pbtxt, warm-up.

    Example: rank-cli scorer export --model compact --load
    """
    from ranking.settings import get_settings
    from scorer.serving import load_into, write_repository

    exported = write_repository(to or get_settings().state_dir / "triton" / "models", model)
    if load:
        load_into(exported)
    row = {
        "folder": str(exported.folder),
        "version": exported.number,
        "model_version": exported.model_version,
        "written": exported.changed,
        "loaded": load,
    }
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
