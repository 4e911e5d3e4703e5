"""The `ai_generated` of a photo: from its file, from a classifier, from the item's message.

The most suspicious of them counts: whoever says that a photo was captured does not outweigh a file that says
it was generated. Where nobody says anything, nothing is known, and the field is absent.
"""

from __future__ import annotations

import importlib
import math
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ranking.errors import ConfigError
from ranking.item_message import AiGenerated
from scorer.provenance.containers import metadata_blocks
from scorer.provenance.evidence import evidence_of


class Classifier(Protocol):
    """Looks at pixels, for photos whose metadata was stripped. Called from several threads."""

    name: str  # goes into the source: classifier:NAME

    def probability(self, data: bytes, pixels: NDArray[np.uint8], /) -> float | None:
        """P(generated), in [0, 1], of the encoded photo and its RGB pixels; None where it cannot say."""


def ai_generated(
    data: bytes, pixels: NDArray[np.uint8] | None = None, classifier: Classifier | None = None
) -> AiGenerated | None:
    """What is known of how a photo was made; None where nothing is.

    Args:
        data: the encoded photo.
        pixels: decoded, RGB, shape (height, width, 3); what the classifier sees.
        classifier: asked where the file itself does not say that a generator made it.
    """
    said = max(evidence_of(metadata_blocks(data)), key=lambda one: one.probability, default=None)
    found = None if said is None else AiGenerated(probability=said.probability, source=said.source)
    if classifier is None or pixels is None or (found is not None and found.probability > 0.5):
        return found
    probability = classifier.probability(data, pixels)
    if probability is None or not math.isfinite(probability) or not 0 <= probability <= 1:
        return found
    return more_suspicious(
        found, AiGenerated(probability=probability, source=f"classifier:{classifier.name}")
    )


def more_suspicious(one: AiGenerated | None, other: AiGenerated | None) -> AiGenerated | None:
    """Whichever is more probable; the first of equals."""
    if one is None or other is None:
        return one or other
    return other if other.probability > one.probability else one


def load_classifier(name: str) -> Classifier:
    """A classifier by `module:attribute`: an object, or a function without arguments that makes one.

    Raises:
        ConfigError: there is none of that name, or it is no classifier.
    """
    module_name, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as e:
        raise ConfigError(name, [f"no classifier there: {e}"], hint="give module:attribute") from e
    if callable(found) and (isinstance(found, type) or not hasattr(found, "probability")):
        try:
            found = found()
        except TypeError as e:
            raise ConfigError(name, [f"cannot be made without arguments: {e}"]) from e
    if not (hasattr(found, "probability") and isinstance(getattr(found, "name", None), str)):
        problem = "a classifier has a name and a method probability(data, pixels)"
        raise ConfigError(name, [problem])
    return cast(Classifier, found)


__all__ = ["Classifier", "ai_generated", "load_classifier", "more_suspicious"]
