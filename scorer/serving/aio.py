"""`AsyncScoreClient`: what `ScoreClient` does, for asyncio.

    async with AsyncScoreClient() as client:
        scored = await client.score_each(photos)

Parts of a large batch, and calls of many tasks, are under way at the same time, `concurrency` of them at
most. Cancelling a call cancels its requests, and the server drops what it has not begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ranking.settings import Settings, get_settings
from scorer.serving import each, wire
from scorer.serving.addresses import CHANNEL_ARGS, grpc_target
from scorer.serving.breaker import CircuitBreaker
from scorer.serving.client import CONCURRENCY, ONLINE, Priority
from scorer.serving.errors import ENGINE, ScoringUnavailable
from scorer.serving.names import MODEL_NAME
from scorer.serving.patience import Attempts, BreakerOpen, Budget, BudgetSpent, OnWait, Patience
from scorer.serving.wire import Batch, Pixels, Scored, ServedModel

if TYPE_CHECKING:
    from tritonclient.grpc.aio import InferenceServerClient

T = TypeVar("T")


class AsyncScoreClient:
    """A client of the image score model for one event loop; its arguments are `ScoreClient`'s.

    There is no `stop`: cancel the task instead.
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
        on_wait: OnWait | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.url = url or (settings or get_settings()).endpoint(ENGINE)
        self.model_name = model_name
        self.patience = Patience(deadline_s=deadline_s, wait_s=wait_s, budget_s=budget_s)
        self.breaker = breaker or CircuitBreaker()
        self._priority = priority
        self._turns = asyncio.Semaphore(concurrency)
        self._on_wait = on_wait
        self._open: InferenceServerClient | None = None
        self._left: list[InferenceServerClient] = []  # hung up on, to be closed
        self._closing: set[asyncio.Task[None]] = set()
        self._model: ServedModel | None = None
        self._number: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel, and those that were hung up on."""
        for task in self._closing:
            task.cancel()
        channels = [*self._left, *([self._open] if self._open else [])]
        self._open, self._left = None, []
        for channel in channels:
            await channel.close()

    async def _channel(self) -> InferenceServerClient:
        if self._open is None:
            from tritonclient.grpc import aio

            # Names are looked up in a thread: the loop goes on.
            target = await asyncio.to_thread(grpc_target, self.url)
            if self._open is None:
                self._open = aio.InferenceServerClient(target, channel_args=CHANNEL_ARGS)
        return self._open

    def _hang_up(self) -> None:
        """Have the next attempt connect anew. Requests of other tasks end on the channel they are on."""
        channel, self._open = self._open, None
        if channel is not None:
            self._left.append(channel)
            task = asyncio.get_running_loop().create_task(self._close_later(channel))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close_later(self, channel: InferenceServerClient) -> None:
        await asyncio.sleep(self.patience.deadline_s + 1)  # by then no request is on it
        self._left.remove(channel)
        await channel.close()

    async def score(self, images: Pixels) -> Scored:
        """As `ScoreClient.score`."""
        budget = Budget(self.patience.budget_s)
        (await self._served(budget)).check_pixels(images)
        return wire.all_good(await self._in_parts(images, budget))

    async def score_each(self, photos: Sequence[each.AnyPhoto]) -> Scored:
        """As `ScoreClient.score_each`; photos are decoded in threads."""
        budget = Budget(self.patience.budget_s)
        model = await self._served(budget)
        prepared = await asyncio.to_thread(each.prepare, photos, model)
        if not prepared.positions:
            return each.nothing_sent(prepared, model)
        return each.outcome(prepared, await self._in_parts(prepared.batch, budget))

    async def _in_parts(self, batch: Batch, budget: Budget) -> Scored:
        for _ in range(3):  # a model that is reloaded between two parts answers under two versions
            parts = (await self._served(budget)).parts(batch)
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(self._caught(self._infer(part, budget))) for part in parts]
            outcomes = [task.result() for task in asked]
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
            scored = wire.joined([outcome for outcome in outcomes if isinstance(outcome, Scored)])
            if scored is not None:
                break
        else:
            raise wire.changed_version()
        if scored.model_version != (await self._served(budget)).model_version:
            self._model = None  # reloaded with other weights, maybe with other options
        return scored

    @staticmethod
    async def _caught(asked: Awaitable[Scored]) -> Scored | Exception:
        """The outcome, an error included: one of ours, rather than a group of them."""
        try:
            return await asked
        except Exception as e:
            return e

    async def _infer(self, part: Batch, budget: Budget) -> Scored:
        model = await self._served(budget)

        async def ask(deadline_s: float) -> Scored:
            asked = wire.request(model, part, priority=self._priority, deadline_s=deadline_s)
            result = await (await self._channel()).infer(self.model_name, **asked)
            scored = wire.answer(model, result, len(part))
            if not model.answers_with_version:
                number = str(result.get_response().model_version)
                return replace(scored, model_version=await self._configured_version(number, budget))
            return scored

        async with self._turn(budget):
            return await self._patiently(ask, budget)

    @asynccontextmanager
    async def _turn(self, budget: Budget) -> AsyncIterator[None]:
        """One of the requests that may be under way."""
        try:
            await asyncio.wait_for(self._turns.acquire(), budget.left_s())
        except TimeoutError:
            raise ScoringUnavailable(
                f"{budget.seconds:g} s went by waiting for this client's own earlier requests",
                hint="send less at once, or raise its concurrency",
                busy=True,
            ) from None
        try:
            yield
        finally:
            self._turns.release()

    async def _patiently(
        self, call: Callable[[float], Awaitable[T]], budget: Budget, patience: Patience | None = None
    ) -> T:
        from tritonclient.utils import InferenceServerException

        attempts = Attempts(
            patience or self.patience,
            budget,
            self.breaker,
            url=self.url,
            model_name=self.model_name,
            on_wait=self._on_wait,
            on_late=self._hang_up,
        )
        try:
            async for attempt in attempts.context():
                with attempt:
                    result = await call(attempts.begin())
                    attempts.end()
                    return result
        except (InferenceServerException, BreakerOpen, BudgetSpent) as e:
            raise attempts.explain(e) from e
        raise AssertionError("unreachable")

    async def check(self) -> None:
        """As `ScoreClient.check`."""
        await self._served(Budget(self.patience.budget_s), replace(self.patience, wait_s=0))

    async def _served(self, budget: Budget, patience: Patience | None = None) -> ServedModel:
        model = self._model
        if model is None:

            async def ask(deadline_s: float) -> Any:
                channel = await self._channel()
                return await channel.get_model_config(
                    self.model_name, as_json=True, client_timeout=deadline_s
                )

            answer = await self._patiently(ask, budget, patience)
            self._model = model = ServedModel(dict(answer["config"]))
        return model

    async def _configured_version(self, number: str, budget: Budget) -> str:
        """The weights that the configuration names, read again once another number of the model answers."""
        if number != self._number:
            if self._number is not None:
                self._model = None
            self._number = number
        return (await self._served(budget)).model_version

    async def served_model(self) -> ServedModel:
        """What the server says of its model: input size, largest batch, version."""
        return await self._served(Budget(self.patience.budget_s))


__all__ = ["AsyncScoreClient"]
