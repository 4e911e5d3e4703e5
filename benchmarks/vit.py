"""A scorer of open_clip's ViT-B/16 shape with random weights, for what depends on the shape alone: speed.

Its head is the direction in which the photos' embeddings differ most, and its calibration spreads their
scores over the range, so that a change of the kernel shows in the scores' order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scorer.model.head import Calibration, Head, HeadConfig
from scorer.model.scorer import HERE, ImageScorer, ScorerConfig
from scorer.model.tower import new_tower, save_tower

SHAPES: dict[str, dict[str, Any]] = {
    "ViT-B-16": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16},
    "ViT-L-14": {"image_size": 224, "layers": 24, "width": 1024, "head_width": 64, "patch_size": 14},
}
EMBED_DIM = {"ViT-B-16": 512, "ViT-L-14": 768}
PREPROCESS = {
    "size": 224,
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}


def random_tower(shape: str, *, seed: int = 0) -> Any:
    """The image tower of `shape`, a key of `SHAPES`."""
    return new_tower(_config(shape), PREPROCESS, seed=seed)


def write_scorer(
    folder: Path, pixels: NDArray[np.uint8], *, shape: str = "ViT-B-16", seed: int = 0
) -> ImageScorer:
    """Write a scorer folder, and return the scorer.

    Args:
        folder: the scorer folder.
        pixels: photos that the head shall tell apart, uint8 [n, 224, 224, 3].
        shape: a key of `SHAPES`.
        seed: of the random weights.
    """
    tower = random_tower(shape, seed=seed)
    save_tower(tower.visual, folder, _config(shape), PREPROCESS)
    tower.visual.half().float()  # as the folder stores them
    head = Head(HeadConfig(embed_dim=tower.embed_dim, hidden=()))
    plain = ScorerConfig(name=shape.lower(), tower=HERE, head=head.config)
    scorer = ImageScorer(tower, head, plain).eval()
    with torch.inference_mode():
        raw = torch.cat([scorer.embed_raw(torch.from_numpy(part)) for part in np.array_split(pixels, 8)])
    unit = torch.nn.functional.normalize(raw.clone(), dim=1)
    direction = torch.pca_lowrank(unit, q=1, niter=8)[2][:, 0]
    with torch.no_grad():
        (layer,) = head.layers
        layer.weight.copy_(direction[None])
        layer.bias.zero_()
        calibration = Calibration.fit(head(raw.clone()))
    config = plain.model_copy(update={"calibration": calibration})
    whole = ImageScorer(tower, head, config).eval()
    whole.save_head(folder)
    return whole


def _config(shape: str) -> dict[str, Any]:
    return {
        "embed_dim": EMBED_DIM[shape],
        "vision_cfg": SHAPES[shape],
        "text_cfg": {"context_length": 8, "vocab_size": 32, "width": 64, "heads": 1, "layers": 1},
    }


__all__ = ["SHAPES", "random_tower", "write_scorer"]
