"""How a request is tried again: what for, how long, and what is said in the end. Both clients share it.

    deadline_s   one attempt, the server's queue included
    wait_s       how long it is tried again while nobody scores; None for ever, 0 not at all
    budget_s     the whole call: all parts, attempts and pauses; no attempt may run past it

`tritonclient` retries nothing by itself. What may pass (a server that is gone, loading, full or late) is
tried again with jittered backoff; a model that fails only a little; anything else is raised at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import stamina

from ranking.errors import ServerError
from scorer.serving.breaker import CircuitBreaker
from scorer.serving.errors import ENGINE, ScoringUnavailable

Kind = Literal["gone", "dead model", "late", "full", "no model", "broken", "refused"]
OnWait = Callable[[str], None]

# NOT_FOUND may pass because a server that restarts is up before its models are.
_KINDS: Final[dict[str, Kind]] = {
    "UNAVAILABLE": "gone",
    "DEADLINE_EXCEEDED": "late",
    "RESOURCE_EXHAUSTED": "full",
    "NOT_FOUND": "no model",
    "INTERNAL": "broken",
    "UNKNOWN": "broken",
    "CANCELLED": "broken",
}
_FULL: Final = ("Exceeds maximum queue size", "Request timeout expired")  # Triton's words, as UNAVAILABLE
# Triton does not start a model process that died again: who runs the server does (docs/serving.md).
_DEAD: Final = "is not healthy"  # the Python backend's words, as INTERNAL
_BROKEN_ATTEMPTS: Final = 3
_LEAST_S: Final = 0.001  # an attempt with less time than this is not begun


class BreakerOpen(Exception):
    """An attempt was not begun: too many before it failed."""

    def __init__(self, pause_s: float) -> None:
        super().__init__(f"{pause_s:.1f} s")
        self.pause_s = pause_s


class BudgetSpent(Exception):
    """An attempt was not begun: the call's time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What one client is willing to wait, in seconds."""

    deadline_s: float = 30.0
    wait_s: float | None = 10.0
    budget_s: float | None = None

    def __post_init__(self) -> None:
        if self.deadline_s <= 0:
            raise ValueError(f"deadline_s must be > 0, got {self.deadline_s}")
        for name in ("wait_s", "budget_s"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must be >= 0 or None, got {value}")


class Budget:
    """What is left of one call's time."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._until = None if seconds is None else clock() + seconds

    def left_s(self) -> float | None:
        """Seconds, at least 0; None where there is no limit."""
        return None if self._until is None else max(0.0, self._until - self._clock())

    def attempt_s(self, deadline_s: float) -> float:
        """How long an attempt may take.

        Raises:
            BudgetSpent: there is no time for one.
        """
        left = self.left_s()
        if left is not None and left < _LEAST_S:
            raise BudgetSpent
        return deadline_s if left is None else min(deadline_s, left)


class Attempts:
    """The attempts of one request: `context` makes them, `begin` and `end` report each.

    for attempt in attempts.context():
        with attempt:
            deadline_s = attempts.begin()
            ...
            attempts.end()
    """

    def __init__(
        self,
        patience: Patience,
        budget: Budget,
        breaker: CircuitBreaker,
        *,
        url: str,
        model_name: str,
        stop: threading.Event | None = None,
        on_wait: OnWait | None = None,
        on_late: Callable[[], None] | None = None,
    ) -> None:
        self._patience = patience
        self._budget = budget
        self._breaker = breaker
        self._url, self._model_name = url, model_name
        self._stop = stop
        self._on_wait, self._on_late = on_wait, on_late
        self._begun = self._broken = 0
        self._told = False
        self._last: Exception | None = None  # what the server said last

    def context(self) -> stamina._core._RetryContextIterator:
        """Attempts with pauses between them, for `for` and `async for`."""
        wait_s, left_s = self._patience.wait_s, self._budget.left_s()
        limits = [limit for limit in (wait_s or None, left_s) if limit is not None]
        return stamina.retry_context(
            on=self._again,
            attempts=1 if wait_s == 0 else None,
            timeout=min(limits, default=None) or None,
            wait_initial=0.2,
            wait_max=5.0,
            wait_jitter=0.5,
        )

    def begin(self) -> float:
        """How long the next attempt may take, in seconds.

        Raises:
            BreakerOpen: nobody should ask now.
            BudgetSpent: the call's time is over.
        """
        deadline_s = self._budget.attempt_s(self._patience.deadline_s)
        pause_s = self._breaker.admit()
        if pause_s > 0:
            raise BreakerOpen(pause_s)
        self._begun += 1
        return deadline_s

    def end(self) -> None:
        """The attempt succeeded."""
        self._breaker.succeeded()

    def _again(self, error: Exception) -> bool | float:
        stopped = self._stop is not None and self._stop.is_set()
        if isinstance(error, BreakerOpen):
            # A caller that has been waiting goes on; one that comes new and does not wait for ever is told.
            goes_on = not stopped and self._affords(error.pause_s)
            if goes_on:
                self._tell(error)
            return goes_on and error.pause_s
        kind = kind_of(error)
        if kind is None:
            return False
        self._last = error
        if kind == "full":
            self._breaker.succeeded()  # it answered
        elif kind != "refused":
            self._breaker.failed(str(self.explain(error)))
        if kind == "broken":
            self._broken += 1
        if stopped or kind == "refused" or self._broken >= _BROKEN_ATTEMPTS:
            return False
        if kind == "late" and self._on_late:
            self._on_late()  # what is late may be a connection to nobody
        self._tell(error)
        return self._affords(0.0)

    def _tell(self, error: Exception) -> None:
        if self._on_wait and not self._told:
            self._told = True
            self._on_wait(str(self.explain(error)))

    def _affords(self, pause_s: float) -> bool:
        left = self._budget.left_s()
        if left is not None and left <= pause_s:
            return False
        return self._patience.wait_s is None or self._begun > 0

    def explain(self, error: Exception) -> ServerError:
        """The error in words, with what to type."""
        if isinstance(error, BreakerOpen | BudgetSpent):
            return self._not_begun(error)
        status, message = status_of(error), str(error.message())  # type: ignore[attr-defined]
        first = (message.splitlines() or [""])[0]
        match kind_of(error):
            case "gone":
                what = f"nothing answers at {self._url}, or it is not ready: {first}"
                return ScoringUnavailable(what, hint="run `rank-cli stack up triton`, or check TRITON_URL")
            case "dead model":
                what = f"the process of model {self._model_name!r} at {self._url} died: restart the server"
                return ScoringUnavailable(
                    what, hint="run `rank-cli stack up triton`; elsewhere, see docs/serving.md"
                )
            case "late":
                limit = self._patience.deadline_s
                if self._budget.seconds is not None:
                    limit = min(limit, self._budget.seconds)
                what = f"no answer from {self._url} within {limit:g} s"
                return ScoringUnavailable(what, hint="look at `rank-cli stack status`, or send less at once")
            case "full":
                what = f"the queue at {self._url} is full: {first}"
                return ScoringUnavailable(what, hint="send less at once, or add instances", busy=True)
            case "no model":
                what = f"{self._url} has no model {self._model_name!r}"
                return ScoringUnavailable(what, hint="run `rank-cli scorer export`")
            case "broken":
                what = f"the model at {self._url} fails: {message} ({status})"
                return ScoringUnavailable(what, hint="see `rank-cli stack logs triton`")
            case _:
                return ServerError(ENGINE, f"{message} ({status})")

    def _not_begun(self, error: BreakerOpen | BudgetSpent) -> ScoringUnavailable:
        if isinstance(error, BreakerOpen):
            reason = self._breaker.reason.removeprefix(f"{ENGINE}: ")
            what = f"asked again in {error.pause_s:.1f} s at the earliest, after several failures: {reason}"
            return ScoringUnavailable(what, hint="see `rank-cli stack status`", retry_after_s=error.pause_s)
        what = f"no answer from {self._url} within the {self._budget.seconds:g} s that the call may take"
        if self._last is not None:
            what += f"; last: {str(self.explain(self._last)).removeprefix(f'{ENGINE}: ')}"
        return ScoringUnavailable(what, hint="give the call more time, or look at `rank-cli stack status`")


def status_of(error: Exception) -> str:
    """gRPC's status of a client error, such as UNAVAILABLE."""
    return str(error.status()).removeprefix("StatusCode.")  # type: ignore[attr-defined]


def kind_of(error: Exception) -> Kind | None:
    """What kind of failure it is; None where it is none of the server's."""
    from tritonclient.utils import InferenceServerException

    if not isinstance(error, InferenceServerException):
        return None
    kind, message = _KINDS.get(status_of(error), "refused"), str(error.message())
    if kind == "gone" and any(words in message for words in _FULL):
        return "full"
    return "dead model" if kind == "broken" and _DEAD in message else kind


__all__ = ["Attempts", "BreakerOpen", "Budget", "BudgetSpent", "Kind", "OnWait", "Patience", "kind_of"]
