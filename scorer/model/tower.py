"""Image towers, all through open_clip: its tags, a hub repository, or a folder.

    compact                              the tower shipped with this package
    ViT-B-16:laion2b_s34b_b88k           an open_clip model and its pretrained tag (or a weights file)
    hf-hub:org/repo                      a repository on the Hugging Face hub
    local-dir:/path                      a folder with open_clip_config.json and safetensors

A `Tower` keeps the image side alone; `load_clip` gives both sides.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ranking.errors import InputError, ServerError

COMPACT: Final = "compact"
COMPACT_FOLDER: Final = Path(__file__).parent / "compact"
CONFIG_FILE: Final = "open_clip_config.json"
WEIGHTS_FILE: Final = "open_clip_model.safetensors"
LOCAL: Final = "local-dir:"
HUB: Final = "hf-hub:"


@dataclass(frozen=True, slots=True)
class Tower:
    """An image tower and what its input must look like."""

    spec: str  # how it was named
    visual: nn.Module  # float (n, 3, image_size, image_size), normalised -> (n, embed_dim)
    image_size: int  # side of the square input, in pixels
    embed_dim: int
    mean: tuple[float, float, float]  # per channel, for inputs in [0, 1]
    std: tuple[float, float, float]

    @property
    def n_parameters(self) -> int:
        """Number of weights of the image tower."""
        return sum(p.numel() for p in self.visual.parameters())


def load_tower(spec: str = COMPACT) -> Tower:
    """Load an image tower with its weights, on the CPU, in evaluation mode.

    Raises:
        InputError: no such model, tag or folder, or weights that do not fit.
        ServerError: the hub cannot be reached.
    """
    return tower_of(load_clip(spec), spec)


def load_clip(spec: str = COMPACT) -> Any:
    """Load the whole open_clip model of a tower, text side included; raises what `load_tower` raises."""
    import open_clip

    resolved = LOCAL + str(COMPACT_FOLDER) if spec == COMPACT else spec
    name, pretrained = resolved, None
    if not resolved.startswith((LOCAL, HUB)):
        name, _, pretrained = resolved.partition(":")
        if not pretrained:
            raise InputError(
                f"tower {spec!r} names no weights",
                hint="use MODEL:PRETRAINED, hf-hub:org/repo, local-dir:/path or compact",
            )
        if name not in open_clip.list_models():
            raise InputError(f"open_clip knows no model {name!r}", hint="see open_clip.list_models()")
        known = open_clip.list_pretrained_tags_by_model(name)
        if pretrained not in known and not Path(pretrained).is_file():
            raise InputError(
                f"{name} has no weights {pretrained!r}",
                hint=f"one of {', '.join(known) or 'none'}, or a file",
            )
    try:
        model = _create(name, pretrained).eval()
    except Exception as e:  # open_clip and the hub's client raise a wide family here
        if resolved.startswith(LOCAL) or (pretrained and Path(pretrained).is_file()):
            raise InputError(f"tower {spec!r} cannot be loaded: {_reason(e)}") from e
        raise ServerError(
            "model hub",
            f"the weights of {spec!r} cannot be fetched: {_reason(e)}",
            hint="fetch them on a connected machine and name them as local-dir:/path",
        ) from e
    return model


def model_config(spec: str) -> dict[str, Any]:
    """The configuration that open_clip builds a tower and its text side from.

    Raises:
        InputError: there is none under that name.
    """
    import open_clip

    if spec == COMPACT or spec.startswith(LOCAL):
        path = COMPACT_FOLDER if spec == COMPACT else Path(spec.removeprefix(LOCAL))
        return _config_in(path / CONFIG_FILE)
    if spec.startswith(HUB):
        from open_clip.pretrained import download_pretrained_from_hf

        return _config_in(Path(download_pretrained_from_hf(spec.removeprefix(HUB), filename=CONFIG_FILE)))
    known: dict[str, Any] | None = open_clip.get_model_config(spec.partition(":")[0])
    if known is None:
        raise InputError(f"open_clip has no configuration of {spec!r}")
    return known


def _config_in(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InputError(f"{path} holds no model_cfg: {e}") from e
    return found


def _create(name: str, pretrained: str | None) -> Any:
    import open_clip

    import scorer.model.levels  # noqa: F401  (registers the compact tower's network)

    level = logging.root.manager.disable
    logging.disable(logging.ERROR)  # open_clip logs to the root logger what it then raises
    try:
        return open_clip.create_model(
            name, pretrained=pretrained, require_pretrained=True, pretrained_text=False, weights_only=True
        )
    finally:
        logging.disable(level)


def tower_of(model: Any, spec: str) -> Tower:
    """The image tower of an open_clip model."""
    visual: nn.Module = model.visual
    wanted: dict[str, Any] = dict(getattr(visual, "preprocess_cfg", {}))
    size: Any = wanted.get("size") or getattr(visual, "image_size", 224)
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    if height != width:
        raise InputError(f"tower {spec!r} wants {height} x {width} pixels; only square inputs are supported")
    visual.eval()
    with torch.inference_mode():
        embed_dim = int(embedding_of(visual, torch.zeros(1, 3, height, width)).shape[1])
    return Tower(
        spec, visual, height, embed_dim, _triple(wanted.get("mean"), 0.5), _triple(wanted.get("std"), 0.5)
    )


def embedding_of(visual: nn.Module, x: Tensor) -> Tensor:
    """Pooled output of a tower, shape (n, embed_dim); some towers return the tokens beside it."""
    out = visual(x)
    pooled: Tensor = out[0] if isinstance(out, tuple | list) else out
    return pooled


def new_tower(model_cfg: dict[str, Any], preprocess_cfg: dict[str, Any], *, seed: int) -> Tower:
    """A tower with random weights from an open_clip configuration, to be trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(model_cfg)
    model.visual.preprocess_cfg = preprocess_cfg
    return tower_of(model, COMPACT)


def save_tower(
    visual: nn.Module, folder: Path, model_cfg: dict[str, Any], preprocess_cfg: dict[str, Any]
) -> None:
    """Write a folder that `local-dir:` loads. Weights are stored as float16.

    The text side that open_clip's loader asks for is written as zeros.
    """
    from safetensors.torch import save_file

    model = _build(model_cfg)
    weights = {k: torch.zeros_like(v) for k, v in model.state_dict().items() if not k.startswith("visual.")}
    weights |= {f"visual.{k}": v.detach().cpu() for k, v in visual.state_dict().items()}
    stored = {k: (v.half() if v.is_floating_point() else v).contiguous().clone() for k, v in weights.items()}
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(stored, folder / WEIGHTS_FILE)
    (folder / WEIGHTS_FILE).chmod(0o644)  # safetensors writes for the owner only


def _build(model_cfg: dict[str, Any]) -> Any:
    from open_clip.model import CLIP

    import scorer.model.levels  # noqa: F401  (registers the compact tower's network)

    return CLIP(**model_cfg)


def _triple(values: Any, default: float) -> tuple[float, float, float]:
    if values is None:
        return (default, default, default)
    red, green, blue = (float(v) for v in values)
    return (red, green, blue)


def _reason(error: BaseException) -> str:
    """The innermost reason: open_clip wraps the hub client's words in its own, twice."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.rpartition("Last error: ")[2]


__all__ = [
    "COMPACT",
    "COMPACT_FOLDER",
    "CONFIG_FILE",
    "WEIGHTS_FILE",
    "Tower",
    "embedding_of",
    "load_clip",
    "load_tower",
    "model_config",
    "new_tower",
    "save_tower",
    "tower_of",
]
