"""An image tower beside a text tower, as an open_clip model to be trained with SigLIP's loss.

A tower that has a text side keeps it. One that has none (the compact tower) gets a small text transformer
with random weights, over open_clip's own tokenizer, so that what is written afterwards is a plain open_clip
folder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ranking.errors import InputError
from scorer.model.prompts import KNOWN_WORDS_FILE, is_blank, tokenizer_of
from scorer.model.tower import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    Tower,
    embedding_of,
    load_clip,
    model_config,
    tower_of,
)

_BATCH: Final = 64
_CLIP_VOCABULARY: Final = 49_408  # of open_clip.SimpleTokenizer


@dataclass(frozen=True, slots=True)
class Dual:
    """Both towers, ready to train or to embed."""

    model: Any  # open_clip.CLIP or a relative, with a logit_bias
    tower: Tower  # what the images must look like; `tower.visual` is the model's
    tokenize: Callable[[Sequence[str]], Tensor]
    config: dict[str, Any]  # model_cfg of open_clip_config.json
    new_text: bool  # the text side began with random weights

    def pixels(self, images: NDArray[np.uint8]) -> Tensor:
        """Normalized input of the image tower, from uint8 (n, size, size, 3)."""
        x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255.0
        mean = torch.tensor(self.tower.mean).view(1, 3, 1, 1)
        return (x - mean) / torch.tensor(self.tower.std).view(1, 3, 1, 1)

    def embed_images(
        self, images: NDArray[np.uint8], advance: Callable[[int], object] | None = None
    ) -> NDArray[np.float32]:
        """L2-normalized embeddings, shape (n, embed_dim)."""
        self.model.eval()
        parts = []
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                part = images[start : start + _BATCH]
                parts.append(
                    functional.normalize(embedding_of(self.tower.visual, self.pixels(part)).float(), dim=1)
                )
                if advance is not None:
                    advance(len(part))
        embedded: NDArray[np.float32] = torch.cat(parts).numpy()
        return embedded

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """L2-normalized embeddings, shape (n, embed_dim); equal texts are embedded once."""
        self.model.eval()
        unique = list(dict.fromkeys(texts))
        with torch.inference_mode():
            parts = [
                self.model.encode_text(self.tokenize(unique[i : i + _BATCH]), normalize=True)
                for i in range(0, len(unique), _BATCH)
            ]
        embedded: NDArray[np.float32] = torch.cat(parts).numpy()
        row = {text: i for i, text in enumerate(unique)}
        return embedded[[row[text] for text in texts]]

    def save(self, folder: Path, titles: Iterable[str]) -> None:
        """Write the folder that `local-dir:` loads; with the words that a new text side was taught."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        size = [self.tower.image_size] * 2
        preprocess = {
            "size": size, "mode": "RGB", "mean": list(self.tower.mean), "std": list(self.tower.std),
            "interpolation": "bicubic", "resize_mode": "squash",
        }  # fmt: skip
        text = json.dumps({"model_cfg": self.config, "preprocess_cfg": preprocess}, indent=2)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
        weights = {k: v.detach().cpu().contiguous().clone() for k, v in self.model.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE)
        (folder / WEIGHTS_FILE).chmod(0o644)  # safetensors writes for the owner only
        if self.new_text:
            words = sorted({word for title in titles for word in title.lower().split()})
            (folder / KNOWN_WORDS_FILE).write_text(json.dumps({"words": words}) + "\n", encoding="utf-8")


def load_dual(
    spec: str, *, seed: int, logit_scale: float, logit_bias: float, text_width: int, text_layers: int
) -> Dual:
    """Both sides of a tower, the text side new where it has none.

    Args:
        spec: as `load_tower` takes it.
        seed: of the new text side.
        logit_scale: where the temperature starts, for a model that was not trained with SigLIP's loss.
        logit_bias: where the bias starts. In a batch of n there are n - 1 wrong titles to each right one;
            the SigLIP paper's -10 keeps the first steps from only learning that. A model with a bias of
            its own keeps both.
        text_width: of a new text side.
        text_layers: of a new text side.

    Raises:
        InputError: a tower that cannot be built as a pair.
    """
    import open_clip

    loaded, config = load_clip(spec), dict(model_config(spec))
    start = {"init_logit_scale": math.log(logit_scale), "init_logit_bias": logit_bias}
    if not is_blank(loaded):
        if loaded.logit_bias is None:
            config |= start
            loaded.logit_scale.data.fill_(start["init_logit_scale"])
            loaded.logit_bias = nn.Parameter(torch.tensor(logit_bias))
        else:
            config.setdefault("init_logit_bias", logit_bias)
        return Dual(
            loaded.requires_grad_(True), tower_of(loaded, spec), tokenizer_of(spec), config, new_text=False
        )
    config |= start
    config["text_cfg"] = {
        "context_length": 32, "vocab_size": _CLIP_VOCABULARY, "width": text_width,
        "heads": max(1, text_width // 64), "layers": text_layers,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = open_clip.CLIP(**config)
        except (TypeError, RuntimeError, ValueError) as e:
            raise InputError(f"tower {spec!r} cannot stand beside a text side: {e}") from e
    model.visual.load_state_dict(loaded.visual.state_dict())
    model.visual.preprocess_cfg = loaded.visual.preprocess_cfg
    tokenizer = open_clip.SimpleTokenizer(context_length=32)
    return Dual(model.requires_grad_(True), tower_of(model, spec), tokenizer, config, new_text=True)


__all__ = ["Dual", "load_dual"]
