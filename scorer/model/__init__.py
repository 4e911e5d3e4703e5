"""Photo -> score in [0, 1]: `load_scorer()` gives the shipped compact model, ready to score.

    scorer = load_scorer()
    image = open_photo("photo.jpg")
    score = scorer.score_images([image])[0]

Importing this package loads no torch; `load_scorer` and `ImageScorer` do when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scorer.model.photo import MAX_PIXELS, PhotoError, open_photo, preprocess, read_photo

if TYPE_CHECKING:
    from scorer.model.scorer import ImageScorer, load_scorer


def __getattr__(name: str) -> Any:
    if name in ("ImageScorer", "load_scorer"):
        from scorer.model import scorer

        return getattr(scorer, name)
    raise AttributeError(name)


__all__ = [
    "MAX_PIXELS",
    "ImageScorer",
    "PhotoError",
    "load_scorer",
    "open_photo",
    "preprocess",
    "read_photo",
]
