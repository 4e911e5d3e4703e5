"""Chance that any service can repeat: numbers that depend on a salt and a search id alone.

    digest = SHA-256 of "SALT:SEARCH_ID:BLOCK", BLOCK = 0, 1, 2, ... in decimal
    each digest gives four numbers: its bytes in groups of eight, big-endian, the upper 53 bits / 2^53

So a page that was drawn can be drawn again from the log, in any language; test vectors are in
tests/integration/simulated/test_draw.py. The names below are of the extra fields (`x.NAME`) that the items of
such a page carry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

FORMULA_RANK: Final = "formula_rank"  # place in the formula's own order, 1-based
STEP_PROB: Final = "step_prob"  # P(this item at this rank | the items above it)
POSITION_PROB: Final = "position_prob"  # P(this item at this rank)
POLICY: Final = "policy"  # the exploration policy's name
TEAM: Final = "team"  # the ranking that an interleaved item was picked for
INTERLEAVED: Final = "interleaved"  # the method
RANK_OF: Final = "rank."  # followed by a profile's name: place on that profile's page


def uniforms(salt: str, search_id: str) -> Iterator[float]:
    """Endless numbers in [0, 1), the same for the same salt and search."""
    for block in count():
        digest = hashlib.sha256(f"{salt}:{search_id}:{block}".encode()).digest()
        for i in range(0, 32, 8):
            yield (int.from_bytes(digest[i : i + 8], "big") >> 11) / 2**53


def take(chance: Iterator[float], n: int) -> NDArray[np.float64]:
    """The next n numbers, shape (n,)."""
    return np.fromiter(islice(chance, n), dtype=np.float64, count=n)
