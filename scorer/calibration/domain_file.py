"""The photos that a scorer knows, in its own folder: `domain.safetensors`, so that a strange photo is told.

The features of some hundred photos as bytes and, in the file's metadata, their unit, the threshold and the
version of the model that made them. Features of two models have nothing to do with each other, so a file of
another version is refused rather than believed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from ranking.errors import InputError
from scorer.calibration.domain import Domain
from scorer.calibration.reference import Reference, read_reference

DOMAIN_FILE: Final = "domain.safetensors"
KEPT: Final = 256  # photos that are kept to compare with
_FORMAT: Final = "1"
_LARGEST: Final = 127  # of a byte with a sign
_HINT: Final = "write it with `rank-cli scorer calibrate --photos TRAINING_PHOTOS --model MODEL --domain`"


class OtherModel(InputError):
    """A domain, or a reference, was made by another model than the one that scores."""


def save_domain(reference: Reference, folder: Path) -> Path:
    """Write the domain of a model into its folder, whole or not at all.

    Args:
        reference: the photos that the model knows, as `take` gives them.
        folder: of the scorer.

    Raises:
        InputError: too few photos, or the folder cannot be written.
    """
    from safetensors.numpy import save

    domain = Domain.of(reference.features, keep=KEPT)
    unit = max(float(np.abs(domain.features).max()), 1e-12) / _LARGEST
    packed = np.round(domain.features / unit).astype(np.int8)
    facts = {
        "format": _FORMAT,
        "model_version": reference.version,
        "threshold": f"{domain.threshold:.6f}",
        "unit": f"{unit:.9g}",
        "n_photos": str(domain.n_photos),
    }
    path, part = folder / DOMAIN_FILE, folder / f"{DOMAIN_FILE}.part"
    try:
        part.write_bytes(save({"features": packed}, metadata=facts))
        part.replace(path)
    except OSError as e:
        raise InputError(f"{path} cannot be written: {e.strerror}") from None
    return path


def read_domain(folder: Path, version: str) -> Domain | None:
    """The domain in a scorer folder; None where there is none.

    Args:
        folder: of the scorer.
        version: of the model that was loaded from it.

    Raises:
        OtherModel: the file was made by another version of the model.
        InputError: the file is broken.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / DOMAIN_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            facts, packed = file.metadata() or {}, file.get_tensor("features").astype(np.float32)
        made_by, n = facts["model_version"], int(facts["n_photos"])
        threshold, unit = float(facts["threshold"]), float(facts["unit"])
    except (OSError, SafetensorError, KeyError, ValueError) as e:
        raise InputError(f"{path} is no domain of a scorer: {e}", hint=_HINT) from None
    if packed.ndim != 2 or not len(packed) or not np.isfinite([threshold, unit]).all():
        raise InputError(f"{path} is no domain of a scorer: no features, or no threshold", hint=_HINT)
    if made_by != version:
        raise OtherModel(f"{path} is of {made_by}, the model is {version}", hint=_HINT)
    return Domain(packed * np.float32(unit), threshold, n)


def domain_of_reference(path: Path, version: str) -> Domain:
    """The domain of what `scorer calibrate --save` wrote.

    Raises:
        OtherModel: another model wrote it.
        InputError: no such file, none of ours, or too few photos.
    """
    reference = read_reference(path)
    if reference.version != version:
        raise OtherModel(
            f"{path} is of {reference.version}, the model is {version}",
            hint="write one with `rank-cli scorer calibrate --save` and this model",
        )
    return Domain.of(reference.features)


__all__ = ["DOMAIN_FILE", "KEPT", "OtherModel", "domain_of_reference", "read_domain", "save_domain"]
