"""The ONNX file as Triton's Python backend runs it, where the server has no backend for ONNX of its own.

`write_onnx_repository` copies this file to `1/model.py`. The server's Python needs onnxruntime (or
OpenVINO) and numpy alone: neither torch nor this package, unless the model decodes photos itself.
"""

from __future__ import annotations

import json
import os
import site
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

for _folder in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
    site.addsitedir(_folder)  # the backend's Python does not follow .pth files, as an editable install needs


Run = Callable[[list[str], Any], list[Any]]  # names of outputs, uint8 [n, size, size, 3] -> their values


class TritonPythonModel:
    """One instance of the image score model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the file of this version."""
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        threads = int(parameters["threads"])
        if parameters.get("runtime") == "openvino":
            precision = parameters.get("openvino_precision", "f32")
            self._run = _openvino(path, threads, parameters["model_version"], precision)
        else:
            gpu = args["model_instance_device_id"] if args["model_instance_kind"] == "GPU" else None
            self._run = _onnxruntime(path, threads, gpu)
        self._outputs = [output["name"] for output in config["output"] if output["name"] != "error"]
        self._version = parameters["model_version"]
        self._decode: Any = None
        if "image_size" in parameters:  # it takes encoded photos
            from scorer.serving.decoding import Decoder

            size = int(parameters["image_size"])
            self._decode = Decoder(size)
            self._run(["score"], np.zeros((1, size, size, 3), dtype=np.uint8))

    def execute(self, requests: list[Any]) -> list[Any]:
        """Score all requests of one dynamic batch in one pass."""
        import triton_python_backend_utils as pb

        if self._decode is not None:
            return self._execute_encoded(pb, requests)
        batches = [pb.get_input_tensor_by_name(request, "image").as_numpy() for request in requests]
        whole = batches[0] if len(batches) == 1 else np.concatenate(batches)
        values = self._run(self._outputs, whole)
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

    def _execute_encoded(self, pb: Any, requests: list[Any]) -> list[Any]:
        from scorer.serving.inputs import read_requests

        read = read_requests(pb, requests, self._decode)
        scores = np.zeros(0)
        if len(read.pixels):
            scores = self._run(["score"], read.pixels)[0][:, 0]
        responses = []
        for mine, errors in read.by_request(read.spread(scores)):
            version = np.full((len(mine), 1), self._version.encode(), dtype=np.object_)
            tensors = [
                pb.Tensor("score", mine[:, None]),
                pb.Tensor("model_version", version),
                pb.Tensor("error", errors[:, None]),
            ]
            responses.append(pb.InferenceResponse(output_tensors=tensors))
        return responses


def _onnxruntime(path: Path, threads: int, gpu: str | None) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin for work take the cores of the other instances, and of whoever else is here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    providers: list[Any] = ["CPUExecutionProvider"]
    if gpu is not None:
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(gpu)}))
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)

    def run(names: list[str], image: Any) -> list[Any]:
        return list(session.run(names, {"image": image}))

    return run


def _openvino(path: Path, threads: int, version: str, precision: str = "f32") -> Run:
    core = import_module("openvino").Core()
    settings = {
        "INFERENCE_PRECISION_HINT": precision,  # of what is not int8; bf16 is f32 where the CPU has none
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    request = compiled.create_infer_request()

    def run(names: list[str], image: Any) -> list[Any]:
        request.infer({"image": image})
        versions = np.full((len(image), 1), version, dtype=np.object_)  # OpenVINO has no strings
        return [
            versions if name == "model_version" else request.get_tensor(name).data.copy() for name in names
        ]

    return run


def _as_bytes(value: Any) -> Any:
    """Text as Triton wants it: an object array of bytes."""
    if value.dtype.kind == "f":
        return value
    return np.array([str(text).encode() for text in value.ravel()], dtype=np.object_).reshape(value.shape)
