"""Item messages as a workload: items of an index, sent as if their sellers had just put them up.

Each keeps its text, price, category and photo, and gets a name of its own (`load-RUN-...`), so that no item
of the index is touched. `take_away` publishes a deletion for every one of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from loadtest.plan import Plan
from loadtest.results import Side
from loadtest.sender import Load, LoadError, Sender
from loadtest.targets import Broker
from ranking import fields
from ranking.errors import InputError, ServerError
from ranking.item_message import parse_message

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

N_MESSAGES = 1000  # different ones; they come again after that


def read_messages(es: Elasticsearch, index: str, n: int = N_MESSAGES) -> tuple[dict[str, Any], ...]:
    """Messages of up to `n` items that are on sale, without `item_id` and `updated_at`, in no order.

    Raises:
        InputError: the index has none.
        ServerError: the server refused.
    """
    from ranking.es import check_complete, server_errors

    names = [fields.TITLE, fields.DESCRIPTION, fields.CATEGORY, fields.PRICE, fields.STATUS]
    names += [fields.CREATED_AT, fields.IMAGE_URL]
    query = {
        "function_score": {
            "query": {"term": {fields.STATUS: fields.ON_SALE}},
            "random_score": {"seed": 1, "field": "_seq_no"},
        }
    }
    with server_errors(f"read items of {index}"):
        response = es.search(index=index, query=query, size=n, source_includes=names)
    check_complete(response.body)
    found = []
    for hit in response.body["hits"]["hits"]:
        with suppress(InputError):  # an item that was written by other means may lack what a message needs
            message = parse_message({**hit["_source"], fields.ITEM_ID: "any", fields.UPDATED_AT: 0})
            found.append(message.model_dump(exclude_none=True, exclude={"item_id", "updated_at"}))
    if not found:
        raise InputError(f"{index} has no items on sale to make messages of", hint="name an index by --like")
    return tuple(found)


class Messages:
    """What each round publishes: which messages, under which names, and which are looked for.

    Args:
        broker: where messages go, and where a search finds them.
        plan: how they are sent.
        sample: share of the messages that a search looks for, evenly.
        only: the one side that publishes; both where None.
    """

    kind: Literal["publish"] = "publish"

    def __init__(self, broker: Broker, plan: Plan, *, sample: float, only: Side | None = None) -> None:
        self.target = broker
        self.at, self.shape = plan.random()
        self.only, self._plan, self._sample = only, plan, sample
        self._run = secrets.token_hex(4)
        self._names: list[str] = []

    def load(self, side: Side) -> Load | None:
        """The next round of a side."""
        return None if self.only not in (None, side) else self._load(self.at, self._sample)

    def warm_up(self, running: Sender) -> None:
        """The first message of all must be found, so that an ingest that does not run is said at once.

        Raises:
            LoadError: it is not.
        """
        target = self.target
        played = running.play([self._load((0.0,), 1.0 if self._sample else 0.0)])
        failed = [one.error for one in played["publish"] if one.error]
        if failed:
            raise LoadError(f"Kafka did not take a message on {target.topic!r}: {failed[0]}")
        if any(one.error for one in played.get("searchable", ())):
            raise LoadError(
                f"no search found an item {target.searchable_within:g} s after it was published on "
                f"{target.topic!r}",
                hint="run `rank-cli ingest stream` with that topic and index beside it, or say --sample 0",
            )

    def _load(self, at: Sequence[float], sample: float) -> Load:
        first, n = len(self._names), len(at)
        names = tuple(f"load-{self._run}-{first + i}" for i in range(n))
        self._names += names
        edges = np.ceil(np.arange(n + 1) * sample)
        looked = (np.diff(edges) > 0)[::-1]  # evenly, and the last one always: the round waits for it
        return Load(
            kind="publish",
            items=tuple((first + i) % len(self.target.messages) for i in range(n)),
            at=tuple(at),
            names=names,
            looked_for=tuple(looked.tolist()),
            connections=self._plan.connections,
        )

    def take_away(self) -> int:
        """Publish the deletion of every item so far; how many.

        Raises:
            ServerError: the brokers did not take all of them.
        """
        from ranking.clock import now_ms
        from ranking.item_message import ItemMessage
        from ranking.kafka import ENGINE, open_producer

        broker = self.target
        producer = open_producer(broker.bootstrap, give_up_s=broker.timeout)
        clock = now_ms()
        for name in self._names:
            gone = ItemMessage(item_id=name, status=fields.DELETED, updated_at=clock)
            while True:
                try:
                    producer.produce(broker.topic, gone.to_json(), name.encode())
                except BufferError:
                    producer.poll(0.5)
                else:
                    break
        left = producer.flush(broker.timeout)
        if left:
            raise ServerError(ENGINE, f"{left} deletions of the load's items were not taken")
        return len(self._names)
