"""`rank-cli scorer`: score photos, train a scorer, evaluate one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption

app = typer.Typer(no_args_is_help=True, help="Image quality: score photos, train a scorer, evaluate one.")

ModelOption = Annotated[
    str,
    typer.Option("--model", help="compact (shipped), a scorer folder, or a tower with --head."),
]
HeadOption = Annotated[
    Path | None,
    typer.Option("--head", help="Scorer folder to take the head from, where --model names a bare tower."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 ...")]
PhotosOption = Annotated[Path, typer.Option("--photos", help="Folder that the labels' paths start from.")]
LabelsOption = Annotated[
    Path, typer.Option("--labels", help="JSONL: serp_id, category, images, scores; one page a line.")
]


@app.command("score")
def score(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Photos: any format that Pillow reads.")
    ],
    model: ModelOption = "compact",
    head: HeadOption = None,
    device: DeviceOption = "cpu",
    format: FormatOption = Format.table,
) -> None:
    """Score photos: 0 is poor, 1 is good.

    A photo that cannot be read has an empty score and its error; the exit code is then 1.

    Example: rank-cli scorer score front.jpg back.jpg --format json
    """
    from scorer.model.photo import PhotoError, open_photo
    from scorer.model.scorer import load_scorer

    scorer = load_scorer(model, head=head, device=device)
    rows: list[dict[str, object]] = []
    with out.progress("photos scored", len(photos)) as advance:
        for path in photos:
            row: dict[str, object] = {
                "photo": str(path),
                "score": None,
                "model_version": scorer.version,
                "error": None,
            }
            try:
                row["score"] = round(
                    float(scorer.score_images([open_photo(path, size=scorer.image_size)])[0]), 4
                )
            except PhotoError as e:
                row["error"] = str(e)
            rows.append(row)
            advance(1)
    if format is Format.json:
        out.as_json({"model_version": scorer.version, "photos": rows})
    else:
        failed = any(row["error"] for row in rows)
        shown = rows if failed else [{k: v for k, v in row.items() if k != "error"} for row in rows]
        out.table(shown, right=["score"])
    if any(row["error"] for row in rows):
        raise typer.Exit(1)


@app.command("train")
def train(
    photos: PhotosOption,
    labels: LabelsOption,
    folder: Annotated[
        Path, typer.Option("--out", help="Folder to write: the scorer, its config and metrics.")
    ],
    tower: Annotated[
        str,
        typer.Option(
            "--tower",
            help="compact (trained from scratch), or MODEL:PRETRAINED, hf-hub:org/repo, local-dir:/path.",
        ),
    ] = "compact",
    config: Annotated[
        Path | None, typer.Option("--config", help="JSON with any field of TrainConfig; the rest is default.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of every random choice.")] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads for torch.")] = 1,
    format: FormatOption = Format.table,
) -> None:
    """Train a scorer on labelled pages of photos.

    The compact tower is trained from scratch, with all photos beside the labelled ones; any other tower is
    frozen, and a head is trained on it.

    Example: rank-cli scorer train --photos photos --labels labels/train.jsonl --out runs/compact
    """
    from scorer.training.config import read_config
    from scorer.training.run import train as run_training

    settings = read_config(config, tower=tower, seed=seed, threads=threads)
    run = run_training(photos, labels, folder, settings, note=out.note)
    row = {"folder": str(run.folder), "model_version": run.version, "seconds": round(run.seconds, 1)}
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])


@app.command("evaluate")
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


@app.command("export")
def export(
    to: Annotated[
        Path | None, typer.Option("--to", help="Triton model repository; the local stack's by default.")
    ] = None,
    model: ModelOption = "compact",
    load: Annotated[bool, typer.Option("--load", help="Also have the running Triton load it.")] = False,
    format: FormatOption = Format.table,
) -> None:
    """Write a model into a Triton model repository: weights, config.pbtxt, warm-up.

    Example: rank-cli scorer export --model compact --load
    """
    from ranking.settings import get_settings
    from scorer.serving import load_into, write_repository

    exported = write_repository(to or get_settings().state_dir / "triton" / "models", model)
    if load:
        load_into(exported)
    row = {
        "folder": str(exported.folder),
        "version": exported.number,
        "model_version": exported.model_version,
        "written": exported.changed,
        "loaded": load,
    }
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])


__all__ = ["app"]
