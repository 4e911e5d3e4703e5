"""`rank-cli scorer export`: a model in the format of another runtime."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import ModelOption

if TYPE_CHECKING:
    from scorer.serving import Exported, ServingOptions
    from scorer.serving.weights import Precision as Weights


class Backend(StrEnum):
    """What the model is written for."""

    python = "python"
    onnx = "onnx"
    python_onnx = "python-onnx"
    python_openvino = "python-openvino"
    tensorrt = "tensorrt"
    open_clip = "open-clip"


class Device(StrEnum):
    """Where the server computes."""

    cpu = "cpu"
    gpu = "gpu"


class Precision(StrEnum):
    """Of the weights."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"


class Input(StrEnum):
    """What a request carries."""

    pixels = "pixels"
    encoded = "encoded"


def export(
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="Triton model repository, the local stack's by default; for open-clip a new folder."
        ),
    ] = None,
    model: ModelOption = "compact",
    backend: Annotated[
        Backend,
        typer.Option(
            "--backend",
            help="python (torch), onnx (Triton's onnxruntime backend), python-onnx (onnxruntime in the "
            "Python backend), python-openvino, tensorrt, or open-clip (a local-dir: folder).",
        ),
    ] = Backend.python,
    device: Annotated[
        Device | None, typer.Option("--device", help="Where the server computes; tensorrt: gpu, else cpu.")
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision",
            help="float32, bfloat16 (python, python-openvino, tensorrt), int8 (python, python-onnx, "
            "python-openvino) or auto: what is fastest on this machine's CPU.",
        ),
    ] = Precision.float32,
    input: Annotated[
        Input,
        typer.Option(
            "--input",
            help="pixels, decoded by the client; or encoded: the server decodes (python, python-onnx).",
        ),
    ] = Input.pixels,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            help="Folder of photos that int8 for torch and OpenVINO is scaled by; 32 of them are read.",
        ),
    ] = None,
    max_batch: Annotated[int, typer.Option("--max-batch", min=1, help="Photos in one batch at most.")] = 32,
    instances: Annotated[
        int | None,
        typer.Option(
            "--instances",
            min=1,
            help="Copies of the model in the server, of one thread each on a CPU. Default: as many as this "
            "machine has cores, 8 at most; 1 on a GPU.",
        ),
    ] = None,
    load: Annotated[bool, typer.Option("--load", help="Also have the running Triton load it.")] = False,
    format: FormatOption = Format.table,
) -> None:
    """Write a model for another runtime: a Triton repository, or a folder that open_clip loads.

    A Triton repository gets weights, config.pbtxt and warm-up, as its next version. What is written as ONNX
    is first run by onnxruntime beside torch, and refused where a score differs by more than 0.001.

    Example: rank-cli scorer export --backend python-onnx --load
    """
    from dataclasses import replace

    from ranking.errors import InputError
    from ranking.settings import get_settings
    from scorer.export.repository import PLAN_SCRIPT
    from scorer.serving import ServingOptions, load_into
    from scorer.serving.cpu import best_precision, instances_for
    from scorer.serving.errors import NothingToQuantize

    if backend is Backend.open_clip:
        if to is None or load:
            raise InputError(
                "--backend open-clip writes a folder of its own", hint="name it with --to; leave out --load"
            )
        _open_clip(model, to, format)
        return
    where = device or (Device.gpu if backend is Backend.tensorrt else Device.cpu)
    if precision is Precision.auto:
        chosen = best_precision(backend.value, where.value, photos=calibrate is not None)
    else:
        chosen = cast("Weights", precision.value)
    options = ServingOptions(
        device=where.value,
        precision=chosen,
        input=input.value,
        max_batch_size=max_batch,
        instances=instances or (instances_for() if where is Device.cpu else 1),
    )
    repository = to or get_settings().state_dir / "triton" / "models"
    try:
        exported = _repository(repository, model, backend.value, options, calibrate)
    except NothingToQuantize:
        if precision is not Precision.auto:
            raise
        plain = best_precision("python", where.value) if backend is Backend.python else "float32"
        options = replace(options, precision=plain)
        exported = _repository(repository, model, backend.value, options, None)
    if load:
        if backend is Backend.tensorrt and not exported.version_folder.joinpath("model.plan").is_file():
            raise InputError(
                f"{exported.version_folder} has no model.plan, so Triton cannot load it",
                hint=f"run {exported.version_folder / PLAN_SCRIPT} on that server's GPU, then this again",
            )
        load_into(exported)
    row = {
        "folder": str(exported.folder),
        "version": exported.number,
        "backend": backend.value,
        "model_version": exported.model_version,
        "precision": options.precision,
        "instances": options.instances,
        "written": exported.changed,
        "loaded": load,
    }
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
    if backend is Backend.tensorrt:
        out.note(
            f"run {exported.version_folder / PLAN_SCRIPT} on the GPU that will serve: it makes model.plan"
        )


def _repository(
    path: Path, model: str, backend: str, options: ServingOptions, calibrate: Path | None
) -> Exported:
    from scorer.export.calibration import read_some

    photos = read_some(calibrate, model) if calibrate and options.precision == "int8" else None
    match backend:
        case "onnx" | "python-onnx" | "python-openvino" | "tensorrt":
            from scorer.export import write_onnx_repository

            return write_onnx_repository(path, model, backend=backend, options=options, photos=photos)
        case _:
            from scorer.serving import write_repository

            return write_repository(path, model, options=options, photos=photos)


def _open_clip(model: str, folder: Path, format: Format) -> None:
    from scorer.export import write_open_clip_folder

    version = write_open_clip_folder(model, folder)
    row = {"folder": str(folder), "tower": f"local-dir:{folder}", "model_version": version}
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
