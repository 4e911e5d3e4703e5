"""Writes the Triton model repository, and has a running server take it up.

    models/image_score/config.pbtxt
    models/image_score/3/model.py      for Triton's Python backend
    models/image_score/3/weights/      what `scorer.model` loads

Every new export is the next version number, put in place whole by one rename; the server's version policy
serves the latest. The same weights with the same options written again change nothing.
"""

from __future__ import annotations

import filecmp
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError, ServerError
from scorer.serving.addresses import servers
from scorer.serving.client import ScoreClient
from scorer.serving.config import ServingOptions, config_pbtxt
from scorer.serving.errors import ENGINE
from scorer.serving.names import MODEL_NAME
from scorer.serving.weights import export_weights, load_weights, served_version

if TYPE_CHECKING:
    from scorer.model.scorer import ImageScorer

KEPT_VERSIONS: Final = 2  # the one that is served and the one before it


@dataclass(frozen=True, slots=True)
class Exported:
    """Where a model was written."""

    folder: Path  # models/image_score
    number: int  # Triton's version: 1, 2, ...
    model_version: str  # of the weights
    changed: bool  # False where the same was there already

    @property
    def version_folder(self) -> Path:
        """The folder of this version, such as models/image_score/3."""
        return self.folder / str(self.number)


@dataclass(frozen=True, slots=True)
class Draft:
    """What goes beside the files of one version."""

    config: str  # config.pbtxt
    model_version: str  # of the weights


def write_repository(
    path: Path,
    model_name: str = "compact",
    *,
    options: ServingOptions | None = None,
    photos: NDArray[np.uint8] | None = None,
) -> Exported:
    """Write a model into the repository at `path`, as its latest version.

    Args:
        path: the repository, such as `.rank/triton/models`; made if missing.
        model_name: "compact", or a scorer folder.
        options: batching and device.
        photos: for int8, what the scales of activations are fixed by, uint8 [n, size, size, 3].

    Raises:
        InputError: int8 without photos, or on a GPU, or that orders the photos otherwise than float32.
        NothingToQuantize: int8 for a tower that `scorer.serving.int8` does not know.
    """
    options = options or ServingOptions()
    int8 = options.precision == "int8"
    if int8 and options.device == "gpu":
        raise InputError("int8 in torch is for CPUs", hint="use --precision bfloat16 on a GPU")
    if int8 and photos is None:
        raise InputError("int8 in torch needs photos to scale by", hint="name a folder with --calibrate")

    def write(draft: Path) -> Draft:
        (draft / "weights").mkdir()
        model = export_weights(model_name, draft / "weights")
        if int8 and photos is not None:
            _fix_scales(model, photos, draft / "weights")
        model_version = served_version(model.version, options.precision)
        source = resources.files("scorer.serving") / "triton_model.py"
        (draft / "model.py").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        config = config_pbtxt(size=model.image_size, model_version=model_version, options=options)
        return Draft(config, model_version)

    return place(path, write)


def _fix_scales(model: ImageScorer, photos: NDArray[np.uint8], folder: Path) -> None:
    """Write the scales beside the weights, once int8 was seen to order photos as float32 does."""
    from scorer.serving.int8 import measure, write_scales
    from scorer.serving.order import check_order

    scales, expected = measure(model, photos)
    write_scales(scales, folder)
    check_order(expected, load_weights(folder, precision="int8"), photos)


