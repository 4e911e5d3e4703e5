"""Fine-tunes an image tower on image-title pairs, so that alike items lie near each other.

The recipe of Yada et al., "Improving Visual Recommendation on E-commerce Platforms Using Vision-Language
Models" (2025): SigLIP's sigmoid loss (open_clip's) over image-title pairs. The image side and the text side
have learning rates and weight decays of their own; matrices decay, gains, biases and the temperature do not.

The loss falling is no proof: retrieval can collapse under it (mlfoundations/open_clip#742). So a share of
the pairs is held out, nDCG@5 and recall are measured on it before the first step and after every epoch, the
best epoch is what is kept, and training stops once `patience` epochs brought nothing better. Where no epoch
beats the tower as it was, nothing is written. A run that was killed goes on from its last epoch's end.
"""

from __future__ import annotations

import copy
import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from ranking.errors import InputError, RankError
from scorer.model.photo import PhotoError, read_photo
from scorer.similar.checkpoint import (
    Checkpoint,
    holds_other_files,
    read_checkpoint,
    remove_checkpoint,
    run_key,
    save_checkpoint,
)
from scorer.similar.dual import Dual, load_dual
from scorer.similar.measures import Gain, Retrieval, measure_retrieval, relative_gain
from scorer.similar.pairs import Pair, distinct_batches, groups

METRICS_FILE: Final = "finetune.json"
_LARGEST_SCALE: Final = math.log(100.0)  # as CLIP and SigLIP bound the temperature


class FinetuneConfig(BaseModel):
    """One run. `None` takes the default of a small tower from scratch, or that of a pretrained one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tower: str = "compact"
    seed: int = 0
    threads: int = Field(default=1, ge=1)
    epochs: int = Field(default=8, ge=1)
    batch: int = Field(default=64, ge=2)
    image_lr: float | None = Field(default=None, gt=0)
    text_lr: float | None = Field(default=None, gt=0)
    image_weight_decay: float = Field(default=0.05, ge=0)
    text_weight_decay: float = Field(default=0.05, ge=0)
    logit_scale: float = Field(default=10.0, gt=0)
    logit_bias: float = -10.0
    warmup: float = Field(default=0.1, ge=0, lt=1)  # share of the steps
    patience: int = Field(default=3, ge=1)  # epochs without a better nDCG@5
    held_out: float = Field(default=0.1, gt=0, lt=0.5)  # share of the pairs that epochs are measured on
    smallest_crop: float = Field(default=0.75, gt=0, le=1)  # side of the crops that are trained on
    text_width: int = Field(default=128, ge=16)  # of a text side that the tower does not have yet
    text_layers: int = Field(default=1, ge=1)

    def rates(self, new_text: bool) -> tuple[float, float]:
        """Learning rates of the image side and the text side."""
        image, text = (3e-4, 1e-3) if new_text else (1e-5, 1e-5)
        return self.image_lr or image, self.text_lr or text


class NoGain(RankError):
    """Fine-tuning found nothing better than the tower as it was."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch brought on the held-out pairs; epoch 0 is the tower as it was."""

    epoch: int
    loss: float | None
    ndcg: float  # nDCG@5, photo to photos
    recall: float  # recall@10, photo to photos
    title_recall: float  # recall@10, title to photos
    seconds: float


@dataclass(frozen=True, slots=True)
class Finetuned:
    """A finished run."""

    folder: Path
    best_epoch: int
    epochs: tuple[Epoch, ...]
    test: Gain | None  # nDCG@5 on the test pairs, before and after
    test_recall: Gain | None
    skipped: tuple[str, ...]


