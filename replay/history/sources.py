"""Where changes come from: JSONL files, Parquet files, a Kafka topic, an index.

The order within a source, and of the sources, is the order of ingest: of two changes of one item at the same
moment, the later wins, as in the index.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ranking import fields
from ranking.errors import InputError, ServerError
from ranking.rows import RowError, parse_object
from replay.history.changes import Change, parse_change

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

KAFKA: Final = "kafka:"
INDEX: Final = "index:"
_SILENCE_S: Final = 10.0  # a topic that gives nothing for so long, though its end is not reached


def read_source(source: str) -> Iterator[Change]:
    """The changes of one source, in its order.

    Args:
        source: a `.jsonl` or `.parquet` file, a folder of them, `kafka:TOPIC` or `index:NAME`.

    Raises:
        InputError: no such file, or a line that is wrong; file and line are named.
        ServerError: Kafka or Elasticsearch does not answer.
    """
    if source.startswith(KAFKA):
        yield from read_topic(source.removeprefix(KAFKA))
        return
    if source.startswith(INDEX):
        from ranking.es import connect

        yield from read_index(connect(), source.removeprefix(INDEX))
        return
    path = Path(source)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix in (".jsonl", ".parquet") and p.name[0] != ".")
        if not files:
            raise InputError(f"{source} holds no .jsonl and no .parquet file")
        for file in files:
            yield from read_source(str(file))
        return
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    for number, row in rows:
        try:
            yield from parse_change(row)
        except InputError as e:
            raise InputError(f"{source}, line {number}: {e}", hint=e.hint) from e


def read_topic(topic: str, bootstrap: str | None = None) -> Iterator[Change]:
    """Every message of a topic, from its beginning to where it ends now; nothing is committed.

    Messages that the ingest would have set aside are passed over here too: the index never saw them. A record
    without a value deletes its key's item at the time that Kafka stamped; the ingest keeps such an item as
    a document with status `deleted`, and so does the history.

    Raises:
        ServerError: no broker answers, or the topic is not there.
    """
    from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

    from ranking.kafka import ENGINE, bootstrap_of, explain, open_consumer

    consumer = open_consumer(bootstrap_of(bootstrap), "rank-history", {"enable.auto.commit": False})
    try:
        try:
            known = consumer.list_topics(topic, timeout=10).topics[topic]
        except KafkaException as e:
            raise ServerError(ENGINE, f"nothing answers ({e})", hint="run `rank-cli stack up kafka`") from e
        if known.error is not None or not known.partitions:
            raise ServerError(ENGINE, f"there is no topic {topic!r}")
        left = {}
        for p in known.partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)
            if high > low:
                left[p] = high
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in left])
        while left:
            record = consumer.poll(_SILENCE_S)
            if record is None:
                raise ServerError(ENGINE, f"{topic} gave nothing for {_SILENCE_S:.0f} s before its end")
            error = record.error()
            if error is not None:
                if error.fatal():
                    raise explain(error)
                if error.code() == KafkaError._PARTITION_EOF:
                    left = {p: end for p, end in left.items() if p != record.partition()}
                continue
            with contextlib.suppress(InputError):  # a dead letter of the ingest
                yield from _of_record(record)
            partition, offset = record.partition(), record.offset()
            if partition is not None and offset is not None and offset + 1 >= left.get(partition, 0):
                left.pop(partition, None)
    finally:
        consumer.close()


def _of_record(record: Any) -> list[Change]:
    if record.value() is not None:
        try:
            return parse_change(parse_object(record.value()))
        except RowError as e:
            raise InputError(str(e)) from None
    if not record.key():
        raise InputError("a record with neither key nor value")
    stamped = record.timestamp()[1]
    values = {fields.STATUS: fields.DELETED, fields.UPDATED_AT: stamped}
    return [Change(record.key().decode(), stamped, "replace", values)]


def read_index(es: Elasticsearch, index: str) -> Iterator[Change]:
    """What an index holds now: each document as of its `updated_at`, its score as of `image_scored_at`.

    Older states of a document are not in an index; this is where a history begins when there is no log.

    Raises:
        InputError: a document has no `updated_at`.
        ServerError: the server refused.
    """
    from elasticsearch import helpers

    from ranking.es import server_errors

    with server_errors(f"reading {index}"):
        excluded = {"excludes": [fields.IMAGE_EMBEDDING]}
        for hit in helpers.scan(es, index=index, query={"_source": excluded}, preserve_order=False):
            try:
                yield from parse_change({fields.ITEM_ID: hit["_id"], **hit["_source"]})
            except InputError as e:
                raise InputError(f"document {hit['_id']!r} of {index}: {e}", hint=e.hint) from e


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    yield number, parse_object(line)
                except RowError as e:
                    raise InputError(f"{path}, line {number}: {e}") from None
    except OSError as e:
        raise InputError(
            f"{path} cannot be read: {e.strerror or e}",
            hint="give a .jsonl or .parquet file, kafka:TOPIC or index:NAME",
        ) from e


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows of a change log as Parquet: what is null was not changed."""
    from ranking.parquet_file import open_parquet, parquet_errors

    file, number = open_parquet(path), 0
    batches = file.iter_batches(batch_size=10_000)
    while True:
        with parquet_errors(path):
            batch = next(batches, None)
            rows = [] if batch is None else batch.to_pylist()
        if batch is None:
            return
        for row in rows:
            number += 1
            yield number, {name: _plain(value) for name, value in row.items() if value is not None}


def _plain(value: Any) -> Any:
    """Timestamps as ISO 8601, whatever zone the column has; UTC where it has none."""
    return value.isoformat() if hasattr(value, "isoformat") else value
