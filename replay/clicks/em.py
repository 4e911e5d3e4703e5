"""EM in fewer steps: extrapolation from two steps at a time.

Near its end EM of a click model crawls along a ridge (examination against attraction). SQUAREM (Varadhan and
Roland 2008, scheme S3) goes on along the line of two steps, and falls back to plain EM where the likelihood
does not agree; the fixed point is EM's own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def squarem(
    step: Callable[[F64], F64],
    log_likelihood: Callable[[F64], float],
    start: F64,
    *,
    iterations: int,
    tolerance: float,
) -> tuple[F64, int]:
    """Iterate to the fixed point of an EM step.

    Args:
        step: one EM step on parameters that may take any finite value (log odds).
        log_likelihood: of parameters; an extrapolation that lowers it is not taken.
        start: where to begin, shape (n,).
        iterations: at most so many EM steps.
        tolerance: stop when one EM step moves no probability by more.

    Returns:
        The parameters, and how many EM steps were taken.
    """
    x, taken = start, 0
    best = log_likelihood(x)
    while taken < iterations:
        first = step(x)
        second = step(first)
        taken += 2
        if float(np.abs(expit(second) - expit(first)).max(initial=0.0)) < tolerance:
            return second, taken
        r = first - x
        v = second - first - r
        size = float(np.linalg.norm(v))
        x = second
        if size > 0:
            alpha = min(-1.0, -float(np.linalg.norm(r)) / size)
            jumped = step(np.clip(first - r - 2 * alpha * r + alpha**2 * v, -25.0, 25.0))
            taken += 1
            value = log_likelihood(jumped)
            if value >= best:
                x, best = jumped, value
                continue
        best = log_likelihood(x)
    return x, taken


def expit(x: F64) -> F64:
    """Probability of log odds."""
    return np.asarray(1 / (1 + np.exp(-x)))


def logit(p: F64, least: float = 1e-9) -> F64:
    """Log odds of a probability, kept off 0 and 1."""
    p = np.clip(p, least, 1 - least)
    return np.asarray(np.log(p) - np.log1p(-p))
