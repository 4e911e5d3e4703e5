"""Training of a head on a frozen tower: the road of the Image Score paper, for any CLIP-like model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scorer.model.head import Calibration, Head, HeadConfig
from scorer.model.scorer import ImageScorer, ScorerConfig
from scorer.model.tower import load_tower
from scorer.training.config import TrainConfig
from scorer.training.data import load_photos
from scorer.training.labels import Serp
from scorer.training.losses import pairwise_loss


def train_head(
    folder: Path, serps: Sequence[Serp], out: Path, config: TrainConfig, log: Callable[[dict[str, Any]], None]
) -> None:
    """Embed the labelled photos once (as they are, and mirrored), then train the head on their pairs."""
    tower = load_tower(config.tower)
    torch.manual_seed(config.seed)
    head = Head(HeadConfig(embed_dim=tower.embed_dim, hidden=config.hidden, dropout=config.dropout))
    photos = load_photos(folder, (image for serp in serps for image in serp.images), tower.image_size)
    settings = ScorerConfig(name="custom", tower=config.tower, head=head.config)
    scorer = ImageScorer(tower, head, settings).eval()
    views = torch.stack([_embed(scorer, photos.pixels), _embed(scorer, photos.pixels[:, :, ::-1])])
    rows = torch.from_numpy(np.stack([photos.rows(serp.images) for serp in serps]))
    truth = torch.from_numpy(np.stack([serp.truth for serp in serps])).float()
    rng = np.random.default_rng(config.seed)
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.head_lr, weight_decay=config.head_weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.head_epochs)
    for epoch in range(config.head_epochs):
        head.train()
        total = 0.0
        order = torch.from_numpy(rng.permutation(len(serps)))
        chunks = [order[i : i + config.rank_serps] for i in range(0, len(order), config.rank_serps)]
        for pages in chunks:
            chosen = rows[pages]
            view = torch.from_numpy(rng.integers(0, 2, tuple(chosen.shape)))
            logits = head(views[view, chosen].flatten(0, 1)).view(chosen.shape)
            loss = pairwise_loss(logits, truth[pages], gamma=config.focal_gamma)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            total += float(loss.detach())
        schedule.step()
        log({"phase": "head", "epoch": float(epoch), "rank": total / len(chunks)})
    head.eval()
    with torch.inference_mode():
        calibration = Calibration.fit(head(views[0]))
    ImageScorer(tower, head, settings.model_copy(update={"calibration": calibration})).save_head(out)


def _embed(scorer: nn.Module, pixels: Any) -> Tensor:
    assert isinstance(scorer, ImageScorer)
    with torch.inference_mode():
        parts = [
            scorer.embed_raw(torch.from_numpy(np.ascontiguousarray(pixels[i : i + 32]))).float()
            for i in range(0, len(pixels), 32)
        ]
    return torch.cat(parts).clone()


__all__ = ["train_head"]
