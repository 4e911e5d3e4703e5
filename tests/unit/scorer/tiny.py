"""A scorer of a few thousand random weights: what holds of any model is shown on it, in milliseconds."""

import torch

from scorer.model.head import Calibration, Head, HeadConfig
from scorer.model.scorer import HERE, ImageScorer, ScorerConfig, load_scorer
from scorer.model.tower import new_tower, save_tower

SIZE = 32
VIT = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": SIZE, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 8, "vocab_size": 32, "width": 16, "heads": 1, "layers": 1},
}
RESNET = VIT | {"vision_cfg": {"image_size": SIZE, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16}}
PREPROCESS = {"size": SIZE, "mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]}


def made(folder, cfg=VIT, *, mirror=False, seed=0, spread_over=None):
    """A scorer folder with random weights; its scores are spread over photos (n, 32, 32, 3), if given."""
    tower = new_tower(cfg, PREPROCESS, seed=seed)
    torch.manual_seed(seed)
    head = Head(HeadConfig(embed_dim=24, hidden=(8,)))
    config = ScorerConfig(name="tiny", tower=HERE, head=head.config, mirror=mirror)
    ImageScorer(tower, head, config).save_head(folder)
    save_tower(tower.visual, folder, cfg, PREPROCESS)
    if spread_over is not None:
        scorer = load_scorer(folder)
        with torch.inference_mode():
            calibration = Calibration.fit(scorer.logits(torch.from_numpy(spread_over)))
        scorer.config = scorer.config.model_copy(update={"calibration": calibration})
        scorer.save_head(folder)
    return folder
