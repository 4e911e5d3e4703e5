"""Reading scored pages: one JSON object a line with `images` (paths) and `scores` (numbers), side by side.

Scores mean something only within their page, so each page is stretched to [0, 1] (its worst photo 0, its
best 1) and a photo on several pages, or with several judges, gets the mean.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ranking.errors import InputError


def read_labels(paths: Sequence[Path], problems: list[str]) -> dict[str, float]:
    """Read photo quality by image path from label files.

    Args:
        paths: JSON-lines files.
        problems: one sentence is added for each line, or score in it, that cannot be used.

    Raises:
        InputError: a file cannot be read, or no line of it can be used.
    """
    seen: dict[str, list[float]] = {}
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as e:
            raise InputError(f"{path}: cannot be read as a labels file: {e}") from e
        n_used = 0
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path.name} line {number}"
            try:
                page = _page(json.loads(line), where, problems)
            except (ValueError, RecursionError) as e:  # json.JSONDecodeError is one
                problems.append(f"{where}: {_reason(e)}")
                continue
            n_used += 1
            for image, quality in page.items():
                seen.setdefault(image, []).append(quality)
        if n_used == 0:
            raise InputError(
                f"{path}: no line of it can be used as a scored page"
                + (f", {problems[-1]}" if problems else ""),
                hint='a line looks like {"images": ["hat/a.jpg", "hat/b.jpg"], "scores": [7, 3]}',
            )
    return {image: sum(values) / len(values) for image, values in seen.items()}


def _page(record: Any, where: str, problems: list[str]) -> dict[str, float]:
    """Stretch one page to [0, 1]; a photo without a usable score is left out and reported."""
    named = record if isinstance(record, dict) else {}
    images, scores = named.get("images"), named.get("scores")
    if not (isinstance(images, list) and isinstance(scores, list)):
        raise ValueError("not an object with lists named 'images' and 'scores'")  # noqa: TRY004
    if len(images) != len(scores):
        raise ValueError(f"{len(images)} images but {len(scores)} scores")
    usable: dict[str, float] = {}
    for image, score in zip(images, scores, strict=True):
        number = isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
        if isinstance(image, str) and number:
            usable[image] = float(score)
        else:
            problems.append(f"{where}: no usable score for {image!r}")
    if len(set(usable.values())) < 2:
        raise ValueError("fewer than two different scores")
    low, high = min(usable.values()), max(usable.values())
    return {image: (score - low) / (high - low) for image, score in usable.items()}


def _reason(e: ValueError | RecursionError) -> str:
    return f"not JSON ({e.msg})" if isinstance(e, json.JSONDecodeError) else str(e)
