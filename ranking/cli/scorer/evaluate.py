"""`rank-cli scorer evaluate`: how well a scorer orders labelled pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import DeviceOption, HeadOption, ModelOption, PhotosOption
from ranking.errors import InputError

if TYPE_CHECKING:
    from scorer.training.by_setup import BySetup
    from scorer.training.evaluate import Degraded, Evaluation
    from scorer.training.measures import Interval

TrainedOption = Annotated[
    Path | None,
    typer.Option(
        "--trained-on", help="Label file of the training pages: adds baselines on image statistics."
    ),
]


def evaluate(
    photos: PhotosOption,
    labels: Annotated[
        list[Path],
        typer.Option("--labels", help="JSONL, one page a line. With --by-setup may be given twice."),
    ],
    model: ModelOption = "compact",
    head: HeadOption = None,
    device: DeviceOption = "cpu",
    trained_on: TrainedOption = None,
    clip: Annotated[
        str | None,
        typer.Option("--clip", help="Tower with a text side: adds the CLIP score of photo and query."),
    ] = None,
    degraded: Annotated[
        bool,
        typer.Option("--degraded", help="Also: how often a photo beats its own degraded copies (minutes)."),
    ] = False,
    degraded_photos: Annotated[
        int | None,
        typer.Option(
            "--degraded-photos", min=1, help="The same for so many photos, at even steps; all by default."
        ),
    ] = None,
    by_setup: Annotated[
        Path | None,
        typer.Option(
            "--by-setup",
            help="Instead: train without whole set-ups and score those (many minutes); work is kept here.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="With --by-setup: JSON with fields of TrainConfig.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="With --by-setup: parts to hold out.")] = 5,
    format: FormatOption = Format.table,
) -> None:
    """Ordered pair accuracy (OPA), and click accuracy (CA) where pages have clicks, against baselines.

    Intervals are 95 % bootstrap intervals over pages. Use pages that the model was not trained on.
    --by-setup says what the recipe is worth on sellers never seen: photos are clustered by background, light
    and camera, and each cluster is scored by a model that saw none of it. It trains from the first --labels
    and counts the pairs of all.

    Example: rank-cli scorer evaluate --photos photos --labels labels/validation.jsonl

    Example: rank-cli scorer evaluate --photos photos --labels labels/train.jsonl \\
        --labels labels/validation.jsonl --by-setup runs/by-setup
    """
    if by_setup is not None:
        _by_setup(photos, labels, by_setup, config, folds, format)
        return
    if len(labels) > 1:
        raise InputError("only --by-setup takes more than one label file")
    from scorer.model.scorer import load_scorer
    from scorer.training.evaluate import at_even_steps, degraded_accuracy
    from scorer.training.evaluate import evaluate as run_evaluation
    from scorer.training.labels import read_labels

    scorer = load_scorer(model, head=head, device=device)
    serps = read_labels(labels[0], note=out.note)
    learned = read_labels(trained_on, note=out.note) if trained_on else []
    names = sorted({image for serp in serps for image in serp.images})
    others = _others(photos, labels[0], serps, clip)
    n_photos = len({image for serp in (*serps, *learned) for image in serp.images})
    with out.progress("photos read", n_photos) as advance:
        result = run_evaluation(scorer, photos, serps, learned=learned, others=others, advance=advance)
    worse = None
    if degraded or degraded_photos:
        some = at_even_steps(names, degraded_photos or len(names))
        with out.progress("photos degraded", len(some)) as advance:
            worse = degraded_accuracy(scorer, photos, some, advance=advance)
    if format is Format.json:
        data = result.to_dict()
        if worse:
            shares = {k: {str(s): a for s, a in v.items()} for k, v in worse.shares.items()}
            data |= {"degraded_accuracy": shares, "n_degraded_photos": worse.n_photos}
        out.as_json(data)
    else:
        _print(result, worse)


def _others(photos: Path, labels: Path, serps: list[Any], clip: str | None) -> dict[str, list[Any]]:
    """The paper's baselines that need more than photos: CTR and query, where the file has them."""
    from scorer.training.behaviour import ctr_of, read_behaviour
    from scorer.training.clip_score import clip_scores

    said = read_behaviour(labels)
    others: dict[str, list[Any]] = {}
    if any(page.ctr for page in said.values()):
        pages = [said.get(serp.serp_id) for serp in serps]
        others["CTR highest"] = [
            ctr_of(serp.images, page) if page and page.ctr else None
            for serp, page in zip(serps, pages, strict=True)
        ]
    if clip is not None:
        queries = [said[s.serp_id].query if s.serp_id in said else "" for s in serps]
        texts = [query or serp.category for query, serp in zip(queries, serps, strict=True)]
        if not all(queries):
            out.note("pages without a query: the category stands for it")
        from ranking.settings import get_settings

        cache = get_settings().state_dir / "embeddings"
        others["CLIP score"] = list(clip_scores(clip, photos, serps, texts, cache))
    return others


