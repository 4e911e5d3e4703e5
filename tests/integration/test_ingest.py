"""Real Kafka -> Triton -> Elasticsearch, with what goes wrong on the way."""

import base64
import contextlib
import io
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress

import numpy as np
import pytest
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from elasticsearch import Elasticsearch
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from PIL import Image

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.errors import InputError, ServerError
from ranking.kafka import open_consumer
from scorer.ingest import (
    PhotoSource,
    dead_letter_topic,
    parse_message,
    publish,
    read_dead_letters,
    run_stream,
)
from scorer.ingest.analyzer import Analysis, Analyzer
from scorer.ingest.dead_letters import DeadLetterQueue
from scorer.ingest.dlq import Filter, drop, replay
from scorer.ingest.feeder import Feeder, FeedResult
from scorer.ingest.metrics import Metrics
from scorer.ingest.photos import PhotoLoader
from scorer.ingest.stream import Stream
from scorer.ingest.tracing import Tracing
from scorer.serving import ScoreClient, Scored
from scorer.serving.weights import load_weights
from tests.integration.bulk_proxy import pushing_back
from tests.integration.triton_server import own_triton

# ruff: noqa: PLR0917  (fixtures)
pytestmark = pytest.mark.engines

T0 = 1767323045678  # epoch ms
MAPPING = {
    "dynamic": "strict",
    "properties": {
        "item_id": {"type": "keyword"},
        "title": {"type": "text"},
        "description": {"type": "text"},
        "category": {"type": "keyword", "ignore_above": 256},
        "price": {"type": "float"},
        "status": {"type": "keyword"},
        "created_at": {"type": "date"},
        "updated_at": {"type": "date"},
        "image_url": {"type": "keyword"},
        "image_hash": {"type": "keyword"},
        "image_score": {"type": "float"},
        "image_score_version": {"type": "keyword"},
        "image_scored_at": {"type": "date"},
        "ingested_at": {"type": "date"},
        "ai_generated": {"properties": {"probability": {"type": "float"}, "source": {"type": "keyword"}}},
    },
}


@pytest.fixture(scope="module")
def triton(tmp_path_factory):
    with own_triton(tmp_path_factory.mktemp("triton")) as server:
        server.load()
        yield server


@pytest.fixture
def index(es, prefix):
    es.indices.create(index=prefix, mappings=MAPPING, settings={"number_of_replicas": 0})
    return prefix


@pytest.fixture
def topic(kafka_bootstrap):
    name = f"test-{secrets.token_hex(4)}"
    yield name
    for deleted in (
        AdminClient({"bootstrap.servers": kafka_bootstrap})
        .delete_topics([name, dead_letter_topic(name)])
        .values()
    ):
        with suppress(Exception):
            deleted.result(10)


@pytest.fixture
def root(tmp_path):
    """Twenty photos, each another pattern, and one that is broken."""
    rng = np.random.default_rng(7)
    for n in range(20):
        small = Image.fromarray(rng.integers(0, 256, (4, 3, 3), dtype=np.uint8))
        small.resize((120, 160)).save(tmp_path / f"{n}.jpg")
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "0.jpg").read_bytes()[:300])
    return tmp_path


@pytest.fixture
def stream(triton, kafka_bootstrap, topic, index, es, root):
    """`run_stream` over this test's own topic and index."""

    def run(**options):
        return run_stream(
            **{
                "photos": PhotoSource(root=root),
                "topic": topic,
                "group": topic,
                "index": index,
                "until_empty": True,
                "triton_url": triton.url,
                "kafka_bootstrap": kafka_bootstrap,
                "es": es,
                **options,
            }
        )

    return run


def item(n, *, updated_at=T0, **more):
    return {
        "item_id": f"item-{n}",
        "title": f"dress {n}",
        "category": "dress",
        "price": 10 + n,
        "created_at": T0,
        "updated_at": updated_at,
        "image_url": f"{n % 20}.jpg",
        **more,
    }


