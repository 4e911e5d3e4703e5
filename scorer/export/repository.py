"""Triton repositories over the ONNX file: for its onnxruntime and TensorRT backends, or in Python.

    onnx          models/image_score/1/model.onnx    Triton's onnxruntime backend, CPU or GPU
    python-onnx   ... and model.py                   onnxruntime inside the Python backend
    python-openvino   the same                       OpenVINO inside it: int8 and bfloat16 on Intel's CPUs
    tensorrt      models/image_score/1/model.onnx    with build_plan.sh, which makes model.plan from it on
                                                     the GPU that will serve it; a plan fits no other kind

Same layout, batching, priorities and names as the Python backend's (`scorer.serving`), so the client does
not see which one answers.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from scorer.serving.config import Backend, ServingOptions, config_pbtxt
from scorer.serving.repository import Draft, Exported, place
from scorer.serving.weights import Precision, served_version

OnnxBackend = Literal["onnx", "python-onnx", "python-openvino", "tensorrt"]
ONNX_FILE: Final = "model.onnx"  # the names that Triton's backends look for
PLAN_SCRIPT: Final = "build_plan.sh"
_PRECISIONS: Final[dict[OnnxBackend, tuple[Precision, ...]]] = {
    "onnx": ("float32",),
    "python-onnx": ("float32", "int8"),
    "python-openvino": ("float32", "bfloat16", "int8"),
    "tensorrt": ("float32", "bfloat16"),
}
_TRITON: Final[dict[OnnxBackend, Backend]] = {
    "onnx": "onnxruntime",
    "python-onnx": "python",
    "python-openvino": "python",
    "tensorrt": "tensorrt",
}


def write_onnx_repository(
    path: Path,
    model_name: str = "compact",
    *,
    backend: OnnxBackend = "onnx",
    options: ServingOptions | None = None,
    photos: NDArray[np.uint8] | None = None,
) -> Exported:
    """Write a model as ONNX into the repository at `path`, as its latest version.

    Args:
        path: the repository; made if missing.
        model_name: "compact", or a scorer folder.
        backend: who runs it.
        options: batching and device. bfloat16 is for TensorRT and OpenVINO, int8 for onnxruntime and OpenVINO
            in Python; TensorRT always runs on a GPU.
        photos: for int8 with OpenVINO, see `write_onnx`.

    Raises:
        InputError: options that the backend does not have, or what `write_onnx` raises.
    """
    options = options or ServingOptions(device="gpu" if backend == "tensorrt" else "cpu")
    if backend == "tensorrt" and options.device == "cpu":
        raise InputError("TensorRT needs a GPU", hint="use --backend onnx on a CPU")
    if options.precision not in _PRECISIONS[backend]:
        known = " or ".join(_PRECISIONS[backend])
        raise InputError(f"an ONNX file for {backend} is written in {known}, not {options.precision}")
    if options.input == "encoded" and not backend.startswith("python"):
        raise InputError(f"{backend} decodes no photos", hint="use --input pixels")
    static = backend == "python-openvino" and options.precision == "int8"
    if static and photos is None:
        raise InputError("int8 for OpenVINO needs photos to scale by", hint="name a folder with --calibrate")

    def write(draft: Path) -> Draft:
        from scorer.export.onnx_file import write_onnx
        from scorer.model.scorer import load_scorer

        scorer = load_scorer(model_name)
        write_onnx(
            scorer,
            draft / ONNX_FILE,
            with_version=backend not in {"tensorrt", "python-openvino"},  # these have no strings
            precision="int8" if options.precision == "int8" else "float32",
            photos=photos if static else None,
        )
        if _TRITON[backend] == "python":
            source = resources.files("scorer.export") / "triton_model.py"
            (draft / "model.py").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        if backend == "tensorrt":
            script = draft / PLAN_SCRIPT
            script.write_text(plan_script(scorer.image_size, options), encoding="utf-8")
            script.chmod(0o755)
        version = served_version(scorer.version, options.precision)
        config = config_pbtxt(
            size=scorer.image_size,
            model_version=version,
            options=options,
            backend=_TRITON[backend],
            embed_dim=None if options.input == "encoded" else scorer.embed_dim,
            more=_openvino_parameters(options.precision) if backend == "python-openvino" else {},
        )
        return Draft(config, version)

    return place(path, write)


def _openvino_parameters(precision: Precision) -> dict[str, str]:
    bfloat16 = {"openvino_precision": "bf16"} if precision == "bfloat16" else {}
    return {"runtime": "openvino", **bfloat16}


def plan_script(size: int, options: ServingOptions) -> str:
    """A shell script that makes `model.plan` beside it with NVIDIA's trtexec."""
    most = options.max_batch_size
    shapes = [
        f"--{which}Shapes=image:{n}x{size}x{size}x3"
        for which, n in (("min", 1), ("opt", max(1, most // 2)), ("max", most))
    ]
    precision = "--bf16" if options.precision == "bfloat16" else "--noTF32"
    return f"""\
#!/usr/bin/env bash
# Run on the GPU that will serve, with the TensorRT of the Triton image (nvcr.io/nvidia/tritonserver or
# nvcr.io/nvidia/tensorrt of the same release): a plan fits one kind of GPU and one version of TensorRT.
set -euo pipefail
cd "$(dirname "$0")"
trtexec --onnx={ONNX_FILE} --saveEngine=model.plan.part {" ".join(shapes)} {precision}
mv model.plan.part model.plan
"""


__all__ = ["ONNX_FILE", "PLAN_SCRIPT", "OnnxBackend", "plan_script", "write_onnx_repository"]
