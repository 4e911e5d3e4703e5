"""`rank-cli loadtest report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli.loadtest import _options as option


def report(
    file: Annotated[Path, typer.Argument(help="What a load test wrote with --out.", metavar="FILE")],
    slo: option.SloFile = None,
    html: option.Html = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Print, draw or judge a load test again; sends nothing.

    Example: rank-cli loadtest report load.json --slo slo.yaml --html load.html
    """
    from loadtest import read_result, read_slo
    from ranking.cli.loadtest import _show

    limits = read_slo(slo) if slo is not None else None
    _show.finish(read_result(file), limits, result_file=None, html=html, fmt=fmt)
