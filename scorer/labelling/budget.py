"""What a run has cost, and whether it may go on."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from scorer.labelling.journal import Answer

MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Money per million tokens, in whatever currency the budget is in; None where unknown."""

    per_million_in: float | None = None
    per_million_out: float | None = None

    def __post_init__(self) -> None:
        for name in ("per_million_in", "per_million_out"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be a price >= 0, got {value}")

    @property
    def known(self) -> bool:
        """Whether tokens can be turned into money."""
        return self.per_million_in is not None and self.per_million_out is not None

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Money for some tokens; 0 where the prices are unknown."""
        if self.per_million_in is None or self.per_million_out is None:
            return 0.0
        return (tokens_in * self.per_million_in + tokens_out * self.per_million_out) / MILLION


class Budget:
    """Money and tokens of a run, those of earlier runs in its folder included.

    A request may go out when what is spent, what is in flight and the request itself fit, each unanswered one
    at the price of the dearest of its kind so far. The first of a kind goes alone, since nothing is known
    before it. So a run spends more than its budget only by what one request is dearer than all before it.
    """

    def __init__(self, prices: Prices, limit: float | None) -> None:
        if limit is not None and not prices.known:
            raise ValueError("a budget needs the prices of a million tokens, in and out")
        if limit is not None and not limit >= 0:
            raise ValueError(f"the budget must be >= 0, got {limit}")
        self.prices, self.limit = prices, limit
        self.tokens_in = self.tokens_out = self.requests = 0
        self.exhausted = False
        self._dearest: dict[bool, float] = {}  # by whether photos are sent
        self._in_flight: list[float] = []
        self._settled = threading.Condition()

    @property
    def spent(self) -> float:
        """Money spent."""
        return self.prices.cost(self.tokens_in, self.tokens_out)

    def start_from(self, answers: Iterable[Answer]) -> None:
        """Count what was paid in earlier runs."""
        for answer in answers:
            self._add(answer)

    def reserve(self, kind: str) -> float | None:
        """Take the money for one request, after those in flight if need be; None where there is no more.

        Returns:
            What to give to `settle`.
        """
        with self._settled:
            while True:
                known = self._dearest.get(_has_photos(kind))
                price = known or 0.0
                if self.limit is None:
                    break
                if self.limit == 0 or self.spent + price > self.limit:
                    self.exhausted = True
                    return None
                fits = self.spent + sum(self._in_flight) + price <= self.limit
                if not self._in_flight or (known is not None and fits and min(self._in_flight) > 0):
                    break
                self._settled.wait()
            self._in_flight.append(price)
            return price

    def settle(self, reserved: float, answer: Answer | None) -> None:
        """Say what a reserved request cost; None where it was not answered."""
        with self._settled:
            self._in_flight.remove(reserved)
            if answer is not None:
                self._add(answer)
            self._settled.notify_all()

    def _add(self, answer: Answer) -> None:
        self.requests += 1
        self.tokens_in += answer.tokens_in
        self.tokens_out += answer.tokens_out
        cost = self.prices.cost(answer.tokens_in, answer.tokens_out)
        with_photos = _has_photos(answer.kind)
        self._dearest[with_photos] = max(self._dearest.get(with_photos, 0.0), cost)


def _has_photos(kind: str) -> bool:
    return kind in ("label", "repair")


__all__ = ["Budget", "Prices"]
