"""Asks Triton for image scores, with a deadline on every request and patience where it is wanted.

What is tried again, and how long, is `scorer.serving.patience`'s; several servers behind one client are
`scorer.serving.addresses`'; `scorer.serving.aio` is the same for asyncio. Every answer carries the version
of the weights that made it, so a score is never stored under the version of its neighbour.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from ranking.settings import Settings, get_settings
from scorer.serving import each, wire
from scorer.serving.addresses import CHANNEL_ARGS, grpc_target
from scorer.serving.breaker import CircuitBreaker
from scorer.serving.errors import ENGINE, BadScoresError, ScoringUnavailable
from scorer.serving.names import MODEL_NAME
from scorer.serving.patience import Attempts, BreakerOpen, Budget, BudgetSpent, OnWait, Patience
from scorer.serving.wire import Batch, Pixels, Scored, ServedModel

if TYPE_CHECKING:
    from tritonclient.grpc import InferenceServerClient

T = TypeVar("T")
ONLINE: Final = 1
BACKFILL: Final = 2
Priority = Literal[1, 2]
CONCURRENCY: Final = 8


class ScoreClient:
    """A client of the image score model. Threads may share it; each has its own channel.

    Args:
        url: host:port of gRPC, or several with commas between; the settings' by default.
        model_name: name of the model in the repository.
        deadline_s: limit of one attempt, waiting in the server's queue included.
        wait_s: how long to try again while the server is gone; None waits for ever, 0 does not wait.
            Unless it is None, a call fails at once while the breaker is open.
        budget_s: limit of one call with all its parts, attempts and pauses; None leaves it to the others.
        priority: 1 (online) is taken from the queue before 2 (backfill).
        concurrency: requests under way at most, over all threads.
        breaker: of this client alone by default; clients of the same servers may share one.
        stop: once set, waiting ends at the next failed attempt.
        on_wait: told why, when it begins to wait.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        model_name: str = MODEL_NAME,
        deadline_s: float = 30.0,
        wait_s: float | None = 10.0,
        budget_s: float | None = None,
        priority: Priority = ONLINE,
        concurrency: int = CONCURRENCY,
        breaker: CircuitBreaker | None = None,
        stop: threading.Event | None = None,
        on_wait: OnWait | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.url = url or (settings or get_settings()).endpoint(ENGINE)
        self.model_name = model_name
        self.patience = Patience(deadline_s=deadline_s, wait_s=wait_s, budget_s=budget_s)
        self.breaker = breaker or CircuitBreaker()
        self._priority = priority
        self._turns = threading.BoundedSemaphore(concurrency)
        self._stop = stop or threading.Event()
        self._on_wait = on_wait
        self._local = threading.local()
        self._model: ServedModel | None = None
        self._number: str | None = None  # Triton's version of a model whose answers do not name the weights

    def _channel(self) -> InferenceServerClient:
        channel: InferenceServerClient | None = getattr(self._local, "channel", None)
        if channel is None:
            from tritonclient import grpc

            channel = grpc.InferenceServerClient(grpc_target(self.url), channel_args=CHANNEL_ARGS)
            self._local.channel = channel
        return channel

    def _hang_up(self) -> None:
        channel = getattr(self._local, "channel", None)
        if channel is not None:
            self._local.channel = None
            channel.close()

    def score(self, images: Pixels) -> Scored:
        """Score a batch; larger ones than the model takes are sent in parts.

        Args:
            images: RGB pixels as the model's preprocessing leaves them, uint8 [n, height, width, 3].

        Raises:
            BadScoresError: the model answered NaN, or a number outside [0, 1].
            ScoringUnavailable: nobody scores, and this client does not wait, or not any longer.
            ServerError: the server refused.
            InputError: the batch has another shape or type than the model takes.
        """
        budget = Budget(self.patience.budget_s)
        self._served(budget).check_pixels(images)
        return wire.all_good(self._in_parts(images, budget))

    def score_each(self, photos: Sequence[each.AnyPhoto]) -> Scored:
        """Score photos, each with an outcome of its own.

        Args:
            photos: encoded (bytes), decoded here unless the model does; or pixels as in `score`.

        Returns:
            Scores, shape (n,), NaN for those that `errors` names with a reason: a photo that cannot be
            decoded, or an answer that is no score.

        Raises:
            ScoringUnavailable, ServerError, InputError: as `score`, for the batch as a whole.
        """
        budget = Budget(self.patience.budget_s)
        prepared = each.prepare(photos, self._served(budget))
        if not prepared.positions:
            return each.nothing_sent(prepared, self._served(budget))
        return each.outcome(prepared, self._in_parts(prepared.batch, budget))

    def _in_parts(self, batch: Batch, budget: Budget) -> Scored:
        for _ in range(3):  # a model that is reloaded between two parts answers under two versions
            parts = [self._infer(part, budget) for part in self._served(budget).parts(batch)]
            scored = wire.joined(parts)
            if scored is not None:
                break
        else:
            raise wire.changed_version()
        if scored.model_version != self.model_version:
            self._model = None  # reloaded with other weights, maybe with other options
        return scored

    def _infer(self, part: Batch, budget: Budget) -> Scored:
        model = self._served(budget)

        def ask(deadline_s: float) -> Scored:
            asked = wire.request(model, part, priority=self._priority, deadline_s=deadline_s)
            result = self._channel().infer(self.model_name, **asked)
            scored = wire.answer(model, result, len(part))
            if not model.answers_with_version:
                number = str(result.get_response().model_version)
                return replace(scored, model_version=self._configured_version(number))
            return scored

        with self._turn(budget):
            return self._patiently(ask, budget)

    @contextmanager
    def _turn(self, budget: Budget) -> Iterator[None]:
        """One of the requests that may be under way."""
        if not self._turns.acquire(timeout=budget.left_s()):
            raise ScoringUnavailable(
                f"{budget.seconds:g} s went by waiting for this client's own earlier requests",
                hint="send less at once, or raise its concurrency",
                busy=True,
            )
        try:
            yield
        finally:
            self._turns.release()

    def _patiently(self, call: Callable[[float], T], budget: Budget, patience: Patience | None = None) -> T:
        """Run `call` with the seconds it may take, again and again as long as this client waits."""
        from tritonclient.utils import InferenceServerException

        attempts = Attempts(
            patience or self.patience,
            budget,
            self.breaker,
            url=self.url,
            model_name=self.model_name,
            stop=self._stop,
            on_wait=self._on_wait,
            on_late=self._hang_up,
        )
        try:
            for attempt in attempts.context():
                with attempt:
                    result = call(attempts.begin())
                    attempts.end()
                    return result
        except (InferenceServerException, BreakerOpen, BudgetSpent) as e:
            raise attempts.explain(e) from e
        raise AssertionError("unreachable")

    def check(self) -> None:
        """See, without waiting, that the server has the model.

        Raises:
            ServerError: the server is not there, or it has no such model.
        """
        self._served(Budget(self.patience.budget_s), replace(self.patience, wait_s=0))

    def probe(self) -> str:
        """Score one black photo; the version of the weights that answered."""
        model = self._served(Budget(self.patience.budget_s))
        scored = self.score_each([each.black_photo(model)])
        if scored.errors:
            raise BadScoresError(scored.scores, wire.bad_scores(scored), scored.model_version)
        return scored.model_version

    def _served(self, budget: Budget, patience: Patience | None = None) -> ServedModel:
        model = self._model
        if model is None:
            answer = self._patiently(
                lambda deadline_s: self._channel().get_model_config(
                    self.model_name, as_json=True, client_timeout=deadline_s
                ),
                budget,
                patience,
            )
            self._model = model = ServedModel(dict(answer["config"]))
        return model

    def config(self) -> dict[str, Any]:
        """The model's configuration as the server has it, read once."""
        return dict(self._served(Budget(self.patience.budget_s)).config)

    def _configured_version(self, number: str) -> str:
        """The weights that the configuration names, read again once another number of the model answers."""
        if number != self._number:
            if self._number is not None:
                self._model = None
            self._number = number
        return self.model_version

    @property
    def image_size(self) -> int:
        """Height and width of the images that the model takes, in pixels."""
        return self._served(Budget(self.patience.budget_s)).image_size

    @property
    def max_batch_size(self) -> int:
        """Images in one request at most."""
        return self._served(Budget(self.patience.budget_s)).max_batch_size

    def parameter(self, name: str) -> str | None:
        """A parameter that the export wrote into the model's configuration."""
        return self._served(Budget(self.patience.budget_s)).parameter(name)

    @property
    def model_version(self) -> str:
        """Version of the weights, as the configuration named it when this client first asked."""
        return self._served(Budget(self.patience.budget_s)).model_version

    def close(self) -> None:
        """Close the channel of the calling thread; those of other threads close with them."""
        self._hang_up()


__all__ = [
    "BACKFILL",
    "CONCURRENCY",
    "ONLINE",
    "BadScoresError",
    "Priority",
    "ScoreClient",
    "Scored",
]