def put_raw(bootstrap, topic, value, key=None):
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, value, key)
    assert producer.flush(10) == 0


def documents(es, index):
    es.indices.refresh(index=index)
    hits = es.search(index=index, size=1000, query={"match_all": {}})["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_items_arrive_scored_and_what_is_wrong_is_set_aside_with_its_reason(
    stream, triton, es, index, topic, kafka_bootstrap, root
):
    encoded = base64.b64encode((root / "3.jpg").read_bytes()).decode()
    good = [item(n) for n in range(30)]
    publish(good, kafka_bootstrap, topic=topic)
    put_raw(kafka_bootstrap, topic, b"\xff\x00 poison", b"item-poison")
    put_raw(kafka_bootstrap, topic, json.dumps({"item_id": "item-bad", "price": -3}), b"item-bad")
    odd = [
        item(100, image_url="broken.jpg"),
        item(101, image_url=None),
        item(102, image_url="../secret.jpg"),
        item(103, image_url=f"data:image/jpeg;base64,{encoded}"),
        item(104, status="deleted"),
        item(105, ai_generated={"probability": 0.98, "source": "detector"}),
    ]
    publish(odd, kafka_bootstrap, topic=topic)

    summary = stream()

    found = documents(es, index)
    assert len(found) == 36
    assert (summary.received, summary.indexed, summary.scored) == (38, 36, 32)
    assert (summary.unscored, summary.deleted, summary.stale, summary.dead_letters) == (3, 1, 0, 5)
    version = triton.exported.model_version
    local = load_weights(triton.exported.folder / str(triton.exported.number) / "weights")
    loader = PhotoLoader.for_size(PhotoSource(root=root), local.model.image_size)
    pixels = np.stack([loader.submit(f"{n % 20}.jpg").result().pixels for n in range(30)])
    loader.close()
    got = np.array([found[f"item-{n}"]["image_score"] for n in range(30)])
    np.testing.assert_allclose(got, local.score(pixels), atol=1e-5, rtol=0)
    assert {found[f"item-{n}"]["image_score_version"] for n in range(30)} == {version}
    assert found["item-103"]["image_score"] == pytest.approx(found["item-3"]["image_score"], abs=1e-5)
    assert "image_url" not in found["item-103"]
    assert found["item-105"]["ai_generated"] == {"probability": 0.98, "source": "detector"}
    assert found["item-104"]["status"] == "deleted"
    for n in (100, 101, 102, 104):
        assert "image_score" not in found[f"item-{n}"]

    letters, total = read_dead_letters(kafka_bootstrap, dead_letter_topic(topic))
    assert total == 5
    reasons = {letter["item_id"]: (letter["stage"], letter["reason"]) for letter in letters}
    assert reasons["item-poison"][0] == "parse"
    assert reasons["item-poison"][1].startswith("not JSON")
    assert reasons["item-bad"][0] == "parse"
    assert "price" in reasons["item-bad"][1]
    assert reasons["item-100"][0] == "photo"
    assert reasons["item-101"] == ("photo", "the item has no photo")
    assert "outside the photos root" in reasons["item-102"][1]
    (poison,) = [letter for letter in letters if letter["item_id"] == "item-poison"]
    assert base64.b64decode(poison["original_base64"]) == b"\xff\x00 poison"

    again = stream()  # the offsets are committed: nothing comes twice
    assert again.received == 0


