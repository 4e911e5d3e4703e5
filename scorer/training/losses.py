"""Losses on pairs.

For a page with truth y and logits s, over the pairs with y_i > y_j:

    p = sigmoid(s_i - s_j)        L = mean of -(1 - p)^gamma * log(p)

gamma = 0 is the cross-entropy of the reward models (Bradley and Terry); gamma = 2 is the focal loss of the
Image Score paper, eq. 1, which spends less on pairs that are already in order.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def focal(margin: Tensor, gamma: float) -> Tensor:
    """Focal loss of each pair.

    Args:
        margin: logit of the better minus logit of the worse, any shape.
        gamma: at least 0; 0 gives the cross-entropy.
    """
    loss = functional.softplus(-margin)
    if gamma:
        loss = loss * torch.sigmoid(-margin) ** gamma
    return loss


def pairwise_loss(logits: Tensor, truth: Tensor, *, gamma: float = 2.0, by_gap: bool = False) -> Tensor:
    """Mean focal loss over the ordered pairs of all pages.

    Args:
        logits: shape (n_pages, n), raw scores.
        truth: shape (n_pages, n), the judges' scores; ties make no pair.
        gamma: of the focal loss.
        by_gap: weigh a pair by its difference in truth, up to 3 points: differences of one point are near
            the judges' own noise.

    Returns:
        A scalar; 0 where there is no pair.
    """
    gap = truth[:, :, None] - truth[:, None, :]
    weight = gap.clamp(0.0, 3.0) if by_gap else (gap > 0).to(logits.dtype)
    margin = logits[:, :, None] - logits[:, None, :]
    return (focal(margin, gamma) * weight).sum() / weight.sum().clamp_min(1e-9)


__all__ = ["focal", "pairwise_loss"]
