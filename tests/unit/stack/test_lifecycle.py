import json
import multiprocessing
import socket
import struct
import threading

import pytest

from ranking.errors import ConfigError, StackError
from ranking.settings import get_settings
from stack import down, lifecycle, logs, status, up
from stack.record import Entry, Record, locked


@pytest.fixture
def broker():
    """Answers each ApiVersions request as a broker would; yields its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                *_, correlation_id = struct.unpack(">ihhi", connection.recv(100)[:12])
                connection.sendall(struct.pack(">iihi", 10, correlation_id, 0, 60))

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.close()


def test_an_engine_named_by_the_environment_is_used_and_nothing_is_started(broker, monkeypatch, state):
    monkeypatch.setenv("KAFKA_BOOTSTRAP", broker)
    get_settings.cache_clear()
    found = up(["kafka"])["kafka"]
    assert (found.address, found.started, found.managed) == (broker, False, False)
    assert not (state / "stack.json").exists()
    assert status(["kafka"])["kafka"].state == "ready"
    assert down(["kafka"]) == []


def test_an_engine_named_by_the_environment_that_is_absent_is_an_error(monkeypatch):
    monkeypatch.setattr(lifecycle, "EXTERNAL_PATIENCE_S", 0.0)
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://127.0.0.1:1")
    get_settings.cache_clear()
    with pytest.raises(StackError, match=r"ELASTICSEARCH_URL names http://127\.0\.0\.1:1") as caught:
        up(["elasticsearch"])
    assert "unset ELASTICSEARCH_URL" in caught.value.hint
    assert status(["elasticsearch"])["elasticsearch"].state == "not answering"


def test_status_of_nothing_is_stopped():
    assert {name: found.state for name, found in status().items()} == {
        "elasticsearch": "stopped",
        "triton": "stopped",
        "kafka": "stopped",
    }


def test_an_unknown_engine_is_named():
    with pytest.raises(StackError, match="no engine is called 'redis'"):
        up(["redis"])


def test_an_unknown_elasticsearch_version_names_the_known_ones():
    with pytest.raises(StackError) as caught:
        up(["elasticsearch"], options=lifecycle.Options(es_version="7.17"))
    assert "9.4.3, 8.19.13" in caught.value.hint


def test_the_record_is_what_the_settings_read(state):
    record = Record(state)
    record.put("elasticsearch", Entry(address="http://127.0.0.1:9200", log=""))
    record.put("triton", Entry(address="127.0.0.1:8001", log=""))
    assert get_settings().endpoint("Elasticsearch") == "http://127.0.0.1:9200"
    assert get_settings().endpoint("Triton") == "127.0.0.1:8001"
    record.remove("triton")
    assert "triton_url" not in json.loads((state / "stack.json").read_text())


def test_a_broken_record_is_an_error_that_says_what_to_delete(state):
    (state / "stack.json").write_text("{")
    with pytest.raises(ConfigError) as caught:
        status()
    assert "delete it" in caught.value.hint


def test_a_record_copied_with_a_checkout_is_not_ours(state, tmp_path):
    Record(state).put("kafka", Entry(address="127.0.0.1:9092", log="", pid=1, began="x"))
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "stack.json").write_text((state / "stack.json").read_text())
    assert Record(copy).entries() == {}


def test_logs_of_an_engine_that_never_ran_say_how_to_start_it():
    with pytest.raises(StackError) as caught:
        list(logs("triton"))
    assert "rank-cli stack up triton" in caught.value.hint


def test_logs_are_the_last_lines(state):
    log = state / "kafka" / "logs" / "kafka.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    assert list(logs("kafka", lines=2)) == ["line 98", "line 99"]


def test_follow_prints_what_is_added_and_survives_rotation(state):
    log = state / "kafka" / "logs" / "kafka.log"
    log.parent.mkdir(parents=True)
    log.write_text("old\n")
    lines = logs("kafka", lines=5, follow=True)
    assert next(lines) == "old"
    # What is added before the next look counts as added.
    timer = threading.Timer(0.1, lambda: log.open("a").write("added\n"))
    timer.start()
    assert next(lines) == "added"
    log.rename(log.with_suffix(".1"))
    log.write_text("after rotation\n")
    assert next(lines) == "after rotation"


def _hold(path, entered, leave):
    with locked(path, "busy"):
        entered.set()
        leave.wait(20)


def test_a_second_process_waits_for_the_first(tmp_path, capsys):
    context = multiprocessing.get_context("spawn")
    entered, leave = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "lock", entered, leave))
    other.start()
    assert entered.wait(20)
    threading.Timer(0.3, leave.set).start()
    with locked(tmp_path / "lock", "busy"):
        assert leave.is_set()
    other.join()
