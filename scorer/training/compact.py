"""Training of the compact tower: the network stays as ImageNet left it, its projection and head learn.

Every photo of the training folder takes part, labelled or not, in several views that are read by the
network once. The projection and the head then learn, in one loss, to order each judged page as its judge
did, to score every good view as the teacher does, to put a photo above its degraded copy, and to tell the
garment's class. What is kept is an exponential moving average of the weights: no epoch is picked.

The network is frozen because a thousand labels are few: what it could learn from them first is the
sellers' set-ups.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scorer.model.head import Head, HeadConfig
from scorer.model.levels import STAGE_COLUMNS, STATISTICS_COLUMNS, Levels
from scorer.model.tower import Tower, new_tower
from scorer.training.config import COMPACT_MODEL, COMPACT_PREPROCESS, TrainConfig
from scorer.training.losses import pairwise_loss
from scorer.training.teacher import Standard, Teacher, weigh_blocks
from scorer.training.views import batches

TEACHER_TO_LOGIT = 0.85  # a difference of one judge's point is worth this in logits: 70 % of the pair

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Material:
    """All that the compact tower learns from: views of n photos, as the frozen network reads them.

    Good views come first, the whole photo before all, degraded ones last.
    """

    levels: NDArray[np.float16]  # (n_views, n, N_LEVELS)
    cells: Sequence[NDArray[np.float16]]  # each (n, its width): what the teacher's networks see, by stage
    n_good: int
    category: NDArray[np.int64]  # (n,), of each photo
    page_rows: Sequence[NDArray[np.int64]]  # rows of each SERP's photos
    page_truth: Sequence[Array]

    @property
    def n_photos(self) -> int:
        """Number of photos."""
        return self.levels.shape[1]

    def among(self, keep: NDArray[np.bool_]) -> Material:
        """The same with only the photos where `keep` (n,) is set; pages keep two photos or go."""
        new_row = np.cumsum(keep) - 1
        rows, truth = [], []
        for page, scores in zip(self.page_rows, self.page_truth, strict=True):
            kept = keep[page]
            if kept.sum() >= 2:
                rows.append(new_row[page[kept]])
                truth.append(scores[kept])
        return replace(
            self,
            levels=self.levels[:, keep],
            cells=[seen[keep] for seen in self.cells],
            category=self.category[keep],
            page_rows=rows,
            page_truth=truth,
        )


class Student(nn.Module):
    """The projection, the head that stays, and the class that only teaches."""

    def __init__(self, config: TrainConfig, n_categories: int) -> None:
        super().__init__()
        tower = compact_tower(config)
        self.trunk = trunk_of(tower)
        torch.manual_seed(config.seed)
        nn.init.normal_(self.trunk.classifier.weight, std=1.0 / math.sqrt(self.trunk.num_features))
        nn.init.zeros_(self.trunk.classifier.bias)
        self.tower = tower
        self.head = Head(HeadConfig(embed_dim=tower.embed_dim, hidden=config.hidden, dropout=config.dropout))
        self.category = nn.Linear(tower.embed_dim, n_categories)
        self.dropout = nn.Dropout(config.input_dropout)

    def forward(self, standard: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n,) and embeddings of standardized levels (n, N_LEVELS)."""
        embedding = self.trunk.classifier(self.dropout(standard))
        return self.head(embedding), embedding

    def learning(self) -> list[nn.Module]:
        """What is trained; the network is not."""
        return [self.trunk.classifier, self.head, self.category]


def compact_tower(config: TrainConfig) -> Tower:
    """The tower as training finds it: a pretrained network, or a random one where the config says so."""
    from scorer.training.start import load_imagenet

    tower = new_tower(COMPACT_MODEL, COMPACT_PREPROCESS, seed=config.seed)
    if config.start == "imagenet":
        load_imagenet(trunk_of(tower))
    return tower


def trunk_of(tower: Tower) -> Levels:
    """The network inside open_clip's adapter."""
    trunk = tower.visual.trunk
    assert isinstance(trunk, Levels)
    return trunk


