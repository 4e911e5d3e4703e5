"""What a scorer is worth on labels that it did not learn from: OPA, CA, baselines, degraded copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from scorer.model.photo import open_photo, preprocess, to_rgb
from scorer.model.scorer import ImageScorer
from scorer.model.statistics import NAMES
from scorer.training.baselines import STATISTICS_BASELINES
from scorer.training.data import Photos, load_photos, statistics_of
from scorer.training.degrade import KINDS, degrade
from scorer.training.labels import Serp
from scorer.training.measures import Interval, accuracy, click_accuracy, opa, pair_counts

SEVERITIES: Final = (0.35, 0.7)  # those of the model card
Array = NDArray[np.float64]

# Table 1 of the Image Score paper, in percent: on a proprietary set, so beside ours only for orientation.
PAPER: Final = {
    "Random Guess": (50.0, 50.0),
    "CTR Highest": (42.59, 44.40),
    "CLIP Score": (49.75, 50.20),
    "Image Score (CE)": (67.45, 64.14),
    "Image Score (FL)": (67.75, 64.42),
}


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
    clicks: Interval | None  # click accuracy on the pages with a click
    click_baselines: dict[str, Interval]
    quantiles: tuple[float, float, float]  # scores at 5, 50 and 95 %

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def evaluate(
    scorer: ImageScorer,
    folder: Path,
    serps: Sequence[Serp],
    *,
    learned: Sequence[Serp] = (),
    others: Mapping[str, Sequence[Array | None]] = MappingProxyType({}),
    advance: Callable[[int], object] | None = None,
) -> Evaluation:
    """Score the labelled photos and compare the order within each page with the judges' and the buyers'.

    Args:
        scorer: the model.
        folder: the photo folder.
        serps: pages that the model was not trained on.
        learned: pages to fit the baselines on image statistics to; they are left out without.
        others: more baselines: per page the score of each photo, or None where it cannot be scored (such a
            page is then left out of that baseline's figure).
        advance: told how many photos were read.
    """
    photos = load_photos(
        folder, (image for serp in (*serps, *learned) for image in serp.images), scorer.image_size,
        advance=advance,
    )  # fmt: skip
    scores = score_pixels(scorer, photos.pixels)
    statistics = statistics_of(photos.pixels)
    rng = np.random.default_rng(0)
    categories = sorted({serp.category for serp in serps})
    compared: dict[str, Array] = {
        "random": rng.random(len(scores)),
        "brightness": statistics[:, NAMES.index("luma_mean")],
        "flat background": statistics[:, NAMES.index("background_flatness")],
    }
    if learned:
        pages = [(photos.rows(serp.images), serp.truth) for serp in learned]
        compared |= {name: fit(statistics, pages) for name, fit in STATISTICS_BASELINES.items()}
    by_page: dict[str, Sequence[Array | None]] = {
        name: [values[photos.rows(serp.images)] for serp in serps] for name, values in compared.items()
    }
    by_page |= others
    ours = [scores[photos.rows(serp.images)] for serp in serps]
    clicked = any(serp.clicked is not None for serp in serps)
    return Evaluation(
        version=scorer.version,
        n_serps=len(serps),
        n_photos=len({image for serp in serps for image in serp.images}),
        overall=_opa(photos, serps, scores),
        by_category={c: _opa(photos, [s for s in serps if s.category == c], scores) for c in categories},
        by_background=_by_background(photos, serps, scores, statistics),
        baselines={name: _orders(serps, values) for name, values in by_page.items()},
        clicks=_clicks(serps, ours) if clicked else None,
        click_baselines={name: _clicks(serps, values) for name, values in by_page.items()} if clicked else {},
        quantiles=tuple(  # type: ignore[arg-type]
            float(q) for q in np.quantile(np.concatenate(ours), [0.05, 0.5, 0.95])
        ),
    )


def _orders(serps: Sequence[Serp], scores: Sequence[Array | None]) -> Interval:
    return opa([(serp.truth, s) for serp, s in zip(serps, scores, strict=True) if s is not None])


def _clicks(serps: Sequence[Serp], scores: Sequence[Array | None]) -> Interval:
    return click_accuracy(
        [
            (serp.clicked, s)
            for serp, s in zip(serps, scores, strict=True)
            if s is not None and serp.clicked is not None
        ]
    )


def score_pixels(scorer: ImageScorer, pixels: NDArray[np.uint8], batch: int = 64) -> Array:
    """Scores of preprocessed photos (n, size, size, 3), shape (n,)."""
    with torch.inference_mode():
        parts = [scorer(torch.from_numpy(pixels[i : i + batch])) for i in range(0, len(pixels), batch)]
        result: Array = torch.cat(parts).cpu().numpy().astype(np.float64)
    return result


@dataclass(frozen=True, slots=True)
class Degraded:
    """How often photos score above their own degraded copies, in percent."""

    n_photos: int
    shares: dict[str, dict[float, float]]  # by kind and severity

    def means(self) -> dict[float, float]:
        """Over the kinds, by severity."""
        return {
            s: float(np.mean([by[s] for by in self.shares.values()]))
            for s in next(iter(self.shares.values()))
        }


def degraded_accuracy(
    scorer: ImageScorer,
    folder: Path,
    names: Sequence[str],
    *,
    severities: Sequence[float] = SEVERITIES,
    seed: int = 0,
    advance: Callable[[int], object] | None = None,
) -> Degraded:
    """Share of photos, in percent, that score above their own degraded copy, by kind and severity.

    The whole photo is degraded, then preprocessed: not the small copies that training works on. Photos are
    held in memory two at a time; what happens to one depends on the seed and its place in `names`.

    Raises:
        PhotoError: a photo is absent or broken.
    """
    size = scorer.image_size
    other = np.asarray(to_rgb(open_photo(folder / names[-1])))  # whose pieces clutter the first
    better = np.zeros((len(KINDS), len(severities)))
    for place, name in enumerate(names):
        rng = np.random.default_rng([seed, place])
        whole = np.asarray(to_rgb(open_photo(folder / name)))
        copies = [degrade(whole, kind, severity, rng, other) for kind in KINDS for severity in severities]
        scores = score_pixels(scorer, np.stack([_small(photo, size) for photo in (whole, *copies)]))
        better += (scores[1:] < scores[0]).reshape(better.shape)
        other = whole
        if advance is not None:
            advance(1)
    shares = 100.0 * better / len(names)
    return Degraded(
        len(names),
        {
            k: {s: float(v) for s, v in zip(severities, row, strict=True)}
            for k, row in zip(KINDS, shares, strict=True)
        },
    )


def at_even_steps(names: Sequence[str], n: int) -> list[str]:
    """So many of the names, spread evenly; all of them where there are no more."""
    if n >= len(names):
        return list(names)
    return [names[int(i)] for i in np.linspace(0, len(names) - 1, n).round()]


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


__all__ = [
    "PAPER",
    "SEVERITIES",
    "Degraded",
    "Evaluation",
    "at_even_steps",
    "degraded_accuracy",
    "evaluate",
    "score_pixels",
]
