"""`rank-cli scorer import-labels`: label files out of labels that others made."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption


def import_labels(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON lines, or a JSON list.")],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="ratings (serp_id, image, score, judge), votes (better, worse, query, weight), or "
            "histograms (idealo's JSON of AVA).",
        ),
    ],
    target: Annotated[Path, typer.Option("--out", help="Label file to write (JSONL).")],
    judge: Annotated[str, typer.Option("--judge", help="Name of the judge, where the file has none.")] = "",
    suffix: Annotated[str, typer.Option("--suffix", help="Added to image names, such as .jpg.")] = "",
    page_size: Annotated[
        int, typer.Option("--page-size", min=2, help="Photos on a drawn page (histograms).")
    ] = 8,
    salt: Annotated[str, typer.Option("--salt", help="Another salt draws other pages (histograms).")] = "",
    format: FormatOption = Format.table,
) -> None:
    """Turn human ratings, AVA-style histograms or pairwise votes into a label file.

    Example: rank-cli scorer import-labels votes.csv --kind votes --out labels.jsonl
    """
    from ranking.whole_file import write_json_lines
    from scorer.labels.importing import import_labels as run_import

    found = run_import(path, kind, judge=judge, suffix=suffix, page_size=page_size, salt=salt)
    n = write_json_lines(target, found.rows)
    skipped = dict(Counter(skip.kind for skip in found.skips).most_common())
    if found.skips:
        out.note(f"left out {len(found.skips)}: " + "; ".join(map(str, found.skips[:3])))
    row = {"kind": kind, "read": found.n_read, "lines written": n, "left out": len(found.skips)}
    if format is Format.json:
        out.as_json({"kind": kind, "read": found.n_read, "lines": n, "skipped": skipped, "file": str(target)})
    else:
        out.table([row])
        out.note(f"wrote {target}")


__all__ = ["import_labels"]
