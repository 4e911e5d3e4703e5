"""CLIP score: how well a photo fits the page's query, as the cosine of the two embeddings.

The Image Score paper compares the item's title with the query; a label file has no titles, so here it is the
photo. Either says whether an item is what was asked for, not whether its photo is good.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ranking.errors import InputError
from scorer.model.tower import COMPACT, load_clip, tower_of
from scorer.training.embeddings import embed_photos
from scorer.training.labels import Serp


def clip_scores(
    spec: str, folder: Path, serps: Sequence[Serp], queries: Sequence[str], cache: Path
) -> list[NDArray[np.float64]]:
    """Cosine of photo and query, per page, shape (n_images,).

    Args:
        spec: a tower that has a text side, as `load_tower` takes it.
        folder: the photo folder.
        serps: the pages.
        queries: the query of each page.
        cache: folder of the embeddings' cache.

    Raises:
        InputError: the tower has no text side of use.
    """
    if spec == COMPACT:
        raise InputError("the compact tower has no text side", hint="name a CLIP or SigLIP tower")
    model: Any = load_clip(spec)
    tower = tower_of(model, spec)
    names = [image for serp in serps for image in serp.images]
    photos = functional.normalize(torch.from_numpy(embed_photos(tower, folder, names, cache)), dim=1)
    with torch.inference_mode():
        texts = functional.normalize(model.encode_text(_tokens(spec, model, queries)).float(), dim=1)
    found, start = [], 0
    for serp, text in zip(serps, texts, strict=True):
        stop = start + len(serp.images)
        found.append((photos[start:stop] @ text).numpy().astype(np.float64))
        start = stop
    return found


def _tokens(spec: str, model: Any, queries: Sequence[str]) -> torch.Tensor:
    import open_clip

    name = spec if spec.startswith(("hf-hub:", "local-dir:")) else spec.partition(":")[0]
    tokenizer: Any = open_clip.get_tokenizer(name)
    tokens: torch.Tensor = tokenizer(list(queries), context_length=int(model.context_length))
    vocabulary = getattr(model, "vocab_size", None)
    if vocabulary and int(tokens.max()) >= int(vocabulary):
        raise InputError(f"tower {spec!r} has a text side of {vocabulary} words, not its tokenizer's")
    return tokens


__all__ = ["clip_scores"]