def _print(result: Evaluation, worse: Degraded | None) -> None:
    from scorer.training.evaluate import PAPER

    rows = [("all", "model", result.overall)]
    rows += [("all", name, interval) for name, interval in result.baselines.items()]
    rows += [(f"{name} backgrounds", "model", interval) for name, interval in result.by_background.items()]
    rows += [(name, "model", interval) for name, interval in result.by_category.items()]
    out.table(
        [{"pages": pages, "scored by": by, **_shown("OPA %", i)} for pages, by, i in rows],
        title=f"{result.version}: {result.n_photos} photos on {result.n_serps} pages",
        right=["OPA %"],
    )
    if result.clicks:
        clicks = {"model": result.clicks} | result.click_baselines
        out.table(
            [{"scored by": by, **_shown("CA %", interval)} for by, interval in clicks.items()],
            title="clicked photos above the others of their page",
            right=["CA %"],
        )
    out.note(
        "the paper, on its own data (OPA / CA): "
        + ", ".join(f"{name} {opa:.2f} / {ca:.2f}" for name, (opa, ca) in PAPER.items())
    )
    if worse:
        out.table(
            [
                {"degraded by": kind} | {f"severity {s}": f"{share:.1f} %" for s, share in shares.items()}
                for kind, shares in (worse.shares | {"mean": worse.means()}).items()
            ],
            title=f"share of {worse.n_photos} photos that score above their degraded copy",
        )


def _shown(name: str, interval: Interval) -> dict[str, object]:
    return {
        name: f"{interval.value:.1f}",
        "95 % interval": f"{interval.low:.1f}-{interval.high:.1f}",
        "pairs": interval.n_pairs,
    }


def _by_setup(
    photos: Path, labels: list[Path], folder: Path, config: Path | None, folds: int, format: Format
) -> None:
    from scorer.training.by_setup import evaluate_by_setup
    from scorer.training.config import read_config
    from scorer.training.labels import read_labels

    pages = {str(path): read_labels(path, note=out.note) for path in labels}
    result = evaluate_by_setup(photos, pages, folder, read_config(config), n_folds=folds, note=out.note)
    if format is Format.json:
        out.as_json(result.to_dict())
        return
    out.table(
        [{"pairs of": pairs, "scored by": by, **_shown("OPA %", i)} for pairs, by, i in _rows(result)],
        title=(
            f"set-ups never seen: {result.n_photos} photos, {result.n_setups} set-ups, {result.n_folds} folds"
        ),
        right=["OPA %"],
    )


def _rows(result: BySetup) -> list[tuple[str, str, Interval]]:
    return [
        ("all", "model", result.model),
        *(("all", name, interval) for name, interval in result.baselines.items()),
        *((name, "model", interval) for name, interval in result.model_by_labels.items()),
        ("one set-up", "model", result.model_same_setup),
        ("two set-ups", "model", result.model_other_setup),
    ]
