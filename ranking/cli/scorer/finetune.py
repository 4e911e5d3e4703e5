"""`rank-cli scorer finetune`: an image tower trained on image-title pairs, for similar items."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import PhotosOption

if TYPE_CHECKING:
    from scorer.similar.finetune import Epoch


def finetune(
    photos: PhotosOption,
    pairs: Annotated[Path, typer.Option("--pairs", help="JSONL: image, title, labels; one photo a line.")],
    folder: Annotated[
        Path, typer.Option("--out", help="Folder to write: the tower, as local-dir: loads it.")
    ],
    test: Annotated[
        Path | None,
        typer.Option("--test", help="JSONL of photos that take no part: measured before and after."),
    ] = None,
    tower: Annotated[
        str, typer.Option("--tower", help="compact, MODEL:PRETRAINED, hf-hub:org/repo, local-dir:/path.")
    ] = "compact",
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="At most.")] = 8,
    batch: Annotated[int, typer.Option("--batch", min=2, help="Pairs in one step.")] = 64,
    image_lr: Annotated[
        float | None,
        typer.Option("--image-lr", help="Of the image side; 3e-4 with a new text side, 1e-5 without."),
    ] = None,
    text_lr: Annotated[
        float | None, typer.Option("--text-lr", help="Of the text side; 1e-3 where it is new, else 1e-5.")
    ] = None,
    image_weight_decay: Annotated[
        float, typer.Option("--image-weight-decay", min=0, help="Of the image side's matrices.")
    ] = 0.05,
    text_weight_decay: Annotated[
        float, typer.Option("--text-weight-decay", min=0, help="Of the text side's matrices.")
    ] = 0.05,
    patience: Annotated[
        int, typer.Option("--patience", min=1, help="Stop after so many epochs without a better nDCG@5.")
    ] = 3,
    seed: Annotated[int, typer.Option("--seed", help="Of every random choice.")] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads for torch.")] = 1,
    format: FormatOption = Format.table,
) -> None:
    """Fine-tune an image tower on image-title pairs with SigLIP's loss, so that alike items lie close.

    A tenth of the pairs is held out; nDCG@5 and recall on it are measured before and after every epoch. The
    best epoch is kept; where none is better than before, nothing is written and the exit code is 1. A run
    that was killed goes on from its last epoch with the same command.

    Example: rank-cli scorer finetune --photos photos --pairs train.jsonl --test test.jsonl --out runs/similar
    """
    from ranking.errors import InputError
    from scorer.similar.finetune import FinetuneConfig
    from scorer.similar.finetune import finetune as run_finetuning
    from scorer.similar.pairs import read_pairs

    for name, rate in (("--image-lr", image_lr), ("--text-lr", text_lr)):
        if rate is not None and not rate > 0:
            raise InputError(f"{name} must be > 0, got {rate}")
    config = FinetuneConfig(
        tower=tower,
        epochs=epochs,
        batch=batch,
        image_lr=image_lr,
        text_lr=text_lr,
        image_weight_decay=image_weight_decay,
        text_weight_decay=text_weight_decay,
        patience=patience,
        seed=seed,
        threads=threads,
    )
    training = read_pairs(pairs)
    tested = read_pairs(test) if test else None
    for path, file in ((pairs, training), (test, tested)):
        if file and file.skipped:
            out.note(f"{path}: {len(file.skipped)} lines skipped; first {file.skipped[0]}")
    if tested and (shared := {p.image for p in training.pairs} & {p.image for p in tested.pairs}):
        raise InputError(f"{len(shared)} photos are in both files, {min(shared)} first")
    run = run_finetuning(
        photos,
        training.pairs,
        folder,
        config,
        test=tested.pairs if tested else (),
        on_epoch=_say,
        note=out.note,
    )
    best = run.epochs[run.best_epoch]
    row = {
        "folder": str(run.folder),
        "tower": f"local-dir:{run.folder}",
        "best_epoch": run.best_epoch,
        "held_out_nDCG@5_before": round(run.epochs[0].ndcg, 4),
        "held_out_nDCG@5_after": round(best.ndcg, 4),
    }
    if run.test and run.test_recall:
        row |= {
            "test_nDCG@5_before": round(run.test.before, 4),
            "test_nDCG@5_after": round(run.test.after, 4),
            "test_gain": round(run.test.relative, 4),
            "test_gain_low": round(run.test.low, 4),
            "test_gain_high": round(run.test.high, 4),
            "test_recall@10_before": round(run.test_recall.before, 4),
            "test_recall@10_after": round(run.test_recall.after, 4),
            "n_queries": run.test.n_queries,
        }
    if format is Format.json:
        from dataclasses import asdict

        out.as_json(row | {"epochs": [asdict(epoch) for epoch in run.epochs]})
    else:
        out.table([{"": key, "value": value} for key, value in row.items()])


def _say(epoch: Epoch) -> None:
    loss = "before" if epoch.loss is None else f"loss {epoch.loss:.3f}"
    out.note(
        f"epoch {epoch.epoch}: {loss}, nDCG@5 {epoch.ndcg:.4f}, recall@10 {epoch.recall:.4f}, "
        f"title recall@10 {epoch.title_recall:.4f} ({epoch.seconds:.0f} s)"
    )
