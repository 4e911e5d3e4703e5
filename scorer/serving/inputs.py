"""The photos of one dynamic batch in the server, pixels or encoded, with a reason for each that is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer.serving.names import ENCODED_INPUT, IMAGE_INPUT

Decode = Callable[[Sequence[bytes]], list[NDArray[np.uint8] | str]]


@dataclass(frozen=True, slots=True)
class Read:
    """What a batch of requests holds."""

    pixels: NDArray[np.uint8]  # of those that can be scored
    positions: NDArray[np.intp]  # of these among all
    errors: NDArray[Any]  # bytes, of all; empty where there is none
    sizes: list[int]  # photos of each request

    def spread(self, scores: NDArray[Any]) -> NDArray[np.float32]:
        """Scores of all, NaN where there is none."""
        every = np.full(len(self.errors), np.nan, dtype=np.float32)
        every[self.positions] = scores
        return every

    def by_request(self, scores: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.float32], NDArray[Any]]]:
        """Scores and errors of each request."""
        start = 0
        for size in self.sizes:
            yield scores[start : start + size], self.errors[start : start + size]
            start += size


def read_requests(pb: Any, requests: Sequence[Any], decode: Decode | None) -> Read:
    """The photos of some requests.

    Args:
        pb: Triton's `triton_python_backend_utils`.
        requests: of one dynamic batch.
        decode: for a model that takes encoded photos.
    """
    name = IMAGE_INPUT if decode is None else ENCODED_INPUT
    batches = [pb.get_input_tensor_by_name(request, name).as_numpy() for request in requests]
    sizes = [len(batch) for batch in batches]
    whole = batches[0] if len(batches) == 1 else np.concatenate(batches)
    errors = np.full(len(whole), b"", dtype=np.object_)
    if decode is None:
        return Read(whole, np.arange(len(whole)), errors, sizes)
    made = decode(list(whole.reshape(-1)))
    positions = [i for i, photo in enumerate(made) if not isinstance(photo, str)]
    for i, photo in enumerate(made):
        if isinstance(photo, str):
            errors[i] = photo.encode()
    good = [photo for photo in made if not isinstance(photo, str)]
    pixels = np.stack(good) if good else np.zeros((0, 1, 1, 3), dtype=np.uint8)
    return Read(pixels, np.array(positions, dtype=np.intp), errors, sizes)


__all__ = ["Read", "read_requests"]
