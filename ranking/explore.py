"""Exploration: pages served in an order that is drawn, with the probability of what was drawn.

An off-policy estimate needs chance in what was served (docs/offpolicy.md). Each policy here takes the
formula's own order and scores, draws a page of length k, and says for each place

    step_prob      P(this item at this rank | the items above it): their product is the page's probability
    position_prob  P(this item at this rank), whatever stands above it

`SwapPairs` costs least: neighbours change places (Radlinski and Joachims 2006, "FairPairs"). `ShuffleTop`
makes the first places uniformly random (Joachims et al. 2017 learn propensities from it). `PlackettLuce`
draws by softmax of the scores without replacement (Plackett 1975): better items stay likelier to be on top.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ranking.draw import take

F64 = NDArray[np.float64]
MAX_POOL = 14  # position_prob of PlackettLuce walks over all subsets of the pool


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn page: places in the formula's order, and their probabilities; each of shape (page,)."""

    order: NDArray[np.int64]  # 0-based places in the formula's order, in display order
    step_prob: F64
    position_prob: F64


class Policy(Protocol):
    """A way to draw a page from the formula's order."""

    @property
    def name(self) -> str:
        """Such as `swap-pairs 0.5`."""
        ...

    def pool(self, k: int) -> int:
        """How many of the formula's best items a page of length k is drawn from."""
        ...

    def draw(self, scores: F64, k: int, chance: Iterator[float]) -> Drawn:
        """Draw a page.

        Args:
            scores: scores of the formula's best items, best first, shape (n,), n <= pool(k).
            k: length of the page; shorter where there are fewer items.
            chance: numbers in [0, 1) (`ranking.draw.uniforms`).
        """
        ...


@dataclass(frozen=True, slots=True)
class SwapPairs:
    """Ranks 1 and 2, 3 and 4, ... of the first `depth` change places, each pair with probability `prob`."""

    prob: float = 0.5  # strictly between 0 and 1
    depth: int = 10  # places that take part; >= 2

    def __post_init__(self) -> None:
        if not 0 < self.prob < 1:
            raise ValueError(f"prob must be in (0, 1), got {self.prob}")
        if self.depth < 2:
            raise ValueError(f"depth must be >= 2, got {self.depth}")

    @property
    def name(self) -> str:
        """As logged."""
        return f"swap-pairs {self.prob:g} {self.depth}"

    def pool(self, k: int) -> int:
        """The page itself."""
        return k

    def draw(self, scores: F64, k: int, chance: Iterator[float]) -> Drawn:
        """See `Policy.draw`."""
        n = min(k, len(scores))
        pairs = min(n, self.depth) // 2
        swapped = take(chance, pairs) < self.prob
        order = np.arange(n, dtype=np.int64)
        first = 2 * np.flatnonzero(swapped)
        order[first], order[first + 1] = first + 1, first
        chosen = np.where(swapped, self.prob, 1 - self.prob)
        step, position = np.ones(n), np.ones(n)
        step[0 : 2 * pairs : 2] = chosen
        position[: 2 * pairs] = np.repeat(chosen, 2)
        return Drawn(order, step, position)


@dataclass(frozen=True, slots=True)
class ShuffleTop:
    """The first `depth` places in uniformly random order."""

    depth: int = 5  # >= 2

    def __post_init__(self) -> None:
        if self.depth < 2:
            raise ValueError(f"depth must be >= 2, got {self.depth}")

    @property
    def name(self) -> str:
        """As logged."""
        return f"shuffle-top {self.depth}"

    def pool(self, k: int) -> int:
        """The page itself."""
        return k

    def draw(self, scores: F64, k: int, chance: Iterator[float]) -> Drawn:
        """See `Policy.draw`."""
        n = min(k, len(scores))
        depth = min(n, self.depth)
        order = np.arange(n, dtype=np.int64)
        order[:depth] = np.argsort(take(chance, depth), kind="stable")
        step, position = np.ones(n), np.ones(n)
        step[:depth] = 1 / np.arange(depth, 0, -1)
        position[:depth] = 1 / max(depth, 1)
        return Drawn(order, step, position)


