"""Photos of one batch, each with an outcome of its own: a broken one does not spoil its neighbours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ranking.errors import InputError
from scorer.model.photo import PhotoError, read_photo
from scorer.serving.wire import Batch, Pixels, Scored, ServedModel, bad_scores

AnyPhoto = bytes | Pixels  # an encoded photo, or pixels as the model takes them
_DECODE_THREADS = 4


@dataclass(frozen=True, slots=True)
class Prepared:
    """What of some photos can be sent."""

    batch: Batch
    positions: list[int]  # of each image of `batch` among the photos
    errors: dict[int, str]  # of photos that are not sent
    n: int


def prepare(photos: Sequence[AnyPhoto], model: ServedModel) -> Prepared:
    """Decode what the model does not decode itself, and set aside what cannot be.

    Raises:
        InputError: pixels of another shape than the model takes, or pixels for a model that decodes.
    """
    good: dict[int, AnyPhoto] = {}
    errors: dict[int, str] = {}
    with ThreadPoolExecutor(_DECODE_THREADS) as pool:
        for i, made in enumerate(pool.map(lambda photo: _made(photo, model), photos)):
            if isinstance(made, PhotoError):
                errors[i] = str(made)
            else:
                good[i] = made
    batch = np.empty(len(good), dtype=np.object_)
    if model.decodes:
        batch[:] = list(good.values())
    elif good:
        batch = np.stack([np.asarray(pixels) for pixels in good.values()])
    return Prepared(batch, list(good), errors, len(photos))


def _made(photo: AnyPhoto, model: ServedModel) -> AnyPhoto | PhotoError:
    if not isinstance(photo, bytes):
        model.check_pixels(photo[None])
        return photo
    if not photo:
        return PhotoError("the photo is empty")
    if model.decodes:
        return photo
    try:
        return read_photo(photo, model.image_size)
    except PhotoError as e:
        return e


def outcome(prepared: Prepared, scored: Scored) -> Scored:
    """Scores in the order of the photos, NaN where `errors` says why."""
    scores = np.full(prepared.n, np.nan, dtype=np.float32)
    scores[prepared.positions] = scored.scores
    errors = dict(prepared.errors)
    for i, bad in enumerate(bad_scores(scored)):
        if bad:
            position = prepared.positions[i]
            errors[position] = scored.errors.get(i) or (
                f"the model answered {scored.scores[i]}, which is no score in [0, 1]"
            )
            scores[position] = np.nan
    return Scored(scores, scored.model_version, dict(sorted(errors.items())))


def nothing_sent(prepared: Prepared, model: ServedModel) -> Scored:
    """The outcome where not one photo could be sent."""
    return Scored(np.full(prepared.n, np.nan, dtype=np.float32), model.model_version, prepared.errors)


def at_least_one(photos: Sequence[AnyPhoto]) -> None:
    """Raises InputError where there are none."""
    if not len(photos):
        raise InputError("a batch must hold at least one photo")


def black_photo(model: ServedModel) -> AnyPhoto:
    """A photo that any model scores."""
    size = model.image_size
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    if not model.decodes:
        return pixels
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


__all__ = ["AnyPhoto", "Prepared", "at_least_one", "black_photo", "nothing_sent", "outcome", "prepare"]
