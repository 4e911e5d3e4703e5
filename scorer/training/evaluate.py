"""What a scorer is worth on labels that it did not learn from: OPA by class, baselines, degraded copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from scorer.model.photo import open_photo, preprocess, to_rgb
from scorer.model.scorer import ImageScorer
from scorer.model.statistics import NAMES
from scorer.training.data import Photos, load_photos, statistics_of
from scorer.training.degrade import KINDS, degrade
from scorer.training.labels import Serp
from scorer.training.measures import Interval, accuracy, opa, pair_counts

SEVERITIES: Final = (0.35, 0.7, 1.0)
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """OPA in percent, each with a 95 % bootstrap interval over pages."""

    version: str
    n_serps: int
    n_photos: int
    overall: Interval
    by_category: dict[str, Interval]
    by_background: dict[str, Interval]  # pairs within a page whose backgrounds look alike, or do not
    baselines: dict[str, Interval]
    quantiles: tuple[float, float, float]  # scores at 5, 50 and 95 %

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def evaluate(
    scorer: ImageScorer,
    folder: Path,
    serps: Sequence[Serp],
    *,
    advance: Callable[[int], object] | None = None,
) -> Evaluation:
    """Score the labelled photos and compare the order within each page with the judges'."""
    photos = load_photos(
        folder, (image for serp in serps for image in serp.images), scorer.image_size, advance=advance
    )
    scores = score_pixels(scorer, photos.pixels)
    statistics = statistics_of(photos.pixels)
    rng = np.random.default_rng(0)
    categories = sorted({serp.category for serp in serps})
    return Evaluation(
        version=scorer.version,
        n_serps=len(serps),
        n_photos=len(photos.names),
        overall=_opa(photos, serps, scores),
        by_category={c: _opa(photos, [s for s in serps if s.category == c], scores) for c in categories},
        by_background=_by_background(photos, serps, scores, statistics),
        baselines={
            "random": _opa(photos, serps, rng.random(len(scores))),
            "brightness": _opa(photos, serps, statistics[:, NAMES.index("luma_mean")]),
            "flat background": _opa(photos, serps, statistics[:, NAMES.index("background_flatness")]),
        },
        quantiles=tuple(float(q) for q in np.quantile(scores, [0.05, 0.5, 0.95])),  # type: ignore[arg-type]
    )


def score_pixels(scorer: ImageScorer, pixels: NDArray[np.uint8], batch: int = 64) -> Array:
    """Scores of preprocessed photos (n, size, size, 3), shape (n,)."""
    with torch.inference_mode():
        parts = [scorer(torch.from_numpy(pixels[i : i + batch])) for i in range(0, len(pixels), batch)]
        result: Array = torch.cat(parts).cpu().numpy().astype(np.float64)
    return result


def degraded_accuracy(
    scorer: ImageScorer,
    folder: Path,
    names: Sequence[str],
    *,
    severities: Sequence[float] = SEVERITIES,
    seed: int = 0,
    advance: Callable[[int], object] | None = None,
) -> dict[str, dict[float, float]]:
    """Share of photos, in percent, that score above their own degraded copy, by kind and severity.

    The whole photo is degraded, then preprocessed: not the small copies that training works on.
    """
    rng = np.random.default_rng(seed)
    whole = [np.asarray(to_rgb(open_photo(folder / name))) for name in names]
    size = scorer.image_size
    original = score_pixels(scorer, np.stack([_small(photo, size) for photo in whole]))
    shares: dict[str, dict[float, float]] = {}
    for kind in KINDS:
        for severity in severities:
            others = rng.integers(0, len(whole), len(whole))
            worse = [degrade(p, kind, severity, rng, whole[o]) for p, o in zip(whole, others, strict=True)]
            scores = score_pixels(scorer, np.stack([_small(photo, size) for photo in worse]))
            shares.setdefault(kind, {})[severity] = float(100.0 * (scores < original).mean())
            if advance is not None:
                advance(1)
    return shares


def _small(photo: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    from PIL import Image

    return preprocess(Image.fromarray(photo), size)


def _opa(photos: Photos, serps: Sequence[Serp], scores: Array) -> Interval:
    return opa([(serp.truth, scores[photos.rows(serp.images)]) for serp in serps])


def _by_background(
    photos: Photos, serps: Sequence[Serp], scores: Array, statistics: Array
) -> dict[str, Interval]:
    """OPA apart for pairs with similar borders and pairs with different ones.

    A scorer that has only learnt sellers' set-ups is at 50 % among similar ones. Similar: the distance
    between the standardized border statistics is in the nearest quarter of all pairs within pages.
    """
    columns = [
        i for i, name in enumerate(NAMES) if name.startswith(("border_", "background_", "warmth", "tint"))
    ]
    border = statistics[:, columns]
    border = (border - border.mean(axis=0)) / np.maximum(border.std(axis=0), 1e-6)
    distances: list[Array] = []  # per page, between all its photos
    for serp in serps:
        own = border[photos.rows(serp.images)]
        distances.append(np.linalg.norm(own[:, None] - own[None, :], axis=2))
    limit = float(np.quantile(np.concatenate([d[np.triu_indices(len(d), 1)] for d in distances]), 0.25))
    similar, different = [], []
    for serp, distance in zip(serps, distances, strict=True):
        ours = scores[photos.rows(serp.images)]
        near = distance <= limit
        similar.append(pair_counts(serp.truth, ours, among=near))
        different.append(pair_counts(serp.truth, ours, among=~near))
    return {"similar": accuracy(similar), "different": accuracy(different)}


__all__ = ["SEVERITIES", "Evaluation", "degraded_accuracy", "evaluate", "score_pixels"]
