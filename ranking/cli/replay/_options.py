"""Options that the verbs of `replay` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(help="A capture folder.", metavar="DIR")]
ClickAction = Annotated[str, typer.Option("--action", help="Which events count as clicks.")]
Resamples = Annotated[
    int,
    typer.Option("--resamples", min=20, max=100_000, help="Bootstrap resamples of users, for intervals."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of bootstrap and simulation.")]
Live = Annotated[bool, typer.Option("--live", help="Also ask the cluster, each search at its logged clock.")]
HistoryOption = Annotated[
    Path | None,
    typer.Option("--history", help="Item history, from `replay history build`.", metavar="DIR"),
]
JudgmentsOption = Annotated[
    str | None,
    typer.Option("--judgments", help="Source of the judgments, where the folder holds several."),
]