def test_duplicates_and_late_messages_never_overwrite_newer_data(stream, es, index, topic, kafka_bootstrap):
    publish([item(1, updated_at=T0 + 5, title="newest"), item(2)], kafka_bootstrap, topic=topic)
    stream()
    late = [
        item(1, updated_at=T0 + 1, title="late"),
        item(2),  # the same again
        item(1, updated_at=T0 + 3, status="deleted"),
        item(3, updated_at=T0 + 9, title="new, deleted below by an older message"),
        item(3, updated_at=T0 + 8, status="deleted"),
    ]
    publish(late, kafka_bootstrap, topic=topic)
    summary = stream()
    found = documents(es, index)
    assert found["item-1"]["title"] == "newest"
    assert found["item-1"]["status"] == "on_sale"
    assert found["item-2"]["image_score"] > 0
    assert found["item-3"]["status"] == "on_sale"
    assert summary.received == 5
    assert summary.stale == 3

    publish([item(1, updated_at=T0 + 6, status="deleted")], kafka_bootstrap, topic=topic)
    publish([item(1, updated_at=T0 + 5, title="back from the dead")], kafka_bootstrap, topic=topic)
    stream()
    assert documents(es, index)["item-1"]["status"] == "deleted"


def test_a_document_that_the_index_refuses_becomes_a_dead_letter(stream, es, index, topic, kafka_bootstrap):
    es.indices.put_mapping(index=index, properties={"grade": {"type": "integer"}})
    es.ingest.put_pipeline(
        id=f"rank-{index}",
        processors=[{"set": {"field": "grade", "value": "no number", "if": "ctx.item_id == 'item-1'"}}],
    )
    es.indices.put_settings(index=index, settings={"index.default_pipeline": f"rank-{index}"})
    publish([item(0), item(1)], kafka_bootstrap, topic=topic)
    summary = stream()
    es.indices.put_settings(index=index, settings={"index.default_pipeline": None})
    assert (summary.indexed, summary.dead_letters) == (1, 1)
    ((letter,), _) = read_dead_letters(kafka_bootstrap, dead_letter_topic(topic))
    assert (letter["stage"], letter["item_id"]) == ("write", "item-1")
    assert "grade" in letter["reason"]
    assert parse_message(letter["original"]).item_id == "item-1"  # it can be published again


def test_triton_killed_in_the_middle_costs_no_score(stream, triton, es, index, topic, kafka_bootstrap):
    publish((item(n) for n in range(400)), kafka_bootstrap, topic=topic)
    waits, killed = [], threading.Event()

    def kill_once(summary):
        if summary.received >= 60 and not killed.is_set():
            triton.kill()
            killed.set()

    def start_again():
        killed.wait(60)
        time.sleep(8)  # longer than the consumer stands still before it pauses its partitions
        triton.start()

    starter = threading.Thread(target=start_again)
    starter.start()
    summary = stream(batch=20, score_batch=8, reuse_scores=False, on_progress=kill_once, on_wait=waits.append)
    starter.join()
    assert killed.is_set()
    assert any("Triton" in wait for wait in waits)
    found = documents(es, index)
    assert len(found) == 400
    assert all("image_score" in document for document in found.values())
    assert (summary.scored, summary.unscored, summary.dead_letters) == (400, 0, 0)


