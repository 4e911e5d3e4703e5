"""One request and one answer, as both clients send and read them; and what the server says of its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError, ServerError
from scorer.serving.errors import ENGINE, BadScoresError
from scorer.serving.names import (
    ENCODED_INPUT,
    ERROR_OUTPUT,
    IMAGE_INPUT,
    SCORE_OUTPUT,
    VERSION_OUTPUT,
    VERSION_PARAMETER,
)
from scorer.serving.tracing import trace_headers

Pixels = NDArray[np.uint8]
Batch = NDArray[Any]  # uint8 [n, height, width, 3], or objects (bytes) [n] for a model that decodes


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of one batch and the weights that made them."""

    scores: NDArray[np.float32]  # [n], each in [0, 1]
    model_version: str
    errors: Mapping[int, str] = field(default_factory=dict)  # why a score is NaN, by position


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model's configuration as the server has it."""

    config: Mapping[str, Any]

    @property
    def decodes(self) -> bool:
        """Whether it takes encoded photos rather than pixels."""
        return bool(self.config["input"][0].get("name") == ENCODED_INPUT)

    @property
    def image_size(self) -> int:
        """Height and width of the images that the model takes, in pixels."""
        if self.decodes:
            return int(self.parameter("image_size") or 0)
        return int(self.config["input"][0]["dims"][0])

    @property
    def max_batch_size(self) -> int:
        """Images in one request at most."""
        return int(self.config["max_batch_size"])

    @property
    def answers_with_version(self) -> bool:
        """Not so for TensorRT, which has no strings."""
        outputs = self.config.get("output")
        return outputs is None or any(output["name"] == VERSION_OUTPUT for output in outputs)

    @property
    def model_version(self) -> str:
        """Version of the weights, as the configuration names it."""
        return self.parameter(VERSION_PARAMETER) or "unknown"

    def parameter(self, name: str) -> str | None:
        """A parameter that the export wrote into the configuration."""
        value = self.config.get("parameters", {}).get(name, {}).get("string_value")
        return None if value is None else str(value)

    def check_pixels(self, images: Pixels) -> None:
        """Raises InputError where the model takes something else than `images`."""
        if self.decodes:
            raise InputError(
                "the model takes encoded photos, and decodes them itself",
                hint="send their bytes to `score_each`, or export with --input pixels",
            )
        wanted = (self.image_size, self.image_size, 3)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != wanted or not len(images):
            got = f"{images.dtype} {list(images.shape)}"
            raise InputError(f"a batch must be uint8 [n, {wanted[0]}, {wanted[1]}, 3], got {got}")

    def parts(self, batch: Batch) -> list[Batch]:
        """`batch` in pieces that fit one request."""
        return np.split(batch, range(self.max_batch_size, len(batch), self.max_batch_size))


def request(model: ServedModel, batch: Batch, *, priority: int, deadline_s: float) -> dict[str, Any]:
    """Arguments of `infer` beside the model's name, of the sync and the async client alike."""
    from tritonclient import grpc

    if model.decodes:
        image = grpc.InferInput(ENCODED_INPUT, [len(batch), 1], "BYTES")
        image.set_data_from_numpy(batch.reshape(-1, 1))
    else:
        image = grpc.InferInput(IMAGE_INPUT, list(batch.shape), "UINT8")
        image.set_data_from_numpy(np.ascontiguousarray(batch))
    wanted = [SCORE_OUTPUT]
    wanted += [VERSION_OUTPUT] if model.answers_with_version else []
    wanted += [ERROR_OUTPUT] if model.decodes else []
    return {
        "inputs": [image],
        "outputs": [grpc.InferRequestedOutput(name) for name in wanted],
        "priority": priority,
        "timeout": max(1, int(deadline_s * 1e6)),  # the server drops what nobody waits for, in µs
        "client_timeout": deadline_s,
        "headers": trace_headers() or None,
    }


def answer(model: ServedModel, result: Any, n: int) -> Scored:
    """Scores of an answer to a request of `n` images; its version is empty where the answer names none.

    Raises:
        ServerError: it is not of `n` images.
    """
    scores = np.asarray(result.as_numpy(SCORE_OUTPUT), dtype=np.float32).reshape(-1)
    versions = {""}
    if model.answers_with_version:
        versions = {bytes(v).decode() for v in result.as_numpy(VERSION_OUTPUT).reshape(-1)}
    if len(scores) != n or len(versions) != 1:
        raise ServerError(ENGINE, f"{n} images were sent and {len(scores)} scores came back")
    errors: dict[int, str] = {}
    if model.decodes:
        said = result.as_numpy(ERROR_OUTPUT).reshape(-1)
        errors = {i: bytes(text).decode() for i, text in enumerate(said) if text}
    return Scored(scores, versions.pop(), errors)


def joined(parts: Sequence[Scored]) -> Scored | None:
    """The parts of one batch as one; None where not all were scored by the same weights."""
    if len({part.model_version for part in parts}) != 1:
        return None
    errors: dict[int, str] = {}
    start = 0
    for part in parts:
        errors |= {start + i: text for i, text in part.errors.items()}
        start += len(part.scores)
    return Scored(np.concatenate([part.scores for part in parts]), parts[0].model_version, errors)


def all_good(scored: Scored) -> Scored:
    """`scored` itself.

    Raises:
        BadScoresError: one of them is NaN, or a number outside [0, 1].
    """
    bad = bad_scores(scored)
    if bad.any():
        raise BadScoresError(scored.scores, bad, scored.model_version)
    return scored


def bad_scores(scored: Scored) -> NDArray[np.bool_]:
    """Which are no score in [0, 1]; NaN compares false."""
    bad: NDArray[np.bool_] = ~((scored.scores >= 0) & (scored.scores <= 1))
    return bad


def changed_version() -> ServerError:
    """The error of a batch that was scored by two versions again and again."""
    return ServerError(ENGINE, "the model changed its version in the middle of a batch, three times")


__all__ = [
    "Batch",
    "Pixels",
    "Scored",
    "ServedModel",
    "all_good",
    "answer",
    "bad_scores",
    "changed_version",
    "joined",
    "request",
]
