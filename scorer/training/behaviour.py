"""What a label file may say beside the judges' scores: the query of a page, and each item's past CTR.

    {"serp_id": "s1", "images": [...], "scores": [...], "query": "red dress", "ctr": [0.02, null, ...]}

Two of the paper's baselines need them: CTR highest (rank by the past click-through rate) and CLIP score (rank
by how well a photo fits the query).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from ranking.errors import InputError


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Of one page."""

    query: str  # "" where the file has none
    ctr: dict[str, float]  # by photo; those without a history are absent


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    serp_id: str
    images: tuple[str, ...]
    query: str = ""
    ctr: tuple[float | None, ...] | None = None


def read_behaviour(path: Path) -> dict[str, Behaviour]:
    """By `serp_id`; pages whose lines say neither query nor CTR are absent.

    Lines that are no page are skipped: the reader of labels reports them.

    Raises:
        InputError: the file cannot be read, or a `ctr` has another length than `images` or is not in [0, 1].
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path} cannot be read: {e}") from None
    found: dict[str, Behaviour] = {}
    for number, text in enumerate(lines, start=1):
        try:
            line = _Line.model_validate_json(text)
        except ValidationError:
            continue
        ctr = line.ctr or (None,) * len(line.images)
        if len(ctr) != len(line.images):
            raise InputError(f"{path} line {number}: {len(line.images)} images but {len(ctr)} ctr")
        if any(value is not None and not 0.0 <= value <= 1.0 for value in ctr):
            raise InputError(f"{path} line {number}: ctr must be in [0, 1]")
        known = {image: v for image, v in zip(line.images, ctr, strict=True) if v is not None}
        if known or line.query:
            found.setdefault(line.serp_id, Behaviour(line.query, known))
    return found


def ctr_of(images: tuple[str, ...], behaviour: Behaviour) -> NDArray[np.float64]:
    """CTR of each photo of a page, shape (n,); where there is no history, the page's mean."""
    values = np.array([behaviour.ctr.get(image, np.nan) for image in images])
    return np.nan_to_num(values, nan=float(np.nanmean(values)) if np.isfinite(values).any() else 0.0)


__all__ = ["Behaviour", "ctr_of", "read_behaviour"]