def train_compact(
    config: TrainConfig, material: Material, *, log: Callable[[dict[str, float | str]], None]
) -> Student:
    """Train; the same config and material give the same weights on the same machine."""
    rng = np.random.default_rng(config.seed)
    student = Student(config, int(material.category.max(initial=0)) + 1)
    views = _standardize(student.trunk, material)
    teacher = torch.from_numpy(teach(material)).float() * TEACHER_TO_LOGIT
    n_steps = config.epochs * max(1, material.n_photos // config.batch)
    step = _Step(student, config, n_steps)
    for epoch in range(config.epochs):
        student.train()
        totals = _Mean()
        for rows in batches(material.n_photos, min(config.batch, material.n_photos), rng):
            losses = _losses(student, config, material, (views, teacher), rows=rows, rng=rng)
            step(losses)
            totals.add(losses)
        log({"phase": "train", "epoch": float(epoch), **totals.means()})
    return step.average.eval()


def _standardize(trunk: Levels, material: Material) -> Tensor:
    """Set the trunk's own standardization from the whole photos, and apply it to all views."""
    whole = material.levels[0].astype(np.float32)
    spread = np.maximum(whole.std(axis=0), 1e-4)
    trunk.shift.copy_(torch.from_numpy(whole.mean(axis=0)).half().float())  # as they will be stored
    trunk.scale.copy_(torch.from_numpy(1.0 / spread).half().float())
    levels = torch.from_numpy(material.levels.astype(np.float32))
    return trunk.standardize(levels)


def teach(material: Material) -> Array:
    """The teacher's score of each photo, in points around 0: shape (n,)."""
    own = material.levels[0].astype(np.float64)
    seen = list(material.cells) or [own[:, columns] for columns in STAGE_COLUMNS]
    # the statistics are few and hold on set-ups that were never seen: they count as two stages
    seen += [own[:, STATISTICS_COLUMNS]] * 2
    known = weigh_blocks(*(_standard(block.astype(np.float64)) for block in seen))
    pages = zip(material.page_rows, material.page_truth, strict=True)
    return Teacher.fit([(known[rows], truth) for rows, truth in pages]).predict(known)


def _standard(block: Array) -> Array:
    return Standard.fit(block)(block)


def _losses(
    student: Student,
    config: TrainConfig,
    material: Material,
    known: tuple[Tensor, Tensor],
    *,
    rows: NDArray[np.int64],
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    """One pass over two good views and a degraded one of each row, and over some pages."""
    views, teacher = known
    n = len(rows)
    chosen = [
        rng.integers(0, material.n_good, n),
        rng.integers(0, material.n_good, n),
        rng.integers(material.n_good, len(views), n),
    ]
    n_pages = min(config.serps, len(material.page_rows))
    pages = rng.choice(len(material.page_rows), n_pages, replace=False)
    page_rows = np.concatenate([material.page_rows[p] for p in pages])
    view = np.concatenate([*chosen, rng.integers(0, material.n_good, len(page_rows))])
    logits, embedding = student(views[view, np.concatenate([rows, rows, rows, page_rows])])
    wanted = teacher[np.concatenate([rows, rows])]
    losses = {
        "teacher": functional.smooth_l1_loss(logits[: 2 * n], wanted),
        "degraded": functional.relu(config.degraded_margin - (logits[:n] - logits[2 * n : 3 * n])).mean(),
        "category": functional.cross_entropy(
            student.category(embedding[:n]), torch.from_numpy(material.category[rows]), label_smoothing=0.1
        ),
    }
    ranked = torch.split(logits[3 * n :], [len(material.page_rows[p]) for p in pages])
    losses["rank"] = torch.stack(
        [
            pairwise_loss(
                page[None],
                torch.from_numpy(material.page_truth[p]).float()[None],
                gamma=config.focal_gamma,
                by_gap=True,
            )
            for page, p in zip(ranked, pages, strict=True)
        ]
    ).mean()
    return losses


class _Step:
    """AdamW with a tenth of the steps to warm up, then a cosine to zero; and the moving average."""

    def __init__(self, student: Student, config: TrainConfig, n_steps: int) -> None:
        self.student, self.config = student, config
        weights = [p for module in student.learning() for p in module.parameters()]
        self.adamw = torch.optim.AdamW(weights, lr=config.lr, weight_decay=config.weight_decay)
        warm = max(1, n_steps // 10)

        def factor(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, n_steps - warm)))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.adamw, factor)
        self.average: Student = copy.deepcopy(student).requires_grad_(False)
        self.n = 0

    def __call__(self, losses: dict[str, Tensor]) -> None:
        weights = {
            "teacher": self.config.teacher_weight,
            "degraded": self.config.degraded_weight,
            "category": self.config.category_weight,
            "rank": self.config.rank_weight,
        }
        loss = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        self.adamw.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.adamw.step()
        self.schedule.step()
        self.n += 1
        decay = min(self.config.ema_decay, self.n / (self.n + 9.0))  # the first steps are soon forgotten
        with torch.no_grad():
            for ours, theirs in zip(self.average.learning(), self.student.learning(), strict=True):
                for mine, new in zip(ours.parameters(), theirs.parameters(), strict=True):
                    mine.lerp_(new, 1.0 - decay)


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


__all__ = ["Material", "Student", "compact_tower", "teach", "train_compact", "trunk_of"]
