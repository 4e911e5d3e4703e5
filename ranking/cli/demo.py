"""`rank-cli demo`: the main job end to end on the local engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out


def demo(
    photos: Annotated[
        Path | None, typer.Option("--photos", help="Folder of real photos; a folder's name is its class.")
    ] = None,
    labels: Annotated[
        list[Path] | None, typer.Option("--labels", help="Scored pages of those photos; may be given again.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option("--queries", help="Tab-separated real queries, whose lengths are followed.")
    ] = None,
    n_items: Annotated[int | None, typer.Option("--items", min=20, help="How many items.")] = None,
    n_searches: Annotated[int, typer.Option("--searches", min=30, help="How many visits to serve.")] = 900,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds make equal marketplaces.")] = 7,
    report: Annotated[Path | None, typer.Option("--report", help="Where the HTML report goes.")] = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Ingest, score, search, capture, replay and report, on real engines with simulated buyers.

    Example: rank-cli demo --format json
    """
    from demo import DemoOptions, run_demo

    options = DemoOptions(
        photos=photos,
        labels=tuple(labels or ()),
        queries=queries,
        n_items=n_items,
        n_searches=n_searches,
        seed=seed,
        report=report,
    )
    result = run_demo(options, note=out.note, bar=out.progress)
    if fmt is out.Format.json:
        out.as_json(result.as_dict())
        return
    parity = result.parity
    out.table(
        [
            {"": "items", "figure": f"{result.items_published} published", "of which": ""},
            {
                "": "",
                "figure": f"{result.items_indexed} indexed",
                "of which": f"{result.items_scored} scored",
            },
            {"": "searches", "figure": f"{result.searches_captured} captured", "of which": ""},
            {
                "": "scores",
                "figure": f"{parity['scores']} replayed",
                "of which": f"{parity['bit_equal']} bit-equal",
            },
            {
                "": "pages",
                "figure": f"{parity['searches']} replayed",
                "of which": f"{parity['identical_topk']} identical",
            },
            {"": "clicks", "figure": f"{result.clicks_simulated} simulated", "of which": ""},
        ]
    )
    out.note(f"open the report: {result.report}   ({result.elapsed_s} s)")
