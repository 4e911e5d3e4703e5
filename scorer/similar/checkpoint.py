"""The state of a fine-tuning run at the end of an epoch: a run that was killed goes on from there.

`checkpoint.pt` lies in the output folder until the run has ended. It holds weights, optimizer, schedule, both
generators of chance, the best epoch's weights and what was measured, so a run taken up again ends with the
same bits as one that was not stopped. It is bound to settings, pairs, pixels and first weights by a key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ranking.errors import InputError

CHECKPOINT: Final = "checkpoint.pt"
_PART: Final = CHECKPOINT + ".part"
HINT: Final = "name another folder, or remove this one to begin anew"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a run needs to go on."""

    epochs: list[dict[str, Any]]  # what each epoch brought; the first is the tower as it was
    best: int
    rng: dict[str, Any]  # state of the numpy generator
    torch_rng: Tensor
    model: dict[str, Tensor]
    kept: dict[str, Tensor]  # weights of the best epoch
    optimizer: dict[str, Any]
    schedule: dict[str, Any]


def run_key(
    settings: Mapping[str, Any],
    pairs: Sequence[str],
    pixels: Sequence[NDArray[np.uint8]],
    weights: Mapping[str, Tensor],
) -> str:
    """Says whether a checkpoint was made by this run: 16 hex digits over all that decides its course."""
    digest = hashlib.sha256(json.dumps([settings, list(pairs)], sort_keys=True).encode())
    for part in pixels:
        digest.update(np.ascontiguousarray(part).data)
    for name, value in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def save_checkpoint(folder: Path, key: str, state: Checkpoint) -> None:
    """Write the file whole, or leave the one of the epoch before."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"key": key, "epochs": state.epochs, "best": state.best, "rng": state.rng}
    tensors = {name: getattr(state, name) for name in ("torch_rng", "model", "kept", "optimizer", "schedule")}
    torch.save({"record": json.dumps(record)} | tensors, folder / _PART)
    (folder / _PART).replace(folder / CHECKPOINT)


def read_checkpoint(folder: Path, key: str) -> Checkpoint | None:
    """What a stopped run left in `folder`; None where there is nothing.

    Raises:
        InputError: the file is broken, or of another run.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        stored = torch.load(path, weights_only=True)
        record = json.loads(stored.pop("record"))
        found = Checkpoint(epochs=record["epochs"], best=record["best"], rng=record["rng"], **stored)
    except (OSError, RuntimeError, UnpicklingError, EOFError, KeyError, TypeError, ValueError) as e:
        raise InputError(
            f"{path} is broken: {str(e).splitlines()[0] if str(e) else e!r}", hint=HINT
        ) from None
    if record.get("key") != key:
        raise InputError(
            f"{path} is of a run with other settings, pairs, photos or weights",
            hint=f"give the same to go on; else {HINT}",
        )
    return found


def holds_other_files(folder: Path) -> bool:
    """Whether the folder holds anything beside a checkpoint."""
    return folder.exists() and any(file.name not in {CHECKPOINT, _PART} for file in folder.iterdir())


def remove_checkpoint(folder: Path) -> None:
    """Take the checkpoint away, and the folder with it where nothing else is in it."""
    for name in (CHECKPOINT, _PART):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


__all__ = [
    "CHECKPOINT",
    "Checkpoint",
    "holds_other_files",
    "read_checkpoint",
    "remove_checkpoint",
    "run_key",
    "save_checkpoint",
]