def finetune(
    photos: Path,
    pairs: Sequence[Pair],
    folder: Path,
    config: FinetuneConfig,
    *,
    test: Sequence[Pair] = (),
    on_epoch: Callable[[Epoch], object] | None = None,
    note: Callable[[str], object] = lambda _: None,
) -> Finetuned:
    """Train, keep the best epoch, and write it to `folder` as open_clip's `local-dir:` wants it.

    Args:
        photos: folder that the pairs' images lie below.
        pairs: to train on; `config.held_out` of them only measure.
        folder: not there yet, empty, or with the checkpoint of this run, which then goes on.
        config: the run.
        test: pairs of photos that take no part in any choice: measured before and after, reported apart.
        on_epoch: told after each epoch.
        note: told what was left out.

    Raises:
        InputError: too few pairs, an output folder that holds something (the checkpoint of another run,
            too), or a loss that is no number.
        NoGain: no epoch was better than the tower as it was; nothing was written.
    """
    if holds_other_files(folder):
        raise InputError(f"{folder} holds something", hint="name a folder that is not there yet")
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    dual = load_dual(
        config.tower,
        seed=config.seed,
        logit_scale=config.logit_scale,
        logit_bias=config.logit_bias,
        text_width=config.text_width,
        text_layers=config.text_layers,
    )
    skipped: list[str] = []
    train, dev = _split(_readable(photos, pairs, dual.tower.image_size, skipped), config.held_out, rng)
    tested = _readable(photos, test, dual.tower.image_size, skipped) if test else None
    if skipped:
        note(f"{len(skipped)} photos could not be read and are left out; first {skipped[0]}")
    before = _retrieval(dual, tested) if tested else None

    run = _Run(dual, train, dev, config, rng)
    state = run.resumed(folder)
    if state is None:
        state = _State([run.measured(0, None, time.monotonic())], 0, copy.deepcopy(dual.model.state_dict()))
        if on_epoch:
            on_epoch(state.epochs[0])
    else:
        note(f"goes on after epoch {len(state.epochs) - 1}, where a run was stopped")
    while len(state.epochs) <= config.epochs and state.waited < config.patience:
        began = time.monotonic()
        found = run.measured(len(state.epochs), run.epoch(), began)
        if found.ndcg > state.epochs[state.best].ndcg:
            state.best, state.kept = found.epoch, copy.deepcopy(dual.model.state_dict())
        state.epochs.append(found)
        run.save(folder, state)
        if on_epoch:
            on_epoch(found)
    epochs, best = state.epochs, state.best
    if state.waited >= config.patience:
        note(f"stopped: nDCG@5 has not risen for {config.patience} epochs")
    if best == 0:
        remove_checkpoint(folder)
        raise NoGain(
            f"no epoch beat the tower as it was: nDCG@5 {epochs[0].ndcg:.4f} on {len(dev.pairs)} pairs",
            hint="lower --image-lr, or give more pairs; nothing was written",
        )
    dual.model.load_state_dict(state.kept)
    after = _retrieval(dual, tested) if tested else None
    gain = recall = None
    if before is not None and after is not None:
        gain = relative_gain(before.ndcg, after.ndcg, np.random.default_rng(config.seed))
        recall = relative_gain(before.recall, after.recall, np.random.default_rng(config.seed))
    result = Finetuned(folder, best, tuple(epochs), gain, recall, tuple(skipped))
    _write(dual, result, config, [pair.title for pair in train.pairs])
    return result


@dataclass(slots=True)
class _State:
    """How far a run is."""

    epochs: list[Epoch]
    best: int  # the epoch that `kept` holds the weights of
    kept: dict[str, Any]

    @property
    def waited(self) -> int:
        """Epochs since the best."""
        return len(self.epochs) - 1 - self.best


@dataclass(frozen=True, slots=True)
class _Data:
    pairs: tuple[Pair, ...]
    pixels: NDArray[np.uint8]  # (n, size, size, 3)


