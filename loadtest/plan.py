"""What each round of a load test sends, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtest.results import Side
from loadtest.sender import Mode
from loadtest.shapes import Shape, logged_arrivals, random_arrivals, shape, shaped_arrivals

SEED = 20261128  # of arrivals that no log gives: every round and both sides get the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How load is sent; the same for all rounds and both sides."""

    mode: Mode = "open"
    shape: str = "logged"
    speed_up: float = 1.0  # of the logged arrivals
    rate: float = 20.0  # requests/s of the other shapes
    seconds: float = 30.0  # of the other shapes, and of a closed round
    users: int = 4
    think: float = 0.0  # seconds
    connections: int = 256
    rounds: int = 6  # of each side
    processes: int = 1  # that send, here
    workers: Sequence[str] = ()  # commands that start one more each, elsewhere

    def logged(self, at_ms: Sequence[int]) -> tuple[tuple[float, ...], Shape | None]:
        """Intended starts in seconds, with the gaps of a log, and the shape behind them."""
        if self.shape == "logged":
            return tuple(logged_arrivals(at_ms, self.speed_up)), None
        planned = shape(self.shape, rate=self.rate, seconds=self.seconds)
        return tuple(shaped_arrivals(at_ms, planned)), planned

    def random(self) -> tuple[tuple[float, ...], Shape]:
        """Intended starts in seconds of requests that no log has, and the shape behind them."""
        planned = shape(self.shape, rate=self.rate, seconds=self.seconds)
        return tuple(random_arrivals(planned, np.random.default_rng(SEED))), planned

    def said(self, n: int) -> dict[str, Any]:
        """For the reader; `n` requests in a round of an open load."""
        said: dict[str, Any] = {"rounds": self.rounds}
        if self.mode == "closed":
            said |= {"users": self.users, "think_s": self.think, "seconds": self.seconds}
        else:
            said |= {"shape": self.shape, "per_round": n, "connections": self.connections}
            said |= (
                {"speed_up": self.speed_up}
                if self.shape == "logged"
                else {"rate": self.rate, "seconds": self.seconds}
            )
        return said | {"processes": self.processes + len(self.workers)}


def order(rounds: int, sides: Sequence[Side]) -> list[tuple[int, Side]]:
    """Number of the pair and side of each round: A B, B A, A B, so that drift falls on both."""
    return [(i, side) for i in range(rounds) for side in (sides if i % 2 == 0 else sides[::-1])]
