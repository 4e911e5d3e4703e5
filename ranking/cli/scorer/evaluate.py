"""`rank-cli scorer evaluate`: how well a scorer orders labelled pages."""

from __future__ import annotations

from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import DeviceOption, HeadOption, LabelsOption, ModelOption, PhotosOption


def evaluate(
    photos: PhotosOption,
    labels: LabelsOption,
    model: ModelOption = "compact",
    head: HeadOption = None,
    device: DeviceOption = "cpu",
    degraded: Annotated[
        bool,
        typer.Option("--degraded", help="Also: how often a photo beats its own degraded copy (minutes)."),
    ] = False,
    format: FormatOption = Format.table,
) -> None:
    """Ordered pair accuracy (OPA) within the labelled pages, against baselines.

    Intervals are 95 % bootstrap intervals over pages. Use pages that the model was not trained on.

    Example: rank-cli scorer evaluate --photos photos --labels labels/validation.jsonl
    """
    from scorer.model.scorer import load_scorer
    from scorer.training.evaluate import SEVERITIES, degraded_accuracy
    from scorer.training.evaluate import evaluate as run_evaluation
    from scorer.training.labels import read_labels

    scorer = load_scorer(model, head=head, device=device)
    serps = read_labels(labels)
    names = sorted({image for serp in serps for image in serp.images})
    with out.progress("photos read", len(names)) as advance:
        result = run_evaluation(scorer, photos, serps, advance=advance)
    accuracy = {}
    if degraded:
        with out.progress("degradations") as advance:
            accuracy = degraded_accuracy(scorer, photos, names, advance=advance)
    if format is Format.json:
        extra = {"degraded_accuracy": {k: {str(s): a for s, a in v.items()} for k, v in accuracy.items()}}
        out.as_json(result.to_dict() | (extra if degraded else {}))
        return
    rows = [("all", "model", result.overall)]
    rows += [("all", name, interval) for name, interval in result.baselines.items()]
    rows += [(f"{name} backgrounds", "model", interval) for name, interval in result.by_background.items()]
    rows += [(name, "model", interval) for name, interval in result.by_category.items()]
    out.table(
        [
            {
                "pages": pages,
                "scored by": by,
                "OPA %": f"{i.value:.1f}",
                "95 % interval": f"{i.low:.1f}-{i.high:.1f}",
                "pairs": i.n_pairs,
            }
            for pages, by, i in rows
        ],
        title=f"{result.version}: {result.n_photos} photos on {result.n_serps} pages",
        right=["OPA %"],
    )
    if degraded:
        out.table(
            [
                {"degraded by": kind} | {f"severity {s}": f"{by_severity[s]:.1f} %" for s in SEVERITIES}
                for kind, by_severity in accuracy.items()
            ],
            title="photos that score above their degraded copy",
        )
