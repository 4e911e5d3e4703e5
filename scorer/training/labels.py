"""Labels: pages (SERPs) of photos with scores by judges, one JSON object a line.

    {"serp_id": "...", "category": "shirt", "judge": "a", "images": ["a.jpg", ...], "scores": [4, ...]}

A page judged several times has as many lines; `read_labels` takes the mean over its judges.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ranking.errors import InputError


@dataclass(frozen=True, slots=True)
class Serp:
    """One page: photos that were judged side by side."""

    serp_id: str
    category: str
    images: tuple[str, ...]  # paths below the photo folder
    truth: NDArray[np.float64]  # mean score over judges, shape (n_images,); comparable within the page only
    n_judges: int
    clicked: int | None = None  # 0-based place among `images`; None where no click is known


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    serp_id: str
    category: str = ""
    images: tuple[str, ...] = Field(min_length=2)
    scores: tuple[float, ...]
    clicked: int | None = Field(default=None, ge=0)


def read_labels(path: Path) -> list[Serp]:
    """Read a label file, pages in the order of their first line.

    Raises:
        InputError: the file is absent or empty, or a line is wrong (the line is named).
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise InputError(f"{path} cannot be read: {e.strerror}") from None
    pages: dict[str, tuple[_Line, list[tuple[float, ...]]]] = {}
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            line = _Line.model_validate_json(text)
        except ValidationError as e:
            problem = e.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            raise InputError(f"{path} line {number}: {where} {problem['msg']}") from None
        if len(line.scores) != len(line.images):
            raise InputError(f"{path} line {number}: {len(line.images)} images but {len(line.scores)} scores")
        if line.clicked is not None and line.clicked >= len(line.images):
            raise InputError(f"{path} line {number}: clicked {line.clicked} is no place among the images")
        first, scores = pages.setdefault(line.serp_id, (line, []))
        if first.images != line.images:
            raise InputError(f"{path} line {number}: {line.serp_id} has other images than before")
        scores.append(line.scores)
    if not pages:
        raise InputError(f"{path} has no labels")
    return [
        Serp(
            serp_id,
            line.category,
            line.images,
            np.mean(np.asarray(scores, dtype=np.float64), axis=0),
            len(scores),
            line.clicked,
        )
        for serp_id, (line, scores) in pages.items()
    ]


__all__ = ["Serp", "read_labels"]
