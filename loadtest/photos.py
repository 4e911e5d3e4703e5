"""Photos as a workload: what the served model takes, from its own configuration, and photos in that form.

A model that takes pixels gets uint8 RGB of its own size, decoded here beforehand, as the ingest decodes
before it asks; a model that takes encoded photos gets the files' bytes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from loadtest.plan import Plan
from loadtest.results import Side
from loadtest.sender import Load, LoadError, Sender
from loadtest.shapes import Shape
from loadtest.targets import ModelServer
from ranking.errors import InputError, ServerError

ENGINE = "Triton"
N_PHOTOS = 64  # different ones; they come again after that
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MODEL = "image_score"  # the name under which `scorer export` serves


class Photos:
    """What each round asks scores for.

    Args:
        server: the model, and the requests that there are.
        plan: how they are sent.
        only: the one side that asks; both where None.
    """

    kind: Literal["score"] = "score"

    def __init__(self, server: ModelServer, plan: Plan, *, only: Side | None = None) -> None:
        self.target = server
        self.only, self._plan = only, plan
        self.at: tuple[float, ...] = ()
        self.shape: Shape | None = None
        if plan.mode == "open":
            self.at, self.shape = plan.random()

    def load(self, side: Side) -> Load | None:
        """The next round of a side."""
        plan, n = self._plan, len(self.target.requests)
        if self.only not in (None, side):
            return None
        return Load(
            kind="score",
            mode=plan.mode,
            items=tuple(i % n for i in range(len(self.at) or n)),
            at=self.at,
            connections=plan.connections,
            users=plan.users,
            think=plan.think,
            seconds=plan.seconds,
        )

    def warm_up(self, running: Sender) -> None:
        """Each request once, two at a time.

        Raises:
            LoadError: not one of them was answered with scores.
        """
        n = len(self.target.requests)
        load = Load(kind="score", items=tuple(range(n)), at=(0.0,) * n, connections=2)
        errors = [one.error for one in running.play([load])["score"]]
        if all(errors):
            raise LoadError(f"Triton scored none of {n} requests: {errors[0]}")


def model_server(
    addresses: Sequence[str],
    folder: Path,
    *,
    model: str = MODEL,
    batch: int = 1,
    timeout: float = 30.0,
) -> ModelServer:
    """The model as the first server describes it, and requests of `batch` photos each.

    Raises:
        InputError: no photos, or a batch that is larger than the model takes.
        ServerError: nobody answers, or the model takes no photos.
    """
    config = _config(addresses[0], model)
    given, kind = config["input"][0], config["input"][0].get("data_type", "")
    datatype = {"TYPE_UINT8": "UINT8", "TYPE_STRING": "BYTES"}.get(kind)
    dims = tuple(int(one) for one in given.get("dims", ()))
    scores = [one["name"] for one in config["output"] if one.get("data_type") == "TYPE_FP32"]
    if datatype is None or not scores or len(config["input"]) != 1:
        raise ServerError(ENGINE, f"the model {model!r} takes {kind} {list(dims)}, which is no photo")
    most = int(config.get("max_batch_size", 0))
    if batch > max(most, 1):
        raise InputError(f"--batch: the model takes {most} photos in one request, not {batch}")
    photos = [_prepared(path, datatype, dims) for path in photo_files(folder)]
    whole = [photos[i : i + batch] for i in range(0, len(photos), batch)]
    requests = [tuple((one + photos)[:batch]) if len(photos) >= batch else tuple(one) for one in whole]
    if len(requests[0]) < batch:
        raise InputError(f"{folder} has {len(photos)} photos, and a request takes {batch}")
    return ModelServer(
        addresses=tuple(addresses),
        model=model,
        input=given["name"],
        datatype=datatype,
        dims=dims,
        output="score" if "score" in scores else scores[0],
        requests=tuple(requests),
        timeout=timeout,
    )


def photo_files(folder: Path, n: int = N_PHOTOS) -> list[Path]:
    """Up to `n` photos of a folder and those below it, evenly over all, by name.

    Raises:
        InputError: there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"{folder} has no photos", hint=f"give a folder of {', '.join(SUFFIXES)} files")
    return [found[i * len(found) // min(n, len(found))] for i in range(min(n, len(found)))]


def _config(address: str, model: str) -> dict[str, Any]:
    from tritonclient import grpc
    from tritonclient.utils import InferenceServerException

    try:
        with grpc.InferenceServerClient(address) as client:
            said = client.get_model_config(model, as_json=True, client_timeout=10)
    except InferenceServerException as e:
        hint = "run `rank-cli stack up triton` and `rank-cli scorer export`, or check TRITON_URL"
        raise ServerError(ENGINE, f"{address} does not describe the model {model!r}: {e}", hint=hint) from e
    config: dict[str, Any] = said["config"]
    return config


def _prepared(path: Path, datatype: str, dims: Sequence[int]) -> str:
    from PIL import Image, UnidentifiedImageError

    try:
        content = path.read_bytes()
        if datatype != "BYTES":
            with Image.open(io.BytesIO(content)) as photo:
                content = photo.convert("RGB").resize((dims[1], dims[0])).tobytes()
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as e:
        raise InputError(f"{path} is no photo that can be read: {e}") from e
    return base64.b64encode(content).decode("ascii")
