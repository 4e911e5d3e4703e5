"""Redis Streams and NATS JetStream, for real: nothing is lost when the consumer or the broker is killed."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import aio_pika
import numpy as np
import pytest
from PIL import Image

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.errors import InputError, ServerError
from scorer.ingest import PhotoSource
from scorer.ingest.analyzer import Analyzer
from scorer.ingest.broker_letters import drop_at, read_dead_letters_at, replay_at
from scorer.ingest.brokers import publish_to, run_broker
from scorer.ingest.dlq import Filter
from scorer.ingest.doors import door
from scorer.ingest.feeder import Feeder
from scorer.ingest.photos import PhotoLoader
from scorer.serving import Scored
from tests.integration.broker_servers import server

pytestmark = pytest.mark.engines

T0 = 1767323045678  # epoch ms
KINDS = ["redis", "nats", "amqp"]


@pytest.fixture(scope="module", params=KINDS)
def broker(request, tmp_path_factory):
    with server(request.param, tmp_path_factory.mktemp(request.param)) as one:
        yield one


@pytest.fixture
def index(es, prefix):
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    return prefix


@pytest.fixture
def topic():
    return f"test-{secrets.token_hex(4)}"


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(7)
    for n in range(20):
        small = Image.fromarray(rng.integers(0, 256, (4, 3, 3), dtype=np.uint8))
        small.resize((48, 64)).save(tmp_path / f"{n}.jpg")
    return tmp_path


class Scorer:
    """Half for each photo, after a while."""

    def __init__(self, seconds=0.0, fail=0):
        self.seconds = seconds
        self.fail = fail

    def score(self, images):
        time.sleep(self.seconds)
        if self.fail:
            self.fail -= 1
            raise ServerError("Triton", "gone")
        return Scored(np.full(len(images), 0.5, dtype=np.float32), "half")


def consume(broker, topic, es, index, root, *, scorer=None, **options):
    loader = PhotoLoader.for_size(PhotoSource(root=root), 32)
    try:
        return run_broker(
            door(broker.url, topic=topic, group="g", at_once=48),
            analyzer=Analyzer(scorer or Scorer(), loader),
            feeder=Feeder(es, index),
            **{"batch": 16, "stop_after_idle_s": 1.5, **options},
        )
    finally:
        loader.close()


def item(n, *, updated_at=T0, **more):
    return {
        "item_id": f"item-{n}",
        "title": f"dress {n}",
        "created_at": T0,
        "updated_at": updated_at,
        "image_url": f"{n % 20}.jpg",
        **more,
    }


def documents(es, index):
    es.indices.refresh(index=index)
    hits = es.search(index=index, size=2000, query={"match_all": {}})["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_messages_arrive_scored_newest_wins_and_poison_is_set_aside(broker, topic, es, index, root):
    publish_to(broker.url, [item(n) for n in range(40)], topic=topic)
    publish_to(broker.url, [item(0, updated_at=T0 + 5, title="newer"), item(0, title="late")], topic=topic)
    put_raw(broker, topic, b"\xff poison")
    summary = consume(broker, topic, es, index, root)
    found = documents(es, index)
    assert len(found) == 40
    assert all(document["image_score"] == 0.5 for document in found.values())
    assert found["item-0"]["title"] == "newer"
    assert (summary.received, summary.dead_letters) == (43, 1)
    (letter,) = dead_letters(broker, topic)
    assert (letter["stage"], letter["original_base64"]) == ("parse", "/yBwb2lzb24=")
    assert consume(broker, topic, es, index, root).received == 0  # all of it is acknowledged


def test_dead_letters_are_listed_replayed_and_dropped_and_a_stream_ends_where_it_is_empty(
    broker, topic, es, index, root
):
    assert read_dead_letters_at(broker.url, topic) == ([], 0)  # nobody has made it yet
    publish_to(broker.url, [item(n) for n in range(30)], topic=topic)
    for word in (b"first", b"second", b"third"):
        put_raw(broker, topic, word)
    ended = {"until_empty": True, "stop_after_idle_s": None}
    assert consume(broker, topic, es, index, root, **ended).received == 33

    letters, total = read_dead_letters_at(broker.url, topic, limit=2)
    assert (total, {letter["stage"] for letter in letters}, len(letters)) == (3, {"parse"}, 2)
    letters, _ = read_dead_letters_at(broker.url, topic)  # once more: reading took none of them away
    assert sorted(letter["original"] for letter in letters) == ["first", "second", "third"]
    assert replay_at(broker.url, topic, only=Filter(stage="photo")).matched == 0
    assert replay_at(broker.url, topic, dry_run=True).to_dict()["n_published"] == 0
    done = replay_at(broker.url, topic, limit=1)
    assert (done.matched, done.published) == (1, 1)
    assert consume(broker, topic, es, index, root, **ended).received == 1
    letters, total = read_dead_letters_at(broker.url, topic)
    assert (total, letters[3]["replays"], letters[3]["original"]) == (4, 1, letters[0]["original"])

    second = letters[1]["dlq_id"]
    assert drop_at(broker.url, topic, through=second, dry_run=True) == 2
    assert drop_at(broker.url, topic, through=second) == 2
    left = [letter["original"] for letter in read_dead_letters_at(broker.url, topic)[0]]
    assert left == [letter["original"] for letter in letters[2:]]
    with pytest.raises(InputError, match="has no letter '99-9'"):
        drop_at(broker.url, topic, through="99-9")
    assert drop_at(broker.url, topic) == 2
    assert read_dead_letters_at(broker.url, topic) == ([], 0)


def test_what_was_not_written_is_delivered_again(broker, topic, es, index, root):
    publish_to(broker.url, [item(n) for n in range(20)], topic=topic)
    with pytest.raises(ServerError, match="gone"):
        consume(broker, topic, es, index, root, scorer=Scorer(fail=99))
    assert documents(es, index) == {}
    if broker.kind == "redis":  # pending in the group, for whoever claims it
        assert pending(broker, topic) == 20
        return
    assert consume(broker, topic, es, index, root).received == 20
    assert len(documents(es, index)) == 20


def test_told_to_stop_it_finishes_what_it_has(broker, topic, es, index, root):
    publish_to(broker.url, [item(n) for n in range(100)], topic=topic)
    stop = threading.Event()
    first = consume(
        *(broker, topic, es, index, root), stop=stop, stop_deadline_s=20, on_progress=lambda _: stop.set()
    )
    assert first.received == len(documents(es, index)) > 0
    assert first.interrupted is False


COMMAND = """
import sys
from tests.integration import test_ingest_brokers as t
from ranking.es import connect
import scorer.ingest.doors as doors
doors.AGAIN_S, doors.KEEP_S = 2.0, 0.5
from pathlib import Path
class Broker: url = sys.argv[1]
root = Path(sys.argv[4])
t.consume(Broker, sys.argv[2], connect(), sys.argv[3], root, scorer=t.Scorer(0.05), stop_after_idle_s=5)
"""


def start_consumer(broker, topic, index, root):
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, broker.url, topic, index, str(root)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition, seconds, process):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


def test_a_consumer_that_is_killed_leaves_the_rest_to_the_next(broker, topic, es, index, root):
    n = 240
    publish_to(broker.url, [item(k) for k in range(n)], topic=topic)
    first = start_consumer(broker, topic, index, root)
    until(lambda: len(documents(es, index)) > 0, 60, first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    written = len(documents(es, index))
    assert 0 < written < n
    second = start_consumer(broker, topic, index, root)
    _, err = second.communicate(timeout=90)
    assert second.returncode == 0, err
    assert len(documents(es, index)) == n


def test_a_broker_that_is_killed_and_comes_back_costs_no_item(broker, topic, es, index, root):
    n = 200
    publish_to(broker.url, [item(k) for k in range(n)], topic=topic)
    consumer = start_consumer(broker, topic, index, root)
    until(lambda: len(documents(es, index)) > 0, 60, consumer)
    broker.kill()
    time.sleep(1)
    broker.start()
    _, err = consumer.communicate(timeout=90)
    if len(documents(es, index)) < n:  # it ended, idle before the broker was back: the next takes the rest
        _, err = start_consumer(broker, topic, index, root).communicate(timeout=90)
    assert len(documents(es, index)) == n, err


def test_a_redis_list_is_refused_since_it_loses_messages(broker, topic, es, index, root):
    if broker.kind != "redis":
        return
    import redis

    redis.Redis.from_url(broker.url).rpush(topic, "x")
    with pytest.raises(InputError, match="is a list; only streams are read"):
        consume(broker, topic, es, index, root)


def test_a_broker_that_is_not_there_is_one_sentence(es, index, root, topic):
    class Nowhere:
        url = "redis://127.0.0.1:9"

    with pytest.raises(ServerError, match=r"Redis: nothing answers at redis://127\.0\.0\.1:9"):
        consume(Nowhere, topic, es, index, root)
    Nowhere.url = "carrier-pigeon://x"
    with pytest.raises(InputError, match="is no broker that can be read"):
        consume(Nowhere, topic, es, index, root)


def put_raw(broker, topic, value):
    if broker.kind == "redis":
        import redis

        redis.Redis.from_url(broker.url).xadd(topic, {"data": value})
    elif broker.kind == "nats":
        nats(broker, lambda js: js.publish(topic, value))
    else:

        async def put(channel):
            await channel.default_exchange.publish(aio_pika.Message(value), topic)

        rabbit(broker, put)


def dead_letters(broker, topic):
    if broker.kind == "redis":
        import redis

        entries = redis.Redis.from_url(broker.url).xrange(f"{topic}.dlq")
        return [json.loads(fields[b"data"]) for _, fields in entries]

    if broker.kind == "amqp":

        async def get(channel):
            queue = await channel.get_queue(f"{topic}.dlq")
            return [json.loads((await queue.get(no_ack=True)).body)]

        return rabbit(broker, get)

    async def read(js):
        found = await js.pull_subscribe(f"{topic}.dlq", "reader")
        return [json.loads(message.data) for message in await found.fetch(1)]

    return nats(broker, read)


def pending(broker, topic):
    import redis

    return redis.Redis.from_url(broker.url).xpending(topic, "g")["pending"]


def rabbit(broker, act):
    async def run():
        async with await aio_pika.connect(broker.url) as connection:
            return await act(await connection.channel())

    return asyncio.run(run())


def nats(broker, act):
    import nats as client

    async def run():
        connection = await client.connect(broker.url)
        try:
            return await act(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(run())
