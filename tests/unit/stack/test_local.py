"""One engine's life, played by Python's own web server."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ranking.errors import StackError
from stack import local, paths, ports, process
from stack.process import Process
from stack.record import Entry, Record


def test_up_starts_it_and_the_second_up_does_nothing(start, state):
    first = start()
    second = start()
    assert (first.started, second.started) == (True, False)
    assert first.pid == second.pid
    assert first.address == second.address
    assert Record(state).get("kafka").address == first.address


def test_a_killed_engine_is_started_again_on_its_port(start, state):
    with_port = start(first_ports={"broker": 18500})
    os.kill(with_port.pid, signal.SIGKILL)
    # Without its record it would take another port than this one.
    again = start(first_ports={"broker": 18700})
    assert again.started
    assert again.pid != with_port.pid
    assert again.address == with_port.address


def test_one_that_answers_and_is_broken_is_started_again_on_its_port(start, capsys):
    first = start()
    again = start(broken="a process of model 'x' died")
    assert again.started
    assert (again.address, again.pid == first.pid) == (first.address, False)
    assert "Kafka: a process of model 'x' died; it is started again" in capsys.readouterr().err


def test_a_recycled_pid_is_not_taken_for_the_engine(start, state):
    first = start()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    entry = Record(state).get("kafka")
    os.kill(first.pid, signal.SIGKILL)
    Record(state).put(
        "kafka", Entry(address=entry.address, log=entry.log, pid=stranger.pid, began=entry.began)
    )
    try:
        assert not Record(state).get("kafka").process.alive
        assert start().started
        local.stop("kafka", Record(state).get("kafka"), state)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_down_ends_only_what_up_started(start, state):
    mine = start()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert local.stop("kafka", Record(state).get("kafka"), state) is True
        assert process.began(mine.pid) is None
        assert local.stop("kafka", None, state) is False
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_an_engine_that_ignores_sigterm_is_killed():
    deaf = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('on', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    child.stdout.readline()
    process._children[child.pid] = child
    process.stop([Process.of(child.pid)], patience_s=0.3)
    assert child.wait(5) == -signal.SIGKILL
    child.stdout.close()


def test_an_engine_that_dies_at_start_shows_the_end_of_its_log(start, state):
    script = (
        "print('first'); print('\\tat org.apache.Kafka.main(Kafka.java:1)'); raise SystemExit('no such disk')"
    )
    with pytest.raises(StackError, match="ended while starting") as caught:
        start(script=script)
    assert "no such disk" in caught.value.log_tail
    assert "Kafka.java" not in caught.value.log_tail
    assert "rank-cli stack logs kafka" in caught.value.hint
    assert Record(state).get("kafka") is None


def test_an_engine_that_never_answers_is_ended(start, state):
    with pytest.raises(StackError, match="is not ready on"):
        start(script="import time; time.sleep(60)", start_timeout_s=0.5)
    assert process.marked(f"{state.resolve()}:kafka") == []


def test_an_engine_whose_record_was_lost_is_replaced(start, state):
    first = start()
    (state / "stack.json").unlink()
    second = start()
    assert second.started
    assert second.address == first.address
    assert process.began(first.pid) is None


def test_a_port_in_use_is_passed_over_unless_it_was_demanded(start, state):
    with subprocess.Popen([sys.executable, "-m", "http.server", "18600", "--bind", "127.0.0.1"]) as squatter:
        try:
            deadline = time.monotonic() + 10
            while ports.is_free(18600) and time.monotonic() < deadline:
                time.sleep(0.05)
            with pytest.raises(StackError, match="port 18600 is in use") as caught:
                start(ports={"kafka": 18600})
            assert "--kafka-port" in caught.value.hint
            assert start(first_ports={"broker": 18600}).address != "127.0.0.1:18600"
        finally:
            squatter.kill()


def test_asking_a_running_engine_for_another_port_is_refused(start):
    start()
    with pytest.raises(StackError, match="runs already with port"):
        start(ports={"kafka": 18999})


def test_a_full_disk_is_refused_before_anything_starts(start, monkeypatch):
    class Usage:
        free = 10e6

    monkeypatch.setattr(paths.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(StackError, match=r"needs 0\.5 GB of free disk in .* 0\.0 GB are free"):
        start()


def test_two_starts_at_the_same_time_take_different_ports():
    engine = type("E", (), {"name": "kafka", "title": "Kafka", "first_ports": {"broker": 18800}})
    chosen, lock = [], threading.Lock()

    def choose():
        got = local._choose_ports(engine, None, None)
        with lock:
            chosen.append(got["broker"])

    threads = [threading.Thread(target=choose) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    local._promised.difference_update(chosen)
    assert len(set(chosen)) == 8
