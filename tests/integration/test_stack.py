"""The three engines for real, in a state folder of their own beside whatever else runs."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import stack
from ranking.errors import StackError
from ranking.settings import get_settings
from stack import process
from tests.jvm import SHORT_LIVED

pytestmark = pytest.mark.engines

DOUBLE_CONFIG = """\
backend: "python"
input [{ name: "x", data_type: TYPE_FP32, dims: [2] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [2] }]
"""
DOUBLE_MODEL = """\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        doubled = [pb_utils.get_input_tensor_by_name(r, "x").as_numpy() * 2 for r in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", y)]) for y in doubled]
"""


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """All three, started in a temporary state folder; ended and deleted afterwards."""
    patch = pytest.MonkeyPatch()
    state = tmp_path_factory.mktemp("state")
    for name in ("ELASTICSEARCH_URL", "TRITON_URL", "KAFKA_BOOTSTRAP"):
        patch.delenv(name, raising=False)
    patch.setenv("RANK_STATE_DIR", str(state))
    patch.setenv("ES_JAVA_OPTS", SHORT_LIVED)
    get_settings.cache_clear()
    try:
        started = stack.up(options=stack.Options(es_heap="512m"))
        yield started
    except StackError as e:
        if os.environ.get("CI"):
            pytest.fail(f"{e}\n{e.log_tail}")
        pytest.skip(f"{e}\n{e.log_tail}")
    finally:
        stack.down(purge=True)
        patch.undo()
        get_settings.cache_clear()


def request(method: str, url: str, body: dict | None = None) -> dict:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(url, data, headers, method=method), timeout=30
    ) as answer:
        return json.load(answer)


def double(address: str) -> list[float]:
    from tritonclient import grpc

    client = grpc.InferenceServerClient(address)
    client.load_model("double")
    x = grpc.InferInput("x", [2], "FP32")
    x.set_data_from_numpy(np.array([1.0, 2.5], dtype=np.float32))
    answer = client.infer("double", [x]).as_numpy("y").tolist()
    client.close()
    return answer


def send_and_read(bootstrap: str, value: bytes, *, expect: int) -> set[bytes]:
    """Send one message, then read the topic from its beginning until `expect` messages came."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

    topic = "stack-test"
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, value)
    assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    read: set[bytes] = set()
    deadline = time.monotonic() + 30
    while len(read) < expect and time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is not None and not message.error():
            read.add(message.value())
    consumer.close()
    return read


def test_each_engine_does_its_work(engines):
    es = engines["elasticsearch"].address
    request("PUT", f"{es}/items/_doc/1?refresh=true", {"title": "linen shirt"})
    assert request("GET", f"{es}/items/_search?q=linen")["hits"]["total"]["value"] == 1
    script = {
        "query": {
            "script_score": {
                "query": {"match_all": {}},
                "script": {"source": "Math.sqrt(params.n)", "params": {"n": 9}},
            }
        }
    }
    assert request("POST", f"{es}/items/_search", script)["hits"]["max_score"] == 3.0

    # Written after the server started: an empty repository is no obstacle, and a client loads it.
    version = get_settings().state_dir / "triton" / "models" / "double" / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(DOUBLE_CONFIG)
    (version / "model.py").write_text(DOUBLE_MODEL)
    assert double(engines["triton"].address) == [2.0, 5.0]

    assert send_and_read(engines["kafka"].address, b"one", expect=1) == {b"one"}


def test_the_settings_find_them(engines):
    assert get_settings().endpoint("Elasticsearch") == engines["elasticsearch"].address
    assert get_settings().endpoint("Triton") == engines["triton"].address
    assert get_settings().endpoint("Kafka") == engines["kafka"].address


def test_a_second_up_finds_the_same_processes(engines):
    again = stack.up()
    assert not any(engine.started for engine in again.values())
    assert {name: engine.pid for name, engine in again.items()} == {
        name: engine.pid for name, engine in engines.items()
    }


def test_after_a_kill_they_come_back_at_their_addresses_with_their_data(engines):
    for engine in stack.status().values():
        os.kill(engine.pid, signal.SIGKILL)
    # One by name, as a user would who saw it die; then the others.
    assert stack.up(["triton"])["triton"].started
    again = stack.up()
    assert {name: engine.started for name, engine in again.items()} == {
        "elasticsearch": True,
        "triton": False,
        "kafka": True,
    }
    for name, engine in again.items():
        assert engine.address == engines[name].address
        assert engine.pid != engines[name].pid
    es = again["elasticsearch"].address
    assert request("GET", f"{es}/items/_doc/1")["_source"] == {"title": "linen shirt"}
    assert double(again["triton"].address) == [2.0, 5.0]
    assert send_and_read(again["kafka"].address, b"two", expect=2) == {b"one", b"two"}


def alive() -> int:
    """What the liveness probe of the deployment says."""
    port = json.loads((get_settings().state_dir / "stack.json").read_text())["engines"]["triton"]["ports"][
        "http"
    ]
    probe = Path(__file__).parents[2] / "deploy" / "docker" / "triton_alive.py"
    return subprocess.run([sys.executable, str(probe), str(port)], check=False).returncode


def test_a_triton_whose_model_process_died_is_started_again(engines):
    triton = stack.status()["triton"]
    stubs = [
        pid
        for pid in process.marked(f"{get_settings().state_dir.resolve()}:triton")
        if "python_backend_stub" in Path(f"/proc/{pid}/cmdline").read_text()
    ]
    assert stubs
    assert alive() == 0
    for pid in stubs:
        os.kill(pid, signal.SIGKILL)
    assert alive() == 1
    again = stack.up(["triton"])["triton"]
    assert again.started
    assert (again.address, again.pid == triton.pid) == (triton.address, False)
    assert alive() == 0
    assert double(again.address) == [2.0, 5.0]


def test_down_stops_them_with_their_children_and_up_keeps_the_data(engines):
    state = get_settings().state_dir.resolve()
    assert sorted(stack.down()) == sorted(stack.ENGINES)
    assert {engine.state for engine in stack.status().values()} == {"stopped"}
    assert [process.marked(f"{state}:{name}") for name in stack.ENGINES] == [[], [], []]
    assert "elasticsearch_url" not in get_settings().local_stack()
    es = stack.up(["elasticsearch"])["elasticsearch"].address
    assert request("GET", f"{es}/items/_doc/1")["found"] is True


def test_an_engine_that_cannot_start_says_why(engines):
    stack.down(["kafka"])
    with pytest.raises(StackError, match="Kafka: ended while starting") as caught:
        stack.up(["kafka"], options=stack.Options(kafka_heap="1m"))
    assert "heap" in caught.value.log_tail
    assert "rank-cli stack logs kafka" in caught.value.hint
