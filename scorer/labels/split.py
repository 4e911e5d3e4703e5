"""Training and validation pages: apart in time and apart by user, and a sample that is the same every time.

A page is for validation where it is late *and* its user is held out, for training where it is early *and* its
user is not. Pages of one kind only are left out: they would let a user's taste, or an item's photo of that
day, be known beforehand. Users are held out, and pages sampled, by a hash of their id, so the same pages come
out on every machine, and more data leaves earlier choices as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ranking.sampling import place
from scorer.labels.serps import SerpPage

PAPER_TRAINING: Final = 150_000  # SERPs, section 3.1.1
PAPER_VALIDATION: Final = 36_104


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How pages are divided and sampled. Paper: 150,000 training SERPs and 36,104 for validation."""

    from_ms: int | None = None  # epoch ms from which pages are late; None: the last `late` share of pages is
    late: float = 0.2  # share of pages, in time
    users: float = 0.2  # share of users held out; 0 splits by time alone
    n_training: int = PAPER_TRAINING
    n_validation: int = PAPER_VALIDATION
    salt: str = ""  # another sample, other users held out

    def __post_init__(self) -> None:
        for name in ("late", "users"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if min(self.n_training, self.n_validation) < 1:
            raise ValueError("n_training and n_validation must be at least 1")


@dataclass(frozen=True, slots=True)
class Divided:
    """Pages of both kinds in the order of time, and how many were in neither."""

    training: list[SerpPage]
    validation: list[SerpPage]
    boundary_ms: int | None  # epoch ms from which pages are late; None where time does not divide
    rows: list[tuple[str, int]]  # continues the funnel: what, how many pages


def divide(pages: Sequence[SerpPage], split: Split) -> Divided:
    """Divide and sample pages."""
    boundary = split.from_ms
    if boundary is None and split.late > 0 and pages:
        boundary = int(np.quantile([page.at_ms for page in pages], 1 - split.late, method="higher"))
    training, validation = [], []
    for page in pages:
        late = boundary is not None and page.at_ms >= boundary
        held_out = place(page.user, f"split:{split.salt}") < split.users
        by_user, by_time = held_out or split.users == 0, late or boundary is None
        if by_user and by_time and (split.users > 0 or boundary is not None):
            validation.append(page)
        elif not late and not held_out:
            training.append(page)
    some = _sample(training, split.n_training, split.salt)
    held = _sample(validation, split.n_validation, split.salt)
    rows = [
        ("training: early, of users not held out", len(training)),
        ("validation: late, of users held out", len(validation)),
        ("training, sampled", len(some)),
        ("validation, sampled", len(held)),
    ]
    return Divided(some, held, boundary, rows)


def _sample(pages: Sequence[SerpPage], n: int, salt: str) -> list[SerpPage]:
    """The n pages whose ids hash lowest, in the order of time."""
    chosen = sorted(pages, key=lambda page: (place(page.serp_id, f"sample:{salt}"), page.serp_id))[:n]
    return sorted(chosen, key=lambda page: (page.at_ms, page.serp_id))


__all__ = ["PAPER_TRAINING", "PAPER_VALIDATION", "Divided", "Split", "divide"]
