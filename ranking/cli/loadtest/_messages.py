"""Item messages for a load test, taken away again when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ranking.cli import _output as out

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from loadtest import Messages, Plan
    from loadtest.results import Side


@contextmanager
def messages_to(
    es: Elasticsearch,
    topic: str,
    index: str,
    plan: Plan,
    *,
    like: str,
    sample: float,
    searchable_within: float,
    keep_items: bool,
    timeout: float,
    allow_remote: bool,
    only: Side | None = None,
) -> Iterator[Messages]:
    """Messages made of the items of `like`; the load's items are deleted through the topic afterwards."""
    from loadtest import Broker, Messages, broker_address, cluster_target, read_messages
    from ranking.kafka import PARTITIONS, ensure_topics
    from ranking.settings import get_settings

    settings = get_settings()
    where = cluster_target(settings, allow_remote=allow_remote, timeout=timeout)
    bootstrap = broker_address(settings, allow_remote=allow_remote)
    contents = read_messages(es, like)
    ensure_topics(bootstrap, {topic: PARTITIONS})
    broker = Broker(
        bootstrap=bootstrap,
        topic=topic,
        messages=contents,
        url=where.url,
        path=f"/{index}/_search",
        headers=where.headers,
        ca_pem=where.ca_pem,
        timeout=timeout,
        searchable_within=searchable_within,
    )
    messages = Messages(broker, plan, sample=sample, only=only)
    try:
        yield messages
    finally:
        if not keep_items:
            out.note(f"published the deletion of {messages.take_away()} items of the load on {topic}")
