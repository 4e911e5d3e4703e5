"""Grid search: one run per combination, the one with the best validation OPA kept.

A grid file names fields of TrainConfig and the values to try:

    {"focal_gamma": [0, 2], "head_lr": [1e-4, 3e-4], "hidden": [[64], [256, 64]]}

The choice is made on the validation pages, so their OPA flatters the winner: report another set's.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ranking.errors import ConfigError, InputError
from scorer.training.config import TrainConfig

MOST = 200  # combinations; more is a mistake in the file


def read_grid(path: Path, config: TrainConfig) -> list[TrainConfig]:
    """The configs of a grid, in the file's order; fields that it does not name are `config`'s.

    Raises:
        InputError: the file cannot be read, or has more than 200 combinations.
        ConfigError: a field is unknown, its values are no list, or one of them is out of range.
    """
    try:
        grid: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"{path} cannot be read: {e.strerror}") from None
    except (ValueError, RecursionError) as e:
        raise ConfigError(path, [f"file: {e}"]) from None
    if not isinstance(grid, dict) or not grid:
        raise ConfigError(path, ["file: not an object of field names and lists of values"])
    wrong = [f"{k}: not a list of values" for k, v in grid.items() if not isinstance(v, list) or not v]
    if wrong:
        raise ConfigError(path, wrong)
    combinations = list(itertools.islice(itertools.product(*grid.values()), MOST + 1))
    if len(combinations) > MOST:
        raise InputError(f"{path} has more than {MOST} combinations")
    try:
        return [
            TrainConfig.model_validate(config.model_dump() | dict(zip(grid, values, strict=True)))
            for values in combinations
        ]
    except ValidationError as e:
        problems = [f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in e.errors()]
        raise ConfigError(path, problems) from None


__all__ = ["MOST", "read_grid"]
