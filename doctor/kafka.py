"""Kafka: the brokers answer, the topics are there, the group keeps up, and nothing waits as a dead letter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from doctor.finding import Result, not_checked, ok, warning
from doctor.options import Context
from ranking.errors import ServerError
from ranking.kafka import ENGINE, open_admin

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

BEHIND: Final = 10_000  # messages


def reach(context: Context) -> Result:
    """Brokers and topics."""
    bootstrap, topic = context.settings.endpoint(ENGINE), context.options.topic
    there = _topics(context)
    dlq = f"{topic}.dlq"
    says = f"{bootstrap}, {len(there)} topics"
    if topic not in there:
        return ok(f"{says}; no {topic!r} yet: `rank-cli ingest stream` makes it")
    return ok(
        f"{says}; {topic} has {there[topic]} partitions, {dlq} is {'' if dlq in there else 'not '}there"
    )


def lag(context: Context) -> Result:
    """Messages that the group has not committed."""
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

    topic, group = context.options.topic, context.options.group
    there = _topics(context)
    if topic not in there:
        return not_checked(f"there is no topic {topic!r}")
    admin, limit = _admin(context), context.options.timeout_s * 0.3
    partitions = [TopicPartition(topic, p) for p in range(there[topic])]
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, partitions)])
    committed = {p.partition: p.offset for p in asked[group].result(limit).topic_partitions}
    spans = _spans(context, topic, there[topic])
    if all(offset < 0 for offset in committed.values()):
        n = sum(high - low for low, high in spans.values())
        start = f"rank-cli ingest stream --topic {topic} --group {group}"
        return warning(f"the group {group} has read nothing of {topic}, which holds {n} messages", start)
    behind = sum(high - max(low, committed.get(p, -1)) for p, (low, high) in spans.items())
    says = f"{group} is {behind} messages behind on {topic}"
    if behind > BEHIND:
        return warning(says, "start more `rank-cli ingest stream` of the same group, up to one per partition")
    return ok(says)


def dead_letters(context: Context) -> Result:
    """How many messages could not be used."""
    topic = f"{context.options.topic}.dlq"
    there = _topics(context)
    if topic not in there:
        return ok(f"no {topic}: no message was unusable")
    n = sum(high - low for low, high in _spans(context, topic, there[topic]).values())
    if n:
        return warning(f"{topic} holds {n}", f"rank-cli ingest dlq list --topic {context.options.topic}")
    return ok(f"{topic} is empty")


def _admin(context: Context) -> AdminClient:
    made: AdminClient = context.once("kafka", lambda: open_admin(context.settings.endpoint(ENGINE)))
    return made


def _topics(context: Context) -> dict[str, int]:
    """Partitions by topic.

    Raises:
        ServerError: no broker answers.
    """
    from confluent_kafka import KafkaException

    try:
        found = _admin(context).list_topics(timeout=context.options.timeout_s * 0.5).topics
    except KafkaException as e:
        raise ServerError(
            ENGINE,
            f"nothing answers at {context.settings.endpoint(ENGINE)} ({e.args[0].str()})",
            hint="run `rank-cli stack up kafka`, or check KAFKA_BOOTSTRAP",
        ) from e
    return {name: len(topic.partitions) for name, topic in found.items() if not topic.error}


def _spans(context: Context, topic: str, n_partitions: int) -> dict[int, tuple[int, int]]:
    """First offset and end of each partition; one request each, whatever the topic holds."""
    from confluent_kafka import TopicPartition, admin

    offsets: Any = admin  # its types leave this name out
    limit = context.options.timeout_s * 0.3
    ends = []
    for spec in (offsets.OffsetSpec.earliest(), offsets.OffsetSpec.latest()):
        asked = _admin(context).list_offsets({TopicPartition(topic, p): spec for p in range(n_partitions)})
        ends.append({at.partition: made.result(limit).offset for at, made in asked.items()})
    return {p: (ends[0][p], ends[1][p]) for p in range(n_partitions)}
