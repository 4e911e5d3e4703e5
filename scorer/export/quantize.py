"""An ONNX file with int8 weights, where its matrix products are most of it: transformer towers.

    dynamic   onnxruntime's: activations are scaled as they come, over the whole batch. Needs no photos;
              a photo's score then depends, in the third digit, on the photos it is batched with.
    static    scales of the activations are fixed from photos (QDQ form, for OpenVINO). The same photo has
              the same score in any batch.

Weights have a scale per output channel and seven bits either way: a CPU without VNNI adds two products of
bytes in sixteen bits, which eight would overflow without a word, and a file is served where it was not made.
Products of activations with each other (attention) and
convolutions stay float32.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scorer.serving.errors import NothingToQuantize
from scorer.serving.names import IMAGE_INPUT

_LEAST_SHARE: Final = 0.5  # of the weights that must lie in matrix products


def quantize_dynamic(source: Path, target: Path) -> None:
    """Write `source` with int8 weights, for onnxruntime.

    Raises:
        NothingToQuantize: most weights of the file are not in matrix products.
    """
    from onnxruntime import quantization as q

    products = _products(source)
    with _quiet():
        q.quantize_dynamic(
            source,
            target,
            weight_type=q.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_quantize=products,
        )


def quantize_static(source: Path, target: Path, photos: NDArray[np.uint8]) -> None:
    """Write `source` with int8 weights and fixed scales of activations, for OpenVINO.

    Args:
        source: float32.
        target: replaced.
        photos: what the model will see, uint8 [n, size, size, 3]; a few dozen are enough.

    Raises:
        NothingToQuantize: as `quantize_dynamic`.
    """
    from onnxruntime import quantization as q

    class Photos(q.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[NDArray[np.uint8]] = iter(photos)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            photo = next(self._left, None)
            return None if photo is None else {IMAGE_INPUT: photo[None]}

    products = _products(source)
    with _quiet():
        q.quantize_static(
            source,
            target,
            Photos(),
            quant_format=q.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm"],
            nodes_to_quantize=products,
            # What leaves a product goes into a sum or a curve in float32: no rounding there.
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"], "QuantizeBias": False},
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer gives advice on the root logger."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)


def _products(path: Path) -> list[str]:
    """Names of the matrix products with constant weights."""
    import onnx

    graph = onnx.load(path).graph
    sizes = {weight.name: int(np.prod(weight.dims)) for weight in graph.initializer}
    found: list[Any] = [
        node
        for node in graph.node
        if node.op_type in {"MatMul", "Gemm"} and any(name in sizes for name in node.input)
    ]
    held = sum(sizes.get(name, 0) for node in found for name in node.input[:2])
    if held < _LEAST_SHARE * sum(sizes.values()):
        raise NothingToQuantize(
            "int8 gains nothing for this tower: most of it are convolutions, not matrix products",
            hint="export it with --precision float32",
        )
    return [node.name for node in found]


__all__ = ["quantize_dynamic", "quantize_static"]
