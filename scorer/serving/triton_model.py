"""The model as Triton's Python backend runs it. `write_repository` copies this file to `1/model.py`.

It is thin on purpose: the weights beside it are loaded and run by `scorer.model`, the code that trained
them, so a score in the server is the score in a notebook. `rank-toolkit[scorer]` must be importable for
the server's Python.
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
        """Load the weights of this version."""
        import torch

        from scorer.serving.names import VERSION_PARAMETER
        from scorer.serving.weights import load_weights

        parameters = json.loads(args["model_config"])["parameters"]
        on_gpu = args["model_instance_kind"] == "GPU"
        if not on_gpu:
            torch.set_num_threads(int(parameters["threads"]["string_value"]))
        folder = Path(args["model_repository"]) / args["model_version"] / "weights"
        device = f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu"
        self._model = load_weights(folder, device=device, precision=parameters["precision"]["string_value"])
        self._version = self._model.version
        self._decode: Any = None
        if "image_size" in parameters:  # it takes encoded photos
            from scorer.serving.decoding import Decoder

            size = int(parameters["image_size"]["string_value"])
            self._decode = Decoder(size)
            self._model.score(np.zeros((1, size, size, 3), dtype=np.uint8))
        told = parameters[VERSION_PARAMETER]["string_value"]
        if told != self._version:
            print(f"config.pbtxt says {told}, the weights are {self._version}; answering as the latter")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Score all requests of one dynamic batch in one pass."""
        import triton_python_backend_utils as pb

        from scorer.serving.inputs import read_requests
        from scorer.serving.names import ERROR_OUTPUT, SCORE_OUTPUT, VERSION_OUTPUT

        read = read_requests(pb, requests, self._decode)
        scores = read.spread(self._model.score(read.pixels) if len(read.pixels) else np.zeros(0))
        responses = []
        for mine, errors in read.by_request(scores):
            version = np.full((len(mine), 1), self._version.encode(), dtype=np.object_)
            outputs = [pb.Tensor(SCORE_OUTPUT, mine[:, None]), pb.Tensor(VERSION_OUTPUT, version)]
            if self._decode is not None:
                outputs.append(pb.Tensor(ERROR_OUTPUT, errors[:, None]))
            responses.append(pb.InferenceResponse(output_tensors=outputs))
        return responses
