"""Loads the photos of a page of items and scores them; what cannot be scored comes back with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np

from ranking.errors import InputError, ServerError
from ranking.item_message import AiGenerated
from scorer.backfill.read import Item
from scorer.ingest.photos import Photo, PhotoError, PhotoLoader, PhotoSource, Pixels
from scorer.provenance import more_suspicious
from scorer.serving.client import BACKFILL, BadScoresError, Priority, ScoreClient, Scored
from scorer.serving.names import MODEL_NAME

SCORE_BATCH: Final = 16  # photos in one request
NO_PHOTO: Final = "the item has no photo in the index"
_WEB = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:")


class Scorer(Protocol):
    """What scores: `ScoreClient`, or weights in this process."""

    @property
    def image_size(self) -> int:
        """Side of the photos that it takes, in pixels."""

    def score(self, images: Pixels, /) -> Scored:
        """Scores of uint8 [n, size, size, 3]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerSpec:
    """Which model scores, in words that travel to a worker.

    Args:
        triton: host:port; None for the one that the worker's settings name.
        triton_model: the model's name there.
        model: instead of Triton, "compact" or a scorer folder, loaded in the worker itself.
        wait_s: how long to wait for a server that is gone.
        priority: of requests to Triton; 1 goes before 2.
    """

    triton: str | None = None
    triton_model: str | None = None
    model: str | None = None
    wait_s: float = 120.0
    priority: Priority = BACKFILL

    def open(self) -> Scorer:
        """The scorer, ready.

        Raises:
            ServerError: Triton is not there, or has no such model.
            InputError: there is no such model in this process.
        """
        if self.model is not None:
            return _Local(self.model)
        name = self.triton_model or MODEL_NAME
        client = ScoreClient(self.triton, model_name=name, priority=self.priority, wait_s=self.wait_s)
        client.check()
        return client


class _Local:
    """Weights in this process, on one thread."""

    def __init__(self, model: str) -> None:
        import torch

        from scorer.model.scorer import load_scorer
        from scorer.serving.weights import LoadedWeights

        torch.set_num_threads(1)
        scorer = load_scorer(model if model == "compact" else Path(model))
        self._weights = LoadedWeights(scorer, scorer.version)

    @property
    def image_size(self) -> int:
        return self._weights.model.image_size

    def score(self, images: Pixels) -> Scored:
        return Scored(self._weights.score(images), self._weights.version)


def version_of(scorer: Scorer) -> str:
    """The version of the weights that answer now, from one black photo."""
    size = scorer.image_size
    return scorer.score(np.zeros((1, size, size, 3), dtype=np.uint8)).model_version


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one item's photo: a score, or a reason."""

    item: Item
    score: float | None = None
    ai: AiGenerated | None = None  # only where it says more than the index knows
    stage: Literal["photo", "score"] | None = None  # where it failed
    reason: str | None = None


class Scoring:
    """Scores pages of items.

    Args:
        scorer: the model.
        loader: loads photos.
        version: what the answers must be of.
        source: where photos may come from.
        most_in_a_row: failed photos in a row, after which something else is wrong; 0 for any number.
        batch: photos in one request.
    """

    def __init__(
        self,
        scorer: Scorer,
        loader: PhotoLoader,
        *,
        version: str,
        source: PhotoSource,
        most_in_a_row: int = 500,
        batch: int = SCORE_BATCH,
    ) -> None:
        self._scorer, self._loader = scorer, loader
        self._version, self._source = version, source
        self._most_in_a_row, self._batch = most_in_a_row, batch
        self._in_a_row = 0

    def score(self, items: Sequence[Item]) -> list[Finding]:
        """One finding for each item, in no order. All photos load while the first are scored.

        Raises:
            ServerError: the model is gone, or another version answers; photos fail one after the other.
            InputError: photos are in files, and no root is given.
        """
        loading = [(item, self._loader.submit(self._allowed(item.url))) for item in items if item.url]
        found = [Finding(item, stage="photo", reason=NO_PHOTO) for item in items if not item.url]
        batch: list[tuple[Item, Photo]] = []
        for item, loaded in loading:
            photo = self._photo(item, loaded, found)
            if photo is not None:
                batch.append((item, photo))
            if len(batch) == self._batch:
                found += self._scored(batch)
                batch = []
        if batch:
            found += self._scored(batch)
        return found

    def _allowed(self, url: str) -> str:
        if self._source.root is None and not _WEB.match(url):
            raise InputError("the photos are in files", hint="name their folder with --photos-root")
        return url

    def _photo(self, item: Item, loaded: Future[Photo], found: list[Finding]) -> Photo | None:
        try:
            photo = loaded.result()
        except PhotoError as e:
            self._in_a_row += 1
            if self._most_in_a_row and self._in_a_row >= self._most_in_a_row:
                raise ServerError(
                    "photos",
                    f"{self._in_a_row} in a row could not be had, the last one: {e}",
                    hint="where the photos are as they are, run again with --max-failed-in-a-row 0; "
                    "else mend what is wrong, and run with --retry-failed",
                ) from e
            found.append(Finding(item, stage="photo", reason=str(e)))
            return None
        self._in_a_row = 0
        return photo

    def _scored(self, batch: Sequence[tuple[Item, Photo]]) -> list[Finding]:
        images = np.stack([photo.pixels for _, photo in batch])
        try:
            scored = self._scorer.score(images)
            scores, version = scored.scores, scored.model_version
            bad = ~((scores >= 0) & (scores <= 1))
        except BadScoresError as e:
            scores, version, bad = e.scores, e.model_version, e.bad
        if version != self._version:
            raise ServerError(
                "Triton",
                f"{version} answers now, and this run began with {self._version}",
                hint="run the same command again; it goes on with the model that is there",
            )
        return [
            Finding(item, stage="score", reason=f"the model answered {score}, which is no score in [0, 1]")
            if is_bad
            else Finding(item, float(score), _news(item.ai, photo.ai))
            for (item, photo), score, is_bad in zip(batch, scores, bad, strict=True)
        ]


def _news(known: AiGenerated | None, seen: AiGenerated | None) -> AiGenerated | None:
    worse = more_suspicious(known, seen)
    return None if worse == known else worse


__all__ = ["NO_PHOTO", "SCORE_BATCH", "Finding", "Scorer", "ScorerSpec", "Scoring", "version_of"]
