"""Options that the verbs of `replay` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(help="A capture folder.", metavar="DIR")]
Live = Annotated[bool, typer.Option("--live", help="Also ask the cluster, each search at its logged clock.")]
