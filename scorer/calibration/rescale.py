"""Write a model's folder again, on another model's scale."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from ranking.errors import InputError
from scorer.model.head import ScoreMap
from scorer.model.scorer import SCORER_FILE, ScorerConfig
from scorer.serving.weights import export_weights


def write_mapped(model: str, score_map: ScoreMap, to: Path) -> None:
    """Copy a scorer folder with a map in its `scorer.json`; the folder appears whole, or not at all.

    Args:
        model: "compact", or a scorer folder.
        score_map: to the scale that it takes over.
        to: the folder to make; it must not hold anything yet.

    Raises:
        InputError: the folder holds something, or the model already has a map.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError(f"{to} already holds something", hint="name a new folder")
    to.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=to.parent, prefix=".scorer-") as name:
        folder = Path(name)
        if export_weights(model, folder).config.map is not None:
            raise InputError(
                f"{model} is already on another model's scale", hint="start from the unmapped model"
            )
        path = folder / SCORER_FILE
        config = ScorerConfig.model_validate_json(path.read_text(encoding="utf-8"))
        mapped = config.model_copy(update={"map": score_map})
        path.write_text(mapped.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
        to.mkdir(exist_ok=True)
        for file in folder.iterdir():
            shutil.move(file, to / file.name)


__all__ = ["write_mapped"]
