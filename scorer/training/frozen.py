"""Training of a head on a frozen tower: the road of the Image Score paper, for any CLIP-like model.

Source: the paper's section 4.1. The tower's parameters are fixed and its embeddings computed once; the head
learns from pairs in batches of 128 with AdamW and a cosine down to zero over at most 100 epochs. With
validation pages, the epoch with the best OPA on them is kept, and training stops when it has not been beaten
for a while (the paper's quick overfitting); without, the last one.

After each epoch the state is written to `checkpoint.pt`, and a stopped run goes on from there as if it had
not been stopped.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ranking.errors import InputError
from scorer.model.head import Calibration, Head, HeadConfig
from scorer.model.scorer import ImageScorer, ScorerConfig
from scorer.model.tower import Tower
from scorer.training.config import TrainConfig
from scorer.training.embeddings import embed_photos
from scorer.training.labels import Serp
from scorer.training.losses import focal
from scorer.training.measures import opa
from scorer.training.pairs import all_pairs

CHECKPOINT: Final = "checkpoint.pt"
Log = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class HeadMaterial:
    """Embedded photos, the pairs to learn from, and the pages to stop by."""

    tower: Tower
    whole: Tensor  # (n, embed_dim)
    mirrored: Tensor  # (n, embed_dim)
    pairs: Tensor  # (n_pairs, 2), rows of the better and the worse photo
    held_out: Tensor  # (n_held_out, embed_dim)
    held_out_pages: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]  # rows of `held_out`, truth

    def key(self) -> str:
        """Says whether a checkpoint was made of this material."""
        digest = hashlib.sha256(self.whole.numpy().tobytes() + self.pairs.numpy().tobytes())
        digest.update(self.held_out.numpy().tobytes())
        return digest.hexdigest()[:16]


def head_material(
    folder: Path,
    serps: Sequence[Serp],
    tower: Tower,
    cache: Path,
    *,
    validation: Sequence[Serp] = (),
    advance: Callable[[int], object] | None = None,
) -> HeadMaterial:
    """Embed the photos of the pages (as they are, and mirrored), or find them in the cache.

    Raises:
        PhotoError: a photo is absent or broken.
        InputError: the pages have no pair that is not a tie.
    """

    def embed(pages: Sequence[Serp], mirrored: bool) -> Tensor:
        names = [image for serp in pages for image in serp.images]
        found = embed_photos(tower, folder, names, cache, mirrored=mirrored, advance=advance)
        return torch.from_numpy(found)

    pairs = all_pairs(serps, _rows(serps))
    if not len(pairs):
        raise InputError("the labels have no pair of photos with different scores")
    held_rows = _rows(validation)
    return HeadMaterial(
        tower=tower,
        whole=embed(serps, False),
        mirrored=embed(serps, True),
        pairs=torch.from_numpy(pairs),
        held_out=embed(validation, False) if validation else torch.zeros(0, tower.embed_dim),
        held_out_pages=[(rows, s.truth) for rows, s in zip(held_rows, validation, strict=True)],
    )


def _rows(serps: Sequence[Serp]) -> list[NDArray[np.int64]]:
    starts = np.cumsum([0, *(len(serp.images) for serp in serps)])
    return [np.arange(a, a + len(serp.images)) for a, serp in zip(starts, serps, strict=False)]


def train_head(material: HeadMaterial, out: Path, config: TrainConfig, log: Log) -> float:
    """Train a head and write it with `scorer.json` into `out`.

    Returns:
        The best validation OPA in percent; NaN without validation pages.
    """
    state = _State(material, config)
    checkpoint = out / CHECKPOINT
    state.load(checkpoint, log)
    while state.epoch < config.head_epochs and state.waited < config.head_patience:
        log({"phase": "head", "epoch": float(state.epoch), **state.run_epoch()})
        state.save(checkpoint)
    head = state.chosen()
    with torch.inference_mode():
        calibration = Calibration.fit(head(material.whole))
    settings = ScorerConfig(name="custom", tower=config.tower, head=head.config, calibration=calibration)
    ImageScorer(material.tower, head, settings).eval().save_head(out)
    return state.best_opa


class _State:
    """All that changes during a run."""

    def __init__(self, material: HeadMaterial, config: TrainConfig) -> None:
        self.material, self.config = material, config
        torch.manual_seed(config.seed)
        dim = material.tower.embed_dim
        self.head = Head(HeadConfig(embed_dim=dim, hidden=config.hidden, dropout=config.dropout))
        self.adamw = torch.optim.AdamW(
            self.head.parameters(), lr=config.head_lr, weight_decay=config.head_weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.adamw, config.head_epochs)
        self.epoch = self.waited = 0
        self.best_opa = math.nan
        self.best: dict[str, Tensor] = _copy(self.head.state_dict())

    def run_epoch(self) -> dict[str, float]:
        """One pass over all pairs, then the validation pages."""
        # Chance depends on seed and epoch alone, so a run taken up again meets the same batches.
        rng = np.random.default_rng([self.config.seed, self.epoch])
        torch.manual_seed(self.config.seed * 1_000_003 + self.epoch)
        pairs = self.material.pairs[torch.from_numpy(rng.permutation(len(self.material.pairs)))]
        views = torch.stack([self.material.whole, self.material.mirrored])
        self.head.train()
        total = 0.0
        for batch in torch.split(pairs, self.config.head_batch):
            view = torch.from_numpy(rng.integers(0, 2, tuple(batch.shape)))
            logits = self.head(views[view, batch].flatten(0, 1)).view(batch.shape)
            loss = focal(logits[:, 0] - logits[:, 1], self.config.focal_gamma).mean()
            self.adamw.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            self.adamw.step()
            total += float(loss.detach()) * len(batch)
        self.schedule.step()
        self.epoch += 1
        found = {"rank": total / len(pairs)}
        if not self.material.held_out_pages:
            self.best = _copy(self.head.state_dict())
            return found
        found["validation_opa"] = now = self._validation_opa()
        if math.isnan(self.best_opa) or now > self.best_opa:
            self.best_opa, self.best, self.waited = now, _copy(self.head.state_dict()), 0
        else:
            self.waited += 1
        return found

    def _validation_opa(self) -> float:
        self.head.eval()
        with torch.inference_mode():
            logits = self.head(self.material.held_out).numpy().astype(np.float64)
        pages = [(truth, logits[rows]) for rows, truth in self.material.held_out_pages]
        return opa(pages, n_resamples=1).value

    def chosen(self) -> Head:
        """The head of the best epoch, in evaluation mode."""
        self.head.load_state_dict(self.best)
        return self.head.eval()

    def save(self, path: Path) -> None:
        """Write everything, or leave what was there."""
        state = {
            "key": self._key(),
            "head": self.head.state_dict(),
            "adamw": self.adamw.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "waited": self.waited,
            "best_opa": self.best_opa,
            "best": self.best,
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def load(self, path: Path, log: Log) -> None:
        """Go on from a checkpoint of the same config and material; another one is left and overwritten."""
        if not path.is_file():
            return
        try:
            state: Mapping[str, Any] = torch.load(path, weights_only=True)
        except Exception as e:  # torch raises a wide family for a cut file
            raise InputError(f"{path} is broken: {e}", hint="remove it to start anew") from e
        if state.get("key") != self._key():
            return
        self.head.load_state_dict(state["head"])
        self.adamw.load_state_dict(state["adamw"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.waited = state["epoch"], state["waited"]
        self.best_opa, self.best = state["best_opa"], state["best"]
        log({"phase": "resumed", "epoch": float(self.epoch)})

    def _key(self) -> str:
        return self.config.model_dump_json(exclude={"threads"}) + self.material.key()


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in weights.items()}


__all__ = ["CHECKPOINT", "HeadMaterial", "head_material", "train_head"]