def place(path: Path, write: Callable[[Path], Draft]) -> Exported:
    """Put what `write` writes into the repository at `path`, whole, as the next version.

    Args:
        path: the repository; made if missing.
        write: fills the empty folder it is given with one version's files. Where it raises, the repository
            stays as it was.
    """
    folder = path / MODEL_NAME
    path.mkdir(parents=True, exist_ok=True)
    # Beside the repository, not in it: a server that polls would take a half-written folder for a model.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as temporary:
        draft = Path(temporary) / "draft"
        draft.mkdir()
        written = write(draft)
        latest = _latest(folder)
        if latest is not None and _same(folder, latest, draft, written.config):
            return Exported(folder, latest, written.model_version, changed=False)
        number = (latest or 0) + 1
        whole = Path(temporary) / MODEL_NAME
        whole.mkdir()
        (whole / "config.pbtxt").write_text(written.config, encoding="utf-8")
        draft.rename(whole / str(number))
        if folder.exists():
            (whole / str(number)).rename(folder / str(number))
            (whole / "config.pbtxt").replace(folder / "config.pbtxt")
        else:
            whole.rename(folder)
    for old in _numbers(folder)[:-KEPT_VERSIONS]:
        shutil.rmtree(folder / str(old))
    return Exported(folder, number, written.model_version, changed=True)


def load_into(exported: Exported, triton_url: str | None = None, *, timeout_s: float = 120.0) -> ScoreClient:
    """Have the running servers load what was exported; a client once all answer with these weights.

    A server in explicit model control is told to load; one that polls its repository is waited for. Where
    TRITON_URL names several, each has its own copy of the repository, or they share one.

    Raises:
        ServerError: a server is not there, refuses the model, or answers with other weights in the end.
    """
    client = ScoreClient(triton_url, wait_s=0)
    named = servers(client.url)
    for url in named:
        _load(exported, url, timeout_s)
    for url in named:
        _wait_for(exported.model_version, url, timeout_s)
    return client


def _load(exported: Exported, url: str, timeout_s: float) -> None:
    from tritonclient.grpc import InferenceServerClient
    from tritonclient.utils import InferenceServerException

    server = InferenceServerClient(url)
    try:
        server.load_model(MODEL_NAME, client_timeout=timeout_s)
    except InferenceServerException as e:
        message = str(e.message())
        if "polling" not in message and "not allowed" not in message:
            hint = "run `rank-cli stack up triton`, or check TRITON_URL"
            if "UNAVAILABLE" not in str(e.status()):
                hint = (
                    f"is {exported.folder.parent} the server's repository? See `rank-cli stack logs triton`"
                )
            if "unable to find backend library" in message:
                hint = (
                    "this server lacks that backend: export with --backend python-onnx, or use NVIDIA's image"
                )
            raise ServerError(ENGINE, f"the model was not loaded: {message.strip()}", hint=hint) from e
    finally:
        server.close()


def _wait_for(model_version: str, url: str, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    said = ""
    while time.monotonic() < until:
        client = ScoreClient(url, wait_s=0)
        try:
            answers = client.probe()
        except ServerError as e:
            said = str(e)
        else:
            if answers == model_version:
                return
            said = f"it answers with weights {answers}"
        time.sleep(0.5)
    raise ServerError(
        ENGINE,
        f"not ready with weights {model_version} after {timeout_s:g} s: {said}",
        hint="see `rank-cli stack logs triton`",
    )


def _numbers(folder: Path) -> list[int]:
    return sorted(int(entry.name) for entry in folder.glob("[0-9]*") if entry.name.isdigit())


def _latest(folder: Path) -> int | None:
    numbers = _numbers(folder)
    return numbers[-1] if numbers else None


def _same(folder: Path, latest: int, draft: Path, config: str) -> bool:
    there = folder / str(latest)
    try:
        same_config = (folder / "config.pbtxt").read_text(encoding="utf-8") == config
    except OSError:
        return False
    files, held = _files(draft), _files(there)
    return (
        same_config
        and files == held
        and all(
            (there / name).is_file() and filecmp.cmp(there / name, draft / name, shallow=False)
            for name in files
        )
    )


def _files(version: Path) -> set[Path]:
    """What was exported; the server keeps what Python compiled beside it."""
    found = (entry.relative_to(version) for entry in version.rglob("*") if entry.is_file())
    return {name for name in found if "__pycache__" not in name.parts}


__all__ = ["Draft", "Exported", "load_into", "place", "write_repository"]
