"""A scorer in the formats of other runtimes: ONNX, a Triton repository over it, an open_clip folder.

    write_onnx(load_scorer(), Path("model.onnx"))
    OnnxScorer(Path("model.onnx")).score(pixels)          # no torch

Each export is run beside torch before it is put in place; one whose scores differ is refused. Importing
this package loads neither torch nor onnxruntime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scorer.export.onnx_scorer import OnnxScorer
from scorer.export.repository import OnnxBackend, write_onnx_repository

if TYPE_CHECKING:
    from scorer.export.onnx_file import write_onnx
    from scorer.export.open_clip_folder import write_open_clip_folder


def __getattr__(name: str) -> Any:
    if name == "write_onnx":
        from scorer.export.onnx_file import write_onnx

        return write_onnx
    if name == "write_open_clip_folder":
        from scorer.export.open_clip_folder import write_open_clip_folder

        return write_open_clip_folder
    raise AttributeError(name)


__all__ = ["OnnxBackend", "OnnxScorer", "write_onnx", "write_onnx_repository", "write_open_clip_folder"]
