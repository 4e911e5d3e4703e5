"""Attributes from antonym prompts: is the photo nearer to "a sharp photo" or to "a blurry photo"?

    attribute = exp(s <e, t+>) / (exp(s <e, t+>) + exp(s <e, t->)) = sigmoid(s <e, t+ - t->)

with e the photo's L2-normalized embedding, t+ and t- those of the two texts and s the tower's own logit
scale. So all attributes of all photos are one matrix product on embeddings that are stored already. The
idea is CLIP-IQA's (Wang et al., "Exploring CLIP for assessing the look and feel of images", AAAI 2023); the
texts are ours, and the first of each pair is always the end that the attribute's name says.

Values depend on the tower: compare them within one model, not between two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ranking.errors import InputError
from scorer.model.attributes import ATTRIBUTES
from scorer.model.tower import COMPACT, COMPACT_FOLDER, LOCAL, load_clip

PROMPTS: Final[dict[str, tuple[str, str]]] = {  # high end first
    "brightness": ("a bright photo", "a dark photo"),
    "cleanness": ("a photo with a clean background", "a photo with a cluttered background"),
    "colorfulness": ("a colorful photo", "a dull photo"),
    "contrast": ("a high contrast photo", "a low contrast photo"),
    "sharpness": ("a sharp photo", "a blurry photo"),
}
KNOWN_WORDS_FILE: Final = "known_words.json"  # beside a tower whose text side was trained on titles alone


class NoTextSide(InputError):
    """A tower cannot be asked with words."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Directions in the embedding space of one tower; `directions` has shape (embed_dim, n_names)."""

    names: tuple[str, ...]
    directions: NDArray[np.float32]

    def attributes(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Attributes of each photo.

        Args:
            embeddings: L2-normalized, shape (n, embed_dim), as `score_and_embed` gives them.

        Returns:
            float32 in [0, 1], shape (n, n_names); higher is more of what the name says.

        Raises:
            InputError: embeddings of another tower, or not finite.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != len(self.directions):
            raise InputError(
                f"embeddings of shape {list(embeddings.shape)} are not of this tower, "
                f"which makes {len(self.directions)} numbers a photo"
            )
        if not np.isfinite(embeddings).all():
            bad = int(np.flatnonzero(~np.isfinite(embeddings).all(axis=1))[0])
            raise InputError(f"embedding {bad} holds a number that is not finite")
        logits = (embeddings @ self.directions).astype(np.float64)
        values: NDArray[np.float32] = (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
        return values


def load_prompts(spec: str, pairs: dict[str, tuple[str, str]] | None = None) -> Prompts:
    """Embed the texts once with the text side of a tower.

    Args:
        spec: as `load_tower` takes it.
        pairs: name -> (text of the high end, text of the low end); `PROMPTS` by default.

    Raises:
        NoTextSide: the tower has none, or one that never saw these words.
    """
    pairs = PROMPTS if pairs is None else pairs
    texts = [text for pair in pairs.values() for text in pair]
    _check_words(spec, texts)
    model = load_clip(spec)
    if is_blank(model):
        raise NoTextSide(f"tower {spec!r} has no text side")
    embedded = embed_texts(model, spec, texts).reshape(len(pairs), 2, -1)
    scale = float(model.logit_scale.detach().exp())
    directions = ((embedded[:, 0] - embedded[:, 1]) * scale).T
    return Prompts(tuple(pairs), np.ascontiguousarray(directions, dtype=np.float32))


def embed_texts(model: Any, spec: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """L2-normalized embeddings of texts, shape (n, embed_dim)."""
    with torch.inference_mode():
        embedded: NDArray[np.float32] = model.encode_text(
            tokenizer_of(spec)(list(texts)), normalize=True
        ).numpy()
    return embedded


def tokenizer_of(spec: str) -> Any:
    """The tokenizer that belongs to a tower."""
    import open_clip

    named = LOCAL + str(COMPACT_FOLDER) if spec == COMPACT else spec
    return open_clip.get_tokenizer(
        named if named.startswith(("local-dir:", "hf-hub:")) else named.partition(":")[0]
    )


def is_blank(model: Any) -> bool:
    """Whether the text side of an open_clip model is nothing but zeros."""
    weights = [
        value
        for name, value in model.named_parameters()
        if not name.startswith("visual.") and name not in ("logit_scale", "logit_bias")
    ]
    return not any(bool(value.any()) for value in weights)


def _check_words(spec: str, texts: Sequence[str]) -> None:
    if not spec.startswith(LOCAL):
        return
    path = Path(spec.removeprefix(LOCAL)) / KNOWN_WORDS_FILE
    if not path.is_file():
        return
    try:
        known = set(json.loads(path.read_text(encoding="utf-8"))["words"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise InputError(f"{path} is no list of known words: {e}") from e
    unknown = sorted({word for text in texts for word in text.lower().split()} - known - {"a", "with"})
    if unknown:
        raise NoTextSide(f"the text side of {spec!r} was trained on titles that never say {unknown[0]!r}")


__all__ = [
    "ATTRIBUTES",
    "KNOWN_WORDS_FILE",
    "PROMPTS",
    "NoTextSide",
    "Prompts",
    "embed_texts",
    "is_blank",
    "load_prompts",
    "tokenizer_of",
]
