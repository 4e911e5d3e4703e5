"""A scorer as one folder that open_clip loads as `local-dir:`, and this toolkit as `--model`.

    open_clip_config.json, open_clip_model.safetensors    the tower, with its text side where it has one
    scorer.json, head.safetensors                         the head; open_clip does not look at them
    domain.safetensors                                    what the photos it knows are like, if it says so

A tower that the scorer names by an open_clip tag or a hub repository is fetched and written whole, so the
folder needs no network afterwards. Text of a tower with a Hugging Face tokenizer still needs that one's
files.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ranking.errors import InputError
from scorer.calibration.domain_file import DOMAIN_FILE
from scorer.model.scorer import HERE, SCORER_FILE, load_scorer
from scorer.model.tower import COMPACT, COMPACT_FOLDER, CONFIG_FILE, WEIGHTS_FILE, load_clip, model_config
from scorer.serving.weights import export_weights


def write_open_clip_folder(model_name: str, folder: Path) -> str:
    """Write a scorer, with its tower, into `folder`; the version of the weights, which stays the same.

    Args:
        model_name: "compact", or a scorer folder.
        folder: empty, or not there yet.

    Raises:
        InputError: the folder holds something, or the tower cannot be loaded.
        ServerError: the tower's hub cannot be reached.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} holds something", hint="name a folder that is not there yet")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as temporary:
        draft = Path(temporary) / "draft"
        draft.mkdir()
        scorer = export_weights(model_name, draft)
        if not (draft / CONFIG_FILE).is_file():
            _write_tower(scorer.config.tower, draft)
            config = scorer.config.model_copy(update={"tower": HERE})
            (draft / SCORER_FILE).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        again = load_scorer(draft)
        if again.version != scorer.version:
            raise InputError(f"{model_name}: the written folder has other weights, {again.version}")
        source = COMPACT_FOLDER if model_name == COMPACT else Path(model_name)
        if (source / DOMAIN_FILE).is_file():
            shutil.copyfile(source / DOMAIN_FILE, draft / DOMAIN_FILE)
        if folder.exists():
            folder.rmdir()
        draft.chmod(0o755)
        draft.rename(folder)
    return scorer.version


def _write_tower(spec: str, folder: Path) -> None:
    from safetensors.torch import save_file

    model = load_clip(spec)
    config = {"model_cfg": model_config(spec), "preprocess_cfg": _plain(model.visual.preprocess_cfg)}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    weights = {k: v.detach().contiguous().clone() for k, v in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE)
    (folder / WEIGHTS_FILE).chmod(0o644)  # safetensors writes for the owner only


def _plain(preprocess: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in preprocess.items()}


__all__ = ["write_open_clip_folder"]