@dataclass(frozen=True, slots=True)
class PlackettLuce:
    """Items drawn one after the other, each with probability proportional to exp(score / temperature)."""

    temperature: float  # in the unit of the score; > 0
    candidates: int = 10  # the formula's best items that the page's first places are drawn from; 2 to 14

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")
        if not 2 <= self.candidates <= MAX_POOL:
            raise ValueError(f"candidates must be in 2..{MAX_POOL}, got {self.candidates}")

    @property
    def name(self) -> str:
        """As logged."""
        return f"plackett-luce {self.temperature:g} {self.candidates}"

    def pool(self, k: int) -> int:
        """The candidates; what a longer page shows below them stays in the formula's order."""
        return max(k, self.candidates)

    def draw(self, scores: F64, k: int, chance: Iterator[float]) -> Drawn:
        """See `Policy.draw`."""
        n = min(k, len(scores))
        pool = min(len(scores), self.candidates)
        depth = min(n, pool)
        weight = np.exp((scores[:pool] - scores[:pool].max(initial=-np.inf)) / self.temperature)
        # the Gumbel trick: keys sorted downwards are a Plackett-Luce draw
        keys = np.log(weight) - np.log(-np.log(np.clip(take(chance, pool), 1e-300, None)))
        drawn = np.argsort(-keys, kind="stable")[:depth]
        order = np.concatenate([drawn, np.arange(pool, max(n, pool))])[:n].astype(np.int64)
        step, position = np.ones(n), np.ones(n)
        taken = np.cumsum(weight[drawn]) - weight[drawn]
        step[:depth] = weight[drawn] / (weight.sum() - taken)
        position[:depth] = position_probs(weight)[drawn, np.arange(depth)]
        return Drawn(order, np.minimum(step, 1.0), position)


def parse_policy(text: str) -> Policy:
    """A policy from words such as `swap-pairs`, `swap-pairs 0.3 8`, `shuffle-top 5`, `plackett-luce 0.5 10`.

    Raises:
        ValueError: no such policy, or a number that it cannot take.
    """
    kind, *numbers = text.replace(":", " ").split() or [""]
    try:
        match kind, numbers:
            case "swap-pairs", []:
                return SwapPairs()
            case "swap-pairs", [prob, *given] if len(given) <= 1:
                return SwapPairs(float(prob), *map(int, given))
            case "shuffle-top", [*given] if len(given) <= 1:
                return ShuffleTop(*map(int, given))
            case "plackett-luce", [temperature, *given] if len(given) <= 1:
                return PlackettLuce(float(temperature), *map(int, given))
    except ValueError as e:
        raise ValueError(f"{text!r}: {e}") from None
    raise ValueError(
        f"{text!r} is no policy: say `swap-pairs PROB DEPTH`, `shuffle-top DEPTH` or "
        "`plackett-luce TEMPERATURE CANDIDATES`"
    )


def position_probs(weight: F64) -> F64:
    """P(item i at place r) of a Plackett-Luce draw, exactly, shape (n, n).

    Sums over the subsets that can stand above: P(S above) = sum over j in S of
    P(S without j above) * weight_j / (all weight - weight of S without j); n 2^n steps.
    """
    n = len(weight)
    subsets = np.arange(2**n)
    size = np.bitwise_count(subsets) if hasattr(np, "bitwise_count") else _bit_count(subsets, n)
    rest = weight.sum() - sum(np.where(subsets >> j & 1, weight[j], 0.0) for j in range(n))
    above = np.zeros(2**n)
    above[0] = 1.0
    probs = np.zeros((n, n))
    for place in range(n):
        layer = subsets[size == place]
        for item in range(n):
            free = layer[(layer >> item & 1) == 0]
            p = above[free] * weight[item] / rest[free]
            probs[item, place] = p.sum()
            above[free | 1 << item] += p
    return probs


def _bit_count(values: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    total = np.zeros(len(values), dtype=np.int64)
    for j in range(n):
        total += values >> j & 1
    return total
