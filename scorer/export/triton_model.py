"""The ONNX file as Triton's Python backend runs it, where the server has no backend for ONNX of its own.

`write_onnx_repository` copies this file to `1/model.py`. The server's Python needs onnxruntime and numpy
alone: neither torch nor this package.
"""

from __future__ import annotations

import json
import os
import site
from pathlib import Path
from typing import Any

import numpy as np

for _folder in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
    site.addsitedir(_folder)  # the backend's Python does not follow .pth files, as an editable install needs


class TritonPythonModel:
    """One instance of the image score model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the file of this version."""
        import onnxruntime

        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(config["parameters"]["threads"]["string_value"])
        options.inter_op_num_threads = 1
        providers: list[Any] = ["CPUExecutionProvider"]
        if args["model_instance_kind"] == "GPU":
            providers.insert(
                0, ("CUDAExecutionProvider", {"device_id": int(args["model_instance_device_id"])})
            )
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=providers)
        self._outputs = [output["name"] for output in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Score all requests of one dynamic batch in one pass."""
        import triton_python_backend_utils as pb

        batches = [pb.get_input_tensor_by_name(request, "image").as_numpy() for request in requests]
        values = self._session.run(self._outputs, {"image": np.concatenate(batches)})
        responses, start = [], 0
        for batch in batches:
            mine = slice(start, start + len(batch))
            tensors = [
                pb.Tensor(name, _as_bytes(value[mine]))
                for name, value in zip(self._outputs, values, strict=True)
            ]
            responses.append(pb.InferenceResponse(output_tensors=tensors))
            start += len(batch)
        return responses


def _as_bytes(value: Any) -> Any:
    """Text as Triton wants it: an object array of bytes."""
    if value.dtype.kind == "f":
        return value
    return np.array([str(text).encode() for text in value.ravel()], dtype=np.object_).reshape(value.shape)
