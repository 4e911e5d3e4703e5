"""`rank-cli replay check`."""

from __future__ import annotations

from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption
from ranking.cli.replay._options import Folder, Live


def check(
    folder: Folder,
    live: Live = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="With --live: at most so many searches.")
    ] = 100,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Check a log before figures are taken from it; exit 2 where a check failed.

    Example: rank-cli replay check captures --live
    """
    from replay.checks import check_folder

    es = None
    if live:
        from ranking.es import connect

        es = connect()
    found = check_folder(folder, es=es, index=index, limit=limit)
    failed = sum(one.verdict == "failed" for one in found)
    warnings = sum(one.verdict == "warning" for one in found)
    if fmt is out.Format.json:
        out.as_json({"failed": failed, "warnings": warnings, "checks": [one.as_dict() for one in found]})
    else:
        out.table(
            [
                {
                    "check": one.name,
                    "verdict": one.verdict,
                    "found": one.count,
                    "of": one.of,
                    "says": one.says,
                }
                for one in found
            ]
        )
        for one in found:
            for example in one.examples[:2]:
                out.note(f"{one.name}: {example}")
        out.note(f"{len(found)} checks: {failed} failed, {warnings} warnings")
    if failed:
        raise typer.Exit(2)
