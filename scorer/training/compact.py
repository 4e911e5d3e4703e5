"""Training of the compact tower from scratch, on few labels and many photos.

Phase 1 (pretraining) uses every photo of the training folder, no label: predict its image statistics, its
category (the folder's name) and how it was degraded, rank it above its degraded copy, and score it as the
teacher does. Phase 2 (ranking) adds the judges' pairs and goes on with the rest beside them. What is kept
is an exponential moving average of the weights at the end of phase 2: no epoch is picked by validation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scorer.model.head import Head, HeadConfig
from scorer.model.statistics import NAMES
from scorer.model.tower import embedding_of, new_tower
from scorer.training.config import COMPACT_MODEL, COMPACT_PREPROCESS, TrainConfig
from scorer.training.degrade import KINDS
from scorer.training.losses import focal, pairwise_loss
from scorer.training.teacher import Standard
from scorer.training.views import Views, batches, mirror, mirror_statistics

TEACHER_TO_LOGIT = 0.85  # a difference of one judge's point is worth this in logits: 70 % of the pair


@dataclass(frozen=True, slots=True)
class Material:
    """All that the compact tower learns from."""

    views: Views
    standard: Standard  # of the statistics
    category: NDArray[np.int64]  # (n,), of each photo
    n_categories: int
    teacher: NDArray[np.float64]  # (n_views, n), the teacher's score of each view, in points
    page_rows: Sequence[NDArray[np.int64]]  # rows of each SERP's photos
    page_truth: Sequence[NDArray[np.float64]]


class Student(nn.Module):
    """The tower, the head that stays, and the heads that only teach."""

    def __init__(self, config: TrainConfig, n_categories: int) -> None:
        super().__init__()
        tower = new_tower(COMPACT_MODEL, COMPACT_PREPROCESS, seed=config.seed)
        self.visual = tower.visual
        torch.manual_seed(config.seed)
        self.head = Head(HeadConfig(embed_dim=tower.embed_dim, hidden=config.hidden, dropout=config.dropout))
        self.statistics = nn.Linear(tower.embed_dim, len(NAMES))
        self.category = nn.Linear(tower.embed_dim, n_categories)
        self.kind = nn.Linear(tower.embed_dim, len(KINDS) + 1)
        self.mean, self.std = (float(v[0]) * 255.0 for v in (tower.mean, tower.std))

    def embed(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Embeddings of uint8 photos (n, size, size, 3)."""
        x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        return embedding_of(self.visual, (x - self.mean) / self.std)


class Ema:
    """Exponential moving average of a module's weights and buffers."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take one step towards the module's present weights."""
        for mine, theirs in zip(self.module.state_dict().values(), module.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1.0 - self.decay)
            else:
                mine.copy_(theirs)


