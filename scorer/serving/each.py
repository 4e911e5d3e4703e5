"""Photos of one batch, each with an outcome of its own: a broken one does not spoil its neighbours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ranking.errors import InputError
from scorer.serving.decoding import Decoder
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
        InputError: no photo, or pixels of another shape than the model takes.
    """
    if not len(photos):
        raise InputError("a batch must hold at least one photo")
    encoded = [i for i, photo in enumerate(photos) if isinstance(photo, bytes)]
    made: list[AnyPhoto | str] = list(photos)
    for photo in photos:
        if not isinstance(photo, bytes):
            model.check_pixels(photo[None])
    if not model.decodes and encoded:
        decode = Decoder(model.image_size, min(_DECODE_THREADS, len(encoded)))
        for i, pixels in zip(encoded, decode([bytes(photos[i]) for i in encoded]), strict=True):
            made[i] = pixels
    errors = {i: photo for i, photo in enumerate(made) if isinstance(photo, str)}
    good = {i: photo for i, photo in enumerate(made) if not isinstance(photo, str)}
    batch = np.empty(len(good), dtype=np.object_)
    if model.decodes:
        batch[:] = list(good.values())
    elif good:
        batch = np.stack([np.asarray(pixels) for pixels in good.values()])
    return Prepared(batch, list(good), errors, len(photos))


def outcome(prepared: Prepared, scored: Scored) -> Scored:
    """Scores in the order of the photos, NaN where `errors` says why."""
    scores = np.full(prepared.n, np.nan, dtype=np.float32)
    scores[prepared.positions] = scored.scores
    errors = dict(prepared.errors)
    for i in np.flatnonzero(bad_scores(scored)):
        position = prepared.positions[i]
        told = f"the model answered {scored.scores[i]}, which is no score in [0, 1]"
        errors[position] = scored.errors.get(int(i)) or told
        scores[position] = np.nan
    return Scored(scores, scored.model_version, dict(sorted(errors.items())))


def nothing_sent(prepared: Prepared, model: ServedModel) -> Scored:
    """The outcome where not one photo could be sent."""
    return Scored(np.full(prepared.n, np.nan, dtype=np.float32), model.model_version, prepared.errors)


def black_photo(model: ServedModel) -> AnyPhoto:
    """A photo that any model scores."""
    size = model.image_size
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    if not model.decodes:
        return pixels
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


__all__ = ["AnyPhoto", "Prepared", "black_photo", "nothing_sent", "outcome", "prepare"]
