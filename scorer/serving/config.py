"""The text of a Triton `config.pbtxt` for the image score model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from scorer.serving.names import (
    EMBEDDING_OUTPUT,
    ENCODED_INPUT,
    ERROR_OUTPUT,
    IMAGE_INPUT,
    MODEL_NAME,
    SCORE_OUTPUT,
    VERSION_OUTPUT,
    VERSION_PARAMETER,
)
from scorer.serving.weights import Precision

Backend = Literal["python", "onnxruntime", "tensorrt"]  # Triton's own names
Device = Literal["cpu", "gpu"]
Input = Literal["pixels", "encoded"]
PRIORITY_LEVELS: Final = 2  # 1 online, 2 backfill


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingOptions:
    """How the server batches and where it computes.

    One thread an instance: threads of one instance wait for each other spinning, which on cores that others
    use too costs far more than it gains (2 busy cores, the compact model: 393 photos/s on one thread, 18 on
    two).
    """

    max_batch_size: int = 32
    max_queue_delay_us: int = 2_000  # how long a request may wait for others to share its batch
    max_queue_size: int = 512  # requests; one more is refused with UNAVAILABLE, and the client backs off
    device: Device = "cpu"
    precision: Precision = "float32"  # bfloat16 and int8 move scores in the third digit
    input: Input = "pixels"  # or encoded: the server decodes; of the Python backend
    instances: int = 1
    threads: int = 1  # torch threads of one CPU instance; more cores are better used by more instances

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "instances", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("max_queue_delay_us", "max_queue_size"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")


def config_pbtxt(
    *,
    size: int,
    model_version: str,
    options: ServingOptions,
    backend: Backend = "python",
    embed_dim: int | None = None,
    more: Mapping[str, str] | None = None,
) -> str:
    """The configuration of a model that takes `size` x `size` photos.

    A backfill's requests wait behind every online one. A request may bring its own queue timeout, after
    which the server drops it instead of computing what nobody waits for.

    Args:
        size: side of the square input, in pixels.
        model_version: version of the weights.
        options: batching and device.
        backend: which of Triton's backends runs it. TensorRT has no strings, so there the version is told
            by the configuration alone.
        embed_dim: length of the embedding, where the model puts it out.
        more: parameters for the model's own code.
    """
    decodes = options.input == "encoded"
    outputs = [f'{{ name: "{SCORE_OUTPUT}" data_type: TYPE_FP32 dims: [ 1 ] }}']
    if embed_dim is not None:
        outputs.append(f'{{ name: "{EMBEDDING_OUTPUT}" data_type: TYPE_FP32 dims: [ {embed_dim} ] }}')
    if backend != "tensorrt":
        outputs.append(f'{{ name: "{VERSION_OUTPUT}" data_type: TYPE_STRING dims: [ 1 ] }}')
    if decodes:
        outputs.append(f'{{ name: "{ERROR_OUTPUT}" data_type: TYPE_STRING dims: [ 1 ] }}')
    listed = ",\n  ".join(outputs)
    parameters = {VERSION_PARAMETER: model_version, "precision": options.precision} | _threads(
        backend, options
    )
    parameters |= more or {}
    if decodes:
        parameters["image_size"] = str(size)
    pixels = f"[ {size}, {size}, 3 ]"
    name, kind, dims = (
        (ENCODED_INPUT, "TYPE_STRING", "[ 1 ]") if decodes else (IMAGE_INPUT, "TYPE_UINT8", pixels)
    )
    warm = "" if decodes else _warm_up(name, kind, dims)
    told = "\n".join(
        f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}'
        for key, value in parameters.items()
    )
    return f"""\
name: "{MODEL_NAME}"
backend: "{backend}"
max_batch_size: {options.max_batch_size}
input [
  {{ name: "{name}" data_type: {kind} dims: {dims} }}
]
output [
  {listed}
]
version_policy {{ latest {{ num_versions: 1 }} }}
instance_group [
  {{ kind: KIND_{options.device.upper()} count: {options.instances} }}
]
dynamic_batching {{
  max_queue_delay_microseconds: {options.max_queue_delay_us}
  priority_levels: {PRIORITY_LEVELS}
  default_priority_level: 1
  default_queue_policy {{
    timeout_action: REJECT
    allow_timeout_override: true
    max_queue_size: {options.max_queue_size}
  }}
}}
{warm}{told}
"""


def _warm_up(name: str, kind: str, dims: str) -> str:
    """One black photo before the model counts as ready; one that decodes warms up by itself."""
    return f"""\
model_warmup [
  {{
    name: "one photo"
    batch_size: 1
    inputs {{
      key: "{name}"
      value: {{ data_type: {kind} dims: {dims} zero_data: true }}
    }}
  }}
]
"""


def _threads(backend: Backend, options: ServingOptions) -> dict[str, str]:
    match backend:
        case "python":
            return {"threads": str(options.threads)}
        case "onnxruntime":
            return {"intra_op_thread_count": str(options.threads), "inter_op_thread_count": "1"}
        case "tensorrt":
            return {}


__all__ = ["PRIORITY_LEVELS", "Backend", "Device", "ServingOptions", "config_pbtxt"]