class _Run:
    """The optimizer and its schedule over one set of pairs."""

    def __init__(
        self, dual: Dual, train: _Data, dev: _Data, config: FinetuneConfig, rng: np.random.Generator
    ) -> None:
        from open_clip.loss import SigLipLoss

        self._dual, self._train, self._dev, self._config, self._rng = dual, train, dev, config, rng
        self._tokens = dual.tokenize([pair.title for pair in train.pairs])
        self._loss = SigLipLoss()
        self._optimizer = torch.optim.AdamW(parameter_groups(dual, config), betas=(0.9, 0.95))
        probe = np.random.default_rng(config.seed)
        steps = len(distinct_batches(train.pairs, config.batch, probe)) * config.epochs
        self._key = run_key(
            config.model_dump(mode="json", exclude={"threads"}),
            [pair.model_dump_json() for pair in (*train.pairs, *dev.pairs)],
            (train.pixels, dev.pixels),
            dual.model.state_dict(),
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: rate_at(step, steps, config.warmup)
        )

    def save(self, folder: Path, state: _State) -> None:
        """Write what `resumed` goes on from."""
        found = Checkpoint(
            epochs=[asdict(epoch) for epoch in state.epochs],
            best=state.best,
            rng=dict(self._rng.bit_generator.state),
            torch_rng=torch.get_rng_state(),
            model=self._dual.model.state_dict(),
            kept=state.kept,
            optimizer=self._optimizer.state_dict(),
            schedule=self._schedule.state_dict(),
        )
        save_checkpoint(folder, self._key, found)

    def resumed(self, folder: Path) -> _State | None:
        """Take up where a stopped run ended; None where there was none."""
        found = read_checkpoint(folder, self._key)
        if found is None:
            return None
        self._dual.model.load_state_dict(found.model)
        self._optimizer.load_state_dict(found.optimizer)
        self._schedule.load_state_dict(found.schedule)
        self._rng.bit_generator.state = found.rng
        torch.set_rng_state(found.torch_rng)
        return _State([Epoch(**epoch) for epoch in found.epochs], found.best, found.kept)

    def epoch(self) -> float:
        """One pass over the pairs; the mean loss."""
        model = self._dual.model
        model.train()
        losses = []
        for batch in distinct_batches(self._train.pairs, self._config.batch, self._rng):
            images = self._dual.pixels(self._augmented(self._train.pixels[batch]))
            image, text, scale, bias = model(images, self._tokens[torch.from_numpy(batch)])
            loss = self._loss(image, text, scale, bias)
            if not bool(torch.isfinite(loss)):
                raise InputError("the loss is no number any more", hint="lower --image-lr and --text-lr")
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            self._schedule.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0.0, _LARGEST_SCALE)
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def measured(self, number: int, loss: float | None, began: float) -> Epoch:
        """Retrieval on the held-out pairs."""
        group = groups(self._dev.pairs)
        embeddings = self._dual.embed_images(self._dev.pixels)
        photos = measure_retrieval(embeddings, group)
        titles = self._dual.embed_texts([pair.title for pair in self._dev.pairs])
        asked = measure_retrieval(embeddings, group, titles)
        means = float(photos.ndcg.mean()), float(photos.recall.mean()), float(asked.recall.mean())
        return Epoch(number, loss, *means, time.monotonic() - began)

    def _augmented(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crops and mirror images; light and color stay, since titles name colors."""
        out = np.empty_like(pixels)
        size = pixels.shape[1]
        for i, photo in enumerate(pixels):
            side = int(size * self._rng.uniform(self._config.smallest_crop, 1.0))
            y, x = self._rng.integers(0, size - side + 1, 2)
            crop = Image.fromarray(photo[y : y + side, x : x + side])
            view = np.asarray(crop.resize((size, size), Image.Resampling.BILINEAR))
            out[i] = view[:, ::-1] if self._rng.random() < 0.5 else view
        return out


def parameter_groups(dual: Dual, config: FinetuneConfig) -> list[dict[str, Any]]:
    """Image side and text side with rates and decays of their own; what has no matrix does not decay."""
    image_lr, text_lr = config.rates(dual.new_text)
    sides: dict[tuple[str, bool], list[Any]] = {}
    for name, value in dual.model.named_parameters():
        side = "image" if name.startswith("visual.") else "text"
        sides.setdefault((side, value.ndim > 1), []).append(value)
    return [
        {
            "params": values,
            "lr": image_lr if side == "image" else text_lr,
            "weight_decay": (getattr(config, f"{side}_weight_decay") if is_matrix else 0.0),
            "name": f"{side} {'matrices' if is_matrix else 'rest'}",
        }
        for (side, is_matrix), values in sorted(sides.items())
    ]


def rate_at(step: int, steps: int, warmup: float) -> float:
    """Share of the full rate at a step: a straight rise, then half a cosine down to zero."""
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - rising) / max(1.0, steps - rising))))


def _readable(photos: Path, pairs: Sequence[Pair], size: int, skipped: list[str]) -> _Data:
    kept, pixels = [], []
    for pair in pairs:
        try:
            pixels.append(read_photo(photos / pair.image, size))
            kept.append(pair)
        except PhotoError as e:
            skipped.append(str(e))
    if not kept:
        raise InputError(f"none of {len(pairs)} photos below {photos} can be read; first: {skipped[0]}")
    return _Data(tuple(kept), np.stack(pixels))


def _split(data: _Data, share: float, rng: np.random.Generator) -> tuple[_Data, _Data]:
    order = rng.permutation(len(data.pairs))
    n = max(2, round(share * len(order)))
    if len(order) - n < 2:
        raise InputError(f"{len(order)} pairs are too few to train on")

    def part(rows: NDArray[np.int64]) -> _Data:
        return _Data(tuple(data.pairs[int(i)] for i in rows), data.pixels[rows])

    return part(np.sort(order[n:])), part(np.sort(order[:n]))


def _retrieval(dual: Dual, data: _Data) -> Retrieval:
    return measure_retrieval(dual.embed_images(data.pixels), groups(data.pairs))


def _write(dual: Dual, result: Finetuned, config: FinetuneConfig, titles: Sequence[str]) -> None:
    folder = result.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".finetune-", dir=folder.parent) as temporary:
        draft = Path(temporary) / "draft"
        dual.save(draft, titles)
        record = {
            "config": config.model_dump(),
            "best_epoch": result.best_epoch,
            "epochs": [asdict(epoch) for epoch in result.epochs],
            "test_nDCG@5": asdict(result.test) if result.test else None,
            "test_recall@10": asdict(result.test_recall) if result.test_recall else None,
            "n_titles": len(titles),
            "skipped": list(result.skipped),
        }
        (draft / METRICS_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        remove_checkpoint(folder)
        draft.chmod(0o755)
        shutil.move(draft, folder)


__all__ = [
    "METRICS_FILE",
    "Epoch",
    "FinetuneConfig",
    "Finetuned",
    "NoGain",
    "finetune",
    "parameter_groups",
    "rate_at",
]
