"""`rank-cli scorer titles`: simulated titles for a folder of photos, to try fine-tuning with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import PhotosOption


def titles(
    photos: PhotosOption,
    to: Annotated[Path, typer.Option("--out", help="JSONL to write: image, title, labels.")],
    under: Annotated[str, typer.Option("--under", help="Only photos below this subfolder.")] = "",
    format: FormatOption = Format.table,
) -> None:
    """Write simulated titles for photos: the color of the photo's center and the word for its folder's class.

    Sellers' own titles, exported from the shop, are what a real run needs; these are for trying it out.

    Example: rank-cli scorer titles --photos photos --under train --out train.jsonl
    """
    import json

    from marketplace.photos import simulated_titles

    with out.progress("photos named") as advance:
        rows, problems = simulated_titles(photos, under, advance=advance)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    draft = to.with_name(f".{to.name}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(to)
    for problem in problems[:3]:
        out.note(problem)
    row = {
        "file": str(to),
        "pairs": len(rows),
        "titles": len({r["title"] for r in rows}),
        "skipped": len(problems),
    }
    if format is Format.json:
        out.as_json(row | {"simulated": True})
    else:
        out.table([row])
    out.note("the titles are simulated")
