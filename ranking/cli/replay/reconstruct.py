"""`rank-cli replay reconstruct`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption
from ranking.cli.replay._options import Folder, HistoryOption

if TYPE_CHECKING:
    from replay.gap import Gap

STATISTICS = "relevance statistics are those of the index that was asked, as it is now"


def reconstruct(
    folder: Folder,
    target: Annotated[Path, typer.Option("--out", help="Write the reconstructed log here.", metavar="DIR")],
    profile: Annotated[
        str, typer.Option("--profile", help="Whose base query finds the candidates: file or shipped name.")
    ] = "control",
    history: HistoryOption = None,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Give a log of query, time and shown ids its candidates, and measure how near that comes.

    Example: rank-cli replay reconstruct imported --out rebuilt --profile control --history history
    """
    gap = rebuilt(folder, target, profile, history=history, index=index)
    if fmt is out.Format.json:
        out.as_json({**gap.as_dict(), "folder": str(target), "statistics": STATISTICS})
    else:
        out.table([{"what": name, "value": value} for name, value in gap.as_dict().items()])


def rebuilt(folder: Path, target: Path, profile: str, *, history: Path | None, index: str | None) -> Gap:
    """Reconstruct with a progress bar, and say what it is worth."""
    from ranking.es import connect
    from ranking.profile import find_profile
    from replay.history import read_history
    from replay.reconstruct import reconstruct as give_candidates

    known = read_history(history) if history else None
    with out.progress("asking the cluster") as advance:
        gap = give_candidates(
            connect(), folder, target, find_profile(profile), index=index, history=known, advance=advance
        )
    out.note(f"{gap.sentence}; {STATISTICS}")
    return gap
