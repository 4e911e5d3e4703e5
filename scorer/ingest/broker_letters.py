"""Dead letters on Redis, NATS and RabbitMQ: listed, put back, dropped. `scorer.ingest.dlq` is Kafka's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from ranking.errors import InputError
from ranking.own_loop import run_to_end
from scorer.ingest.dead_letters import dead_letter_topic
from scorer.ingest.dlq import Filter, Replayed, chosen, readable
from scorer.ingest.letter_boxes import LetterBox, opened
from scorer.ingest.records import REPLAYS

T = TypeVar("T")
ID: Final = "dlq_id"


def read_dead_letters_at(url: str, topic: str, *, limit: int = 100) -> tuple[list[dict[str, Any]], int]:
    """The newest dead letters of a topic, oldest first, each with its `dlq_id`, and how many there are.

    Raises:
        InputError: an address of another kind.
        ServerError: the broker is not there, or refuses.
    """

    async def read(box: LetterBox) -> tuple[list[dict[str, Any]], int]:
        n = await box.count()  # first: RabbitMQ counts those only that it has not handed out
        return [{**readable(value), ID: place} for place, value in await box.newest(limit)], n

    return _at(url, topic, read)


def replay_at(
    url: str,
    topic: str,
    *,
    only: Filter | None = None,
    dry_run: bool = False,
    limit: int | None = None,
    on_letter: Callable[[Mapping[str, Any]], None] | None = None,
) -> Replayed:
    """Put the original messages of dead letters back on their topic; as `scorer.ingest.dlq.replay`.

    Raises:
        InputError: an address of another kind.
        ServerError: the broker is not there, or did not take a message.
    """

    async def put_back(box: LetterBox) -> Replayed:
        done = Replayed()
        found = [readable(value) async for _, value in box.each()]
        for letter, home, original in chosen(found, done, only=only or Filter(), limit=limit):
            if on_letter:
                on_letter(letter)
            if not dry_run and original is not None:
                times = str(int(letter.get("replays", 0)) + 1)
                await box.put_back(home, original, {REPLAYS: times})
                done.published += 1
        return done

    return _at(url, topic, put_back)


def drop_at(url: str, topic: str, *, through: str | None = None, dry_run: bool = False) -> int:
    """Delete dead letters for good, all or up to a `dlq_id`; how many.

    Raises:
        InputError: an address of another kind, or there is no such letter.
        ServerError: the broker is not there, or refuses.
    """

    async def drop(box: LetterBox) -> int:
        if through is None:
            n = await box.count()
        else:
            n = await _up_to(box, through)
        if not dry_run and n:
            await box.delete(through)
        return n

    return _at(url, topic, drop)


async def _up_to(box: LetterBox, through: str) -> int:
    n = 0
    async for place, _ in box.each():
        n += 1
        if place == through:
            return n
    hint = "`rank-cli ingest dlq list --from URL` shows each dlq_id"
    raise InputError(f"{box.dlq} has no letter {through!r}", hint=hint)


def _at(url: str, topic: str, work: Callable[[LetterBox], Awaitable[T]]) -> T:
    async def run() -> T:
        async with opened(url, dead_letter_topic(topic)) as box:
            return await work(box)

    return run_to_end(run)


__all__ = ["ID", "drop_at", "read_dead_letters_at", "replay_at"]
