"""What a photo is compared by, to say whether it is like others: what the tower's last projection reads.

An embedding that was trained to say how good a photo is has forgotten what is on it: on it, noise and
drawings lie among photos. The compact tower's projection reads the standardized, clamped statistics of its
ImageNet stages, which have not, so those are taken where a tower has them; an embedding otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scorer.model.scorer import ImageScorer


def score_and_describe(
    scorer: ImageScorer, pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Scores and features of photos, in one pass.

    Args:
        scorer: the model.
        pixels: uint8 RGB, shape (n, size, size, 3), from `preprocess`.

    Returns:
        Scores in [0, 1], shape (n,), and features, shape (n, n_features), scaled so that the distance of two
        photos is about 1 whatever the tower: of the compact tower root mean squares of standard
        deviations, of another L2-normalised embeddings.
    """
    import torch

    read: list[Any] = []
    last = _last_projection(scorer.visual)
    hook = last.register_forward_pre_hook(lambda _m, args: read.append(args[0])) if last is not None else None
    try:
        with torch.inference_mode():
            scores, embeddings = scorer.score_and_embed(torch.from_numpy(pixels))
    finally:
        if hook is not None:
            hook.remove()
    # of a model that looks at the mirror image too, the first reading is of the photo as it is
    found = read[0].float() / read[0].shape[1] ** 0.5 if read else embeddings
    return scores.double().cpu().numpy(), found.cpu().numpy()


def _last_projection(visual: Any) -> Any:
    """The layer behind a tower's `levels`; None of a tower that has none."""
    from torch import nn

    trunk = getattr(visual, "trunk", None)
    last = getattr(trunk, "classifier", None)
    return last if hasattr(trunk, "levels") and isinstance(last, nn.Linear) else None


__all__ = ["score_and_describe"]