def train_compact(
    config: TrainConfig, material: Material, *, log: Callable[[dict[str, float | str]], None]
) -> Student:
    """Train; the same config and material give the same weights on the same machine."""
    rng = np.random.default_rng(config.seed)
    student = Student(config, material.n_categories).to(memory_format=torch.channels_last)
    n = material.views.pixels.shape[1]
    steps = config.pretrain_epochs * (n // config.pretrain_batch)
    step = _Optimizer(student, config.pretrain_lr, config.weight_decay, steps)
    for epoch in range(config.pretrain_epochs):
        student.train()
        totals = _Mean()
        for rows in batches(n, config.pretrain_batch, rng):
            losses = _beside(student, config, material, rows, rng)
            step(_weigh(losses, config))
            totals.add(losses)
        log({"phase": "pretrain", "epoch": float(epoch), **totals.means()})
    n_pages = len(material.page_rows)
    steps = config.rank_epochs * (n_pages // config.rank_serps)
    step = _Optimizer(student, config.rank_lr, config.weight_decay, steps)
    ema = Ema(student, config.ema_decay)
    for epoch in range(config.rank_epochs):
        student.train()
        totals = _Mean()
        for pages, rows in zip(
            batches(n_pages, config.rank_serps, rng), _endless(n, config.rank_beside, rng), strict=False
        ):
            losses = _ranked(student, config, material, (pages, rows), rng)
            step(_weigh(losses, config))
            ema.update(student)
            totals.add(losses)
        log({"phase": "rank", "epoch": float(epoch), **totals.means()})
    return ema.module if config.rank_epochs else student.eval()  # type: ignore[return-value]


def _view(
    material: Material, rows: NDArray[np.int64], view: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Tensor, Tensor]:
    """Pixels, standardized statistics and kind of one view of each row, mirrored at random."""
    flip = rng.random(len(rows)) < 0.5
    pixels = mirror(material.views.pixels[view, rows], flip)
    statistics = material.standard(mirror_statistics(material.views.statistics[view, rows], flip))
    return pixels, torch.from_numpy(statistics).float(), torch.from_numpy(material.views.kind[view, rows])


def _beside(
    student: Student,
    config: TrainConfig,
    material: Material,
    rows: NDArray[np.int64],
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    pixels, *known = _trios(material, rows, rng)
    return _beside_losses(student, student.embed(pixels), known, material, rows)


def _trios(
    material: Material, rows: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Tensor, Tensor, Tensor]:
    """A good, a varied and a degraded view of each row, in that order; pixels, statistics, kind, teacher."""
    views, n = material.views, len(rows)
    first_bad = views.n_good + views.n_varied
    good = rng.integers(0, views.n_good, n)
    varied = rng.integers(views.n_good, first_bad, n) if views.n_varied else good
    bad = rng.integers(first_bad, len(views.pixels), n)
    view, rows = np.concatenate([good, varied, bad]), np.tile(rows, 3)
    teacher = torch.from_numpy(material.teacher[view, rows] * TEACHER_TO_LOGIT).float()
    return *_view(material, rows, view, rng), teacher


def _beside_losses(
    student: Student, embedding: Tensor, known: Sequence[Tensor], material: Material, rows: NDArray[np.int64]
) -> dict[str, Tensor]:
    statistics, kind, teacher = known
    n = len(rows)
    logits = student.head(embedding)
    good, bad = embedding[:n], embedding[2 * n :]
    category = torch.from_numpy(material.category[rows])
    return {
        "statistics": functional.smooth_l1_loss(student.statistics(embedding), statistics, beta=0.5),
        "category": functional.cross_entropy(student.category(good), category, label_smoothing=0.1),
        # varied views are neither whole nor degraded in one way
        "kind": functional.cross_entropy(
            student.kind(torch.cat([good, bad])), torch.cat([kind[:n], kind[2 * n :]])
        ),
        "degraded": focal(logits[:n] - logits[2 * n :], 0.0).mean(),
        "teacher": functional.smooth_l1_loss(logits[: 2 * n], teacher[: 2 * n]),
    }


def _ranked(
    student: Student,
    config: TrainConfig,
    material: Material,
    chosen: tuple[NDArray[np.int64], NDArray[np.int64]],
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    pages, rows = chosen
    page_rows = np.stack([material.page_rows[p] for p in pages])
    truth = torch.from_numpy(np.stack([material.page_truth[p] for p in pages])).float()
    flat = page_rows.ravel()
    ranked, _, _ = _view(material, flat, rng.integers(0, material.views.n_good, len(flat)), rng)
    pixels, *known = _trios(material, rows, rng)
    embedding = student.embed(np.concatenate([ranked, pixels]))
    losses = _beside_losses(student, embedding[len(flat) :], known, material, rows)
    logits = student.head(embedding[: len(flat)]).view(truth.shape)
    losses["rank"] = pairwise_loss(logits, truth, gamma=config.focal_gamma, by_gap=True)
    return losses


def _weigh(losses: dict[str, Tensor], config: TrainConfig) -> Tensor:
    weights = {
        "statistics": config.statistics_weight,
        "category": config.category_weight,
        "kind": config.kind_weight,
        "degraded": config.degraded_weight,
        "teacher": config.teacher_weight,
        "rank": config.rank_weight,
    }
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()


class _Optimizer:
    """AdamW over one phase: a tenth of the steps to warm up, then a cosine down to zero."""

    def __init__(self, module: nn.Module, lr: float, weight_decay: float, n_steps: int) -> None:
        decayed = [p for p in module.parameters() if p.ndim > 1]
        others = [p for p in module.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.module = module
        self.adamw = torch.optim.AdamW(groups, lr=lr)
        warm = max(1, n_steps // 10)

        def factor(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, n_steps - warm)))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.adamw, factor)

    def __call__(self, loss: Tensor) -> None:
        self.adamw.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.module.parameters(), 5.0)
        self.adamw.step()
        self.schedule.step()


class _Mean:
    """Mean of each loss over an epoch."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.n = 0

    def add(self, losses: dict[str, Tensor]) -> None:
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(loss.detach())
        self.n += 1

    def means(self) -> dict[str, float]:
        return {name: round(total / max(1, self.n), 5) for name, total in self.sums.items()}


def _endless(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    while True:
        yield from batches(n, min(size, n), rng)


__all__ = ["Material", "Student", "train_compact"]
