"""`rank-cli scorer agreement`: how well judges agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption

if TYPE_CHECKING:
    from scorer.labels.agreement import Agreement, Figure


def agreement(
    labels: Annotated[
        list[Path],
        typer.Argument(metavar="LABELS...", help="Label files (JSONL), a line per page and judge."),
    ],
    resamples: Annotated[
        int, typer.Option("--resamples", min=0, help="Draws of pages for the 95 % intervals.")
    ] = 400,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws.")] = 0,
    format: FormatOption = Format.table,
) -> None:
    """Agreement of judges: percent, weighted kappa, correlations, alpha, and each judge's ceiling.

    Several files are one set of pages: a file per judge is as good as one file.

    Example: rank-cli scorer agreement labels/validation.jsonl
    """
    import numpy as np

    from scorer.labels.agreement import agreement as agree
    from scorer.labels.reading import read_files

    found = read_files(labels)
    if found.warning:
        out.note(found.warning)
    sets = 1 + len({page.category for page in found.pages})
    with out.progress("sets of pages resampled", sets) as advance:
        told = agree(found.pages, rng=np.random.default_rng(seed), n_resamples=resamples, advance=advance)
    if format is Format.json:
        out.as_json({"skipped": found.skipped, "sets": [one.to_dict() for one in told]})
    else:
        _print(told)


def _print(told: list[Agreement]) -> None:
    whole = told[0]
    rows = [_row({"judges": pair}, figures) for pair, figures in whole.between.items()]
    rows.append(_row({"judges": "mean of pairs"}, whole.mean))
    out.table(rows, title=f"{whole.n_photos} photos on {whole.n_pages} pages, 95 % intervals over pages")
    if len(whole.ceiling) > 2:
        rows = [
            _row({"judge against the others' majority": judge}, figures)
            for judge, figures in whole.majority.items()
        ]
        out.table(rows)
    out.table(
        [
            {"judge": judge, "orders pairs as the mean of the others": figure.percent}
            for judge, figure in whole.ceiling.items()
        ]
    )
    out.note(f"Krippendorff's alpha of all judges, interval level: {whole.alpha}")
    if len(told) > 1:
        out.table(
            [
                {
                    "category": one.name or "(none)",
                    "photos": one.n_photos,
                    "exact": one.mean["exact"].percent,
                    "kappa": str(one.mean["kappa"]),
                    "alpha": str(one.alpha),
                }
                | {f"ceiling {judge}": f"{100 * figure.value:.1f}" for judge, figure in one.ceiling.items()}
                for one in told[1:]
            ],
            title="By category, means over the pairs of judges",
        )


def _row(first: dict[str, Any], figures: dict[str, Figure]) -> dict[str, Any]:
    shares = {name: figures[name].percent for name in ("exact", "within_one")}
    return first | shares | {name: str(figures[name]) for name in ("kappa", "pearson", "spearman")}


__all__ = ["agreement"]