class Forwarder:
    """A TCP door to a server, which can be shut."""

    def __init__(self, host, port):
        self.target = (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = True
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                inside, _ = self.listener.accept()
            except OSError:
                return
            if not self.open:
                inside.close()
                continue
            outside = socket.create_connection(self.target)
            self.connections += [inside, outside]
            for a, b in ((inside, outside), (outside, inside)):
                threading.Thread(target=self._copy, args=(a, b), daemon=True).start()

    @staticmethod
    def _copy(a, b):
        with suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
        for side in (a, b):
            with suppress(OSError):
                side.close()

    def shut(self):
        self.open = False
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def test_elasticsearch_gone_is_waited_for_and_nothing_is_lost(stream, es, index, topic, kafka_bootstrap):
    node = next(iter(es.transport.node_pool.all()))
    door = Forwarder(node.config.host, node.config.port)
    behind = Elasticsearch(f"http://127.0.0.1:{door.port}", request_timeout=10)
    publish((item(n) for n in range(120)), kafka_bootstrap, topic=topic)
    waits, shut = [], threading.Event()

    def shut_once(_summary):
        if not shut.is_set():
            door.shut()
            shut.set()

    def open_again():
        shut.wait(60)
        time.sleep(3)
        door.open = True

    opener = threading.Thread(target=open_again)
    opener.start()
    summary = stream(batch=20, es=behind, on_progress=shut_once, on_wait=waits.append)
    opener.join()
    door.listener.close()
    behind.close()
    assert any("Elasticsearch" in wait for wait in waits)
    assert len(documents(es, index)) == 120
    assert summary.scored + summary.stale == 120


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_consumer_that_is_stopped_or_killed_leaves_the_rest_to_the_next(
    how, stream, triton, es, index, topic, kafka_bootstrap, root
):
    n = 600
    publish((item(k) for k in range(n)), kafka_bootstrap, topic=topic)
    command = "from ranking.cli.ingest import app; app()"
    options = ["stream", "--photos-root", root, "--topic", topic, "--group", topic, "--index", index]
    process = subprocess.Popen(
        [sys.executable, "-c", command, *options, "--batch", "10", "--format", "json"],
        env={**os.environ, "TRITON_URL": triton.url, "KAFKA_BOOTSTRAP": kafka_bootstrap},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 90
    while not len(documents(es, index)) > 0 and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    written = len(documents(es, index))
    assert written > 0, err
    rest = stream()
    assert len(documents(es, index)) == n
    if how == signal.SIGTERM:  # what was read was finished and committed
        assert process.returncode == 0, err
        first = json.loads(out)
        assert first["interrupted"] is False
        assert first["received"] == written
        assert rest.received == n - written
    else:
        assert rest.received >= n - written


def test_a_stall_longer_than_the_poll_interval_keeps_the_group(es, index, topic, kafka_bootstrap, root):
    publish((item(n) for n in range(40)), kafka_bootstrap, topic=topic)
    batches = []

    class SlowOnce:
        def score(self, images):
            batches.append(len(images))
            if len(batches) == 1:
                time.sleep(14)
            return Scored(np.full(len(images), 0.5, dtype=np.float32), "slow")

    consumer = open_consumer(
        kafka_bootstrap, topic, {"session.timeout.ms": 6_000, "max.poll.interval.ms": 8_000}
    )
    loader = PhotoLoader.for_size(PhotoSource(root=root), 32)
    stream = Stream(
        consumer,
        topic,
        analyzer=Analyzer(SlowOnce(), loader),
        feeder=Feeder(es, index),
        dead_letters=DeadLetterQueue(kafka_bootstrap, dead_letter_topic(topic)),
        batch=10,
        in_flight=1,
    )
    summary = stream.run(until_empty=True)
    loader.close()
    assert summary.received == 40  # a member that lost its partitions would read some twice
    assert len(documents(es, index)) == 40


def test_two_members_of_a_group_share_the_topic(stream, es, index, topic, kafka_bootstrap):
    publish((item(n) for n in range(200)), kafka_bootstrap, topic=topic)
    summaries = []

    def member():
        summaries.append(stream(until_empty=False, stop_after_idle_s=4, batch=20))

    members = [threading.Thread(target=member) for _ in range(2)]
    for thread in members:
        thread.start()
    for thread in members:
        thread.join()
    assert len(documents(es, index)) == 200
    assert sum(s.received for s in summaries) >= 200
    assert sum(s.dead_letters + s.unscored for s in summaries) == 0


def test_an_engine_that_is_not_there_at_the_start_is_named(stream, triton):
    with pytest.raises(ServerError, match=r"Triton: nothing answers at 127\.0\.0\.1:9"):
        stream(triton_url="127.0.0.1:9")
    with pytest.raises(ServerError, match="Kafka: nothing answers"):
        stream(kafka_bootstrap="127.0.0.1:9")
    with pytest.raises(ServerError, match="no index or alias 'absent-index'"):
        stream(index="absent-index")
    assert ScoreClient(triton.url).model_version == triton.exported.model_version


def test_a_photo_with_many_faces_is_scored_alike(stream, es, index, topic, kafka_bootstrap, root):
    """PNG, WebP, grey, with transparency, upside down by EXIF: all are photos."""
    picture = Image.open(root / "5.jpg")
    for name, image in {
        "a.png": picture,
        "b.webp": picture,
        "c.png": picture.convert("L"),
        "d.png": picture.convert("RGBA"),
        "e.gif": picture.convert("P"),
    }.items():
        data = io.BytesIO()
        image.save(data, name.rpartition(".")[2].upper())
        (root / name).write_bytes(data.getvalue())
    names = ["a.png", "b.webp", "c.png", "d.png", "e.gif"]
    publish([item(n, image_url=name) for n, name in enumerate(names)], kafka_bootstrap, topic=topic)
    summary = stream()
    assert (summary.scored, summary.dead_letters) == (5, 0)
    found = documents(es, index)
    assert found["item-0"]["image_score"] == pytest.approx(found["item-3"]["image_score"], abs=1e-5)


def test_messages_that_kafka_deleted_before_they_were_read_are_named(
    stream, es, index, topic, kafka_bootstrap
):
    publish([item(n) for n in range(40)], kafka_bootstrap, topic=topic)
    assert stream(on_note=pytest.fail).indexed == 40
    publish([item(n, updated_at=T0 + 1) for n in range(40)], kafka_bootstrap, topic=topic)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    ends = [TopicPartition(topic, partition, OFFSET_END) for partition in range(4)]
    for deleted in admin.delete_records(ends).values():  # as retention does
        deleted.result(10)
    publish([item(77)], kafka_bootstrap, topic=topic)
    said, metrics = [], Metrics()
    assert stream(on_note=said.append, observer=metrics).indexed == 1
    value = metrics.registry.get_sample_value("rank_ingest_errors_total", {"kind": "deleted_unread"})
    assert value == 40
    assert sum(int(words.split()[0]) for words in said) == 40
    assert "publish those items again" in said[0]


@pytest.fixture
def family(es, prefix):
    """An index as the templates make it, into which items are merged by the stored script."""
    name = f"{prefix}-family"
    wanted = desired_state(name)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, name)
    return name


def inferences(triton):
    from tritonclient import grpc

    with contextlib.closing(grpc.InferenceServerClient(triton.url)) as client:
        (stats,) = client.get_inference_statistics("image_score", as_json=True)["model_stats"]
    return int(stats.get("inference_count", 0))


def test_a_change_of_the_price_costs_no_inference_and_keeps_what_others_wrote(
    stream, triton, es, family, topic, kafka_bootstrap, root
):
    n = 60
    publish([item(k) for k in range(n)], kafka_bootstrap, topic=topic)
    first = stream(index=family)
    assert (first.scored, first.reused) == (n, n - 20)  # twenty photos, each on three items
    es.update(index=family, id="item-1", doc={"image_attributes": {"brightness": 0.75}})
    before, scored = inferences(triton), documents(es, family)
    (root / "1.jpg").rename(root / "moved.jpg")  # not even read
    publish([item(k, updated_at=T0 + 1, price=500) for k in range(n)], kafka_bootstrap, topic=topic)
    second = stream(index=family)
    (root / "moved.jpg").rename(root / "1.jpg")
    assert (second.indexed, second.scored, second.reused, second.dead_letters) == (n, n, n, 0)
    assert inferences(triton) - before <= 2  # which weights are live is asked with one black photo
    found = documents(es, family)
    for name, document in found.items():
        assert (document["price"], document["image_score"]) == (500, scored[name]["image_score"])
        assert document["image_scored_at"] == scored[name]["image_scored_at"]
    assert found["item-1"]["image_attributes"] == {"brightness": 0.75}

    publish(
        ({"item_id": f"item-{k}", "partial": True, "updated_at": T0 + 2, "price": 400} for k in range(n + 1)),
        kafka_bootstrap,
        topic=topic,
    )
    third = stream(index=family)  # the price alone; the last of an item that nobody has sent yet
    assert (third.indexed, third.partial, third.scored, third.waiting) == (n + 1, n + 1, 0, 1)
    changed = documents(es, family)
    assert changed.pop(f"item-{n}")["status"] == "deleted"
    for name, document in changed.items():
        del document["partials"]
        new = {"price": 400, "updated_at": "2026-01-02T03:04:05.680Z", "ingested_at": document["ingested_at"]}
        assert document == found[name] | new


def test_merged_items_end_at_their_newest_state_and_deletes_hold(stream, es, family, topic, kafka_bootstrap):
    publish(
        [item(1, updated_at=T0 + 5, title="newest", description="old text"), item(2)],
        kafka_bootstrap,
        topic=topic,
    )
    publish([item(3, updated_at=T0 + 5), item(4)], kafka_bootstrap, topic=topic)
    stream(index=family)
    es.update(index=family, id="item-1", doc={"image_attributes": {"contrast": 0.5}})  # counts _version up
    late = [
        item(1, updated_at=T0 + 4, title="late", image_url="9.jpg"),
        item(3, updated_at=T0 + 4, status="deleted"),
        item(4, updated_at=T0 + 1, status="sold"),
    ]
    publish(late, kafka_bootstrap, topic=topic)
    put_raw(kafka_bootstrap, topic, None, b"item-2")  # a tombstone, at the time Kafka stamps it
    summary = stream(index=family)
    found = documents(es, family)
    assert (summary.stale, summary.deleted) == (2, 1)
    assert (found["item-1"]["title"], found["item-1"]["image_url"]) == ("newest", "1.jpg")
    assert found["item-3"]["status"] == "on_sale"
    assert (found["item-4"]["status"], found["item-4"]["image_score"] > 0) == ("sold", True)
    assert found["item-2"]["status"] == "deleted"
    assert not {"title", "image_score", "image_url", "image_hash"} & found["item-2"].keys()
    publish(
        [item(1, updated_at=T0 + 6, title="no text, another photo", image_url="9.jpg")],
        kafka_bootstrap,
        topic=topic,
    )
    publish([item(2, title="back from the dead")], kafka_bootstrap, topic=topic)
    stream(index=family)
    again = documents(es, family)
    assert "description" not in again["item-1"]
    assert again["item-1"]["image_hash"] != found["item-1"]["image_hash"]
    assert again["item-2"]["status"] == "deleted"


def test_a_429_storm_slows_the_stream_and_loses_nothing(stream, es, family, topic, kafka_bootstrap):
    node = next(iter(es.transport.node_pool.all()))
    publish((item(k) for k in range(300)), kafka_bootstrap, topic=topic)
    metrics, waits = Metrics(), []
    with pushing_back(node.config.host, node.config.port, lambda n: n < 9 and n % 3 != 0) as (url, passed):
        behind = Elasticsearch(url, request_timeout=10)
        summary = stream(index=family, es=behind, batch=100, observer=metrics, on_wait=waits.append)
        behind.close()
    assert (summary.indexed, len(documents(es, family))) == (300, 300)
    value = metrics.registry.get_sample_value
    assert value("rank_ingest_errors_total", {"kind": "bulk_pushed_back"}) > 0
    assert any("Elasticsearch: HTTP 429" in wait for wait in waits)
    assert len(passed) > 3  # three batches of 100, in smaller requests


def test_a_triton_that_is_gone_may_be_given_up_and_the_next_change_is_scored(
    stream, triton, es, family, topic, kafka_bootstrap
):
    publish((item(k) for k in range(90)), kafka_bootstrap, topic=topic)
    killed, waits = threading.Event(), []

    def kill_once(_summary):
        if not killed.is_set():
            triton.kill()
            killed.set()

    began = time.monotonic()
    summary = stream(
        index=family,
        batch=15,
        when_scoring_fails="index-unscored",
        give_up_s=1.0,
        reuse_scores=False,
        on_progress=kill_once,
        on_wait=waits.append,
    )
    took = time.monotonic() - began
    triton.start()
    assert took < 30
    assert (summary.indexed, summary.dead_letters) == (90, 0)
    assert summary.awaiting_score == summary.unscored > 0
    assert any("indexed unscored" in wait for wait in waits)
    es.indices.refresh(index=family)
    unscored = {"bool": {"must_not": {"exists": {"field": "image_score_version"}}}}
    assert es.count(index=family, query=unscored)["count"] == summary.unscored  # as the backfill asks
    publish((item(k, updated_at=T0 + 1) for k in range(90)), kafka_bootstrap, topic=topic)
    assert stream(index=family).scored == 90
    es.indices.refresh(index=family)
    assert es.count(index=family, query=unscored)["count"] == 0


def test_dead_letters_are_replayed_once_and_dropped(stream, es, family, topic, kafka_bootstrap, root):
    publish(
        [item(1), item(2, image_url="late.jpg"), item(3, image_url="never.jpg")], kafka_bootstrap, topic=topic
    )
    put_raw(kafka_bootstrap, topic, b"poison \xff", b"item-9")
    stream(index=family)
    name = dead_letter_topic(topic)
    assert read_dead_letters(kafka_bootstrap, name)[1] == 3
    (root / "1.jpg").rename(root / "late.jpg")
    photo = Filter(stage="photo")
    assert replay(kafka_bootstrap, name, only=photo, dry_run=True).to_dict() == {
        **{"n_read": 3, "n_matched": 2, "n_published": 0, "n_unusable": 0}
    }
    assert stream(index=family).received == 0
    assert replay(kafka_bootstrap, name, only=Filter(reason="NOT JSON")).published == 1
    assert replay(kafka_bootstrap, name, only=photo).published == 2
    summary = stream(index=family)
    assert (summary.received, summary.scored, summary.dead_letters) == (3, 1, 2)
    assert documents(es, family)["item-2"]["image_score"] > 0
    letters, total = read_dead_letters(kafka_bootstrap, name)
    assert total == 5  # the three, and two that came back once
    back = {letter["item_id"]: letter for letter in letters[-2:]}
    assert (back["item-9"]["replays"], back["item-3"]["replays"]) == (1, 1)
    assert base64.b64decode(back["item-9"]["original_base64"]) == b"poison \xff"
    assert replay(kafka_bootstrap, name, only=Filter(max_replays=1)).matched == 3
    stream(index=family)
    assert drop(kafka_bootstrap, name, through={0: 1}, dry_run=True) == 2
    assert drop(kafka_bootstrap, name, through={0: 1}) == 2
    with pytest.raises(InputError, match="ends at offset"):
        drop(kafka_bootstrap, name, through={0: 99})
    _, total = read_dead_letters(kafka_bootstrap, name)
    assert drop(kafka_bootstrap, name) == total
    assert read_dead_letters(kafka_bootstrap, name) == ([], 0)


def test_a_span_of_a_message_goes_on_in_the_trace_of_its_producer(stream, family, topic, kafka_bootstrap):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    producer.produce(topic, json.dumps(item(1)), b"item-1", headers={"traceparent": traceparent})
    assert producer.flush(10) == 0
    stream(index=family, observer=Tracing(provider=provider))
    spans = exporter.get_finished_spans()
    (mine,) = [span for span in spans if span.name == f"{topic} process"]
    assert f"{mine.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert mine.attributes["rank.outcome"] == "written"
    bulk = next(span for span in spans if span.name == "ingest bulk")
    assert bulk.context.span_id in {link.context.span_id for link in mine.links}
    stages = {span.name for span in spans if span.parent and span.context.trace_id == bulk.context.trace_id}
    assert {"ingest lookup", "ingest photo", "ingest score", "ingest bulk"} <= stages


def test_sigterm_is_obeyed_within_its_deadline_while_triton_hangs(
    stream, triton, es, family, topic, kafka_bootstrap, root
):
    publish((item(k) for k in range(40)), kafka_bootstrap, topic=topic)
    command = "from ranking.cli.ingest import app; app()"
    options = ["stream", "--photos-root", root, "--topic", topic, "--group", topic, "--index", family]
    more = ["--stop-deadline-s", "2", "--metrics-port", "0", "--log-format", "json", "--format", "json"]
    process = subprocess.Popen(
        [sys.executable, "-c", command, *options, *more, "--batch", "10"],
        env={**os.environ, "TRITON_URL": triton.url, "KAFKA_BOOTSTRAP": kafka_bootstrap},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    serving = json.loads(process.stderr.readline())
    probe = f"http://127.0.0.1:{serving['port']}"
    until = time.monotonic() + 60
    while len(documents(es, family)) < 40 and time.monotonic() < until:
        time.sleep(0.1)
    with urllib.request.urlopen(f"{probe}/readyz", timeout=5) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{probe}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert 'rank_ingest_documents_total{count="indexed"} 40.0' in text
    assert 'rank_ingest_lag_records{partition="' in text
    os.kill(triton.pid, signal.SIGSTOP)
    try:
        fresh = [item(1000 + k, image_url="broken.jpg" if k % 2 else f"{k}.jpg") for k in range(10)]
        Image.new("RGB", (50, 60), "teal").save(root / "0.jpg")  # photos that nobody has scored
        publish([{**one, "image_url": "0.jpg"} for one in fresh], kafka_bootstrap, topic=topic)
        time.sleep(2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        took = time.monotonic() - began
    finally:
        os.kill(triton.pid, signal.SIGCONT)
    assert process.returncode == 0, err
    assert json.loads(out)["interrupted"] is True
    assert took < 2 + 6
    assert stream(index=family).received == 10  # none of it was committed
    assert len(documents(es, family)) == 50


def test_partitions_lost_in_a_stall_are_read_on_when_they_come_back(kafka_bootstrap, topic, monkeypatch):
    """librdkafka keeps a pause beyond the assignment, so one lifted while nothing is assigned would stay."""
    monkeypatch.setattr("scorer.ingest.stream._STALL_S", 0.1)
    publish([item(n) for n in range(40)], kafka_bootstrap, topic=topic)
    stalled, release, stop = threading.Event(), threading.Event(), threading.Event()
    seen = set()

    class SlowOnce:
        def analyze(self, records):
            stalled.set()
            release.wait(30)
            seen.update(record.key for record in records)
            if len(seen) == 40:
                stop.set()
            return Analysis()

    class Nowhere:
        def write(self, _documents):
            return FeedResult()

    class LosesAll(Stream):
        def _on_lost(self, consumer, partitions):
            super()._on_lost(consumer, partitions)
            release.set()  # the stall ends here, between losing the partitions and getting them again
            time.sleep(0.5)

    consumer = open_consumer(kafka_bootstrap, topic)
    stream = LosesAll(
        consumer, topic, analyzer=SlowOnce(), feeder=Nowhere(), dead_letters=None, batch=5, stop=stop
    )
    running = threading.Thread(target=stream.run, daemon=True)
    running.start()
    assert stalled.wait(30)
    time.sleep(1.0)  # paused by now
    other = open_consumer(kafka_bootstrap, topic)
    other.subscribe([topic])
    until = time.monotonic() + 15
    while not other.assignment() and time.monotonic() < until:
        other.poll(0.2)
    assert other.assignment()
    other.close()
    assert stop.wait(20), f"{len(seen)} of 40 read"
    running.join(20)
