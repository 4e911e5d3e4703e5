"""Labelling in a process of its own that is killed or interrupted; everything else is in tests/unit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.unit.scorer.test_labelling import SECRET, command, server, shop  # noqa: F401


def test_a_run_killed_in_the_middle_goes_on_and_pays_for_nothing_twice(server, tmp_path):  # noqa: F811
    shop(tmp_path, 14)
    server.delay_s = 0.25
    program = [sys.executable, "-c", "from ranking.cli import main; main()", *command(server, tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    child = subprocess.Popen(program, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(server.billed) < 5 and time.monotonic() < until and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    journal = (tmp_path / "out" / "answers.jsonl").read_bytes()
    received = {json.loads(line)["key"] for line in journal.splitlines(keepends=True) if line.endswith(b"\n")}
    assert 0 < len(received) < 14
    assert not (tmp_path / "out" / "labels.jsonl").exists()
    server.delay_s = 0.0
    time.sleep(0.5)  # what was in flight ends on the server
    n = len(server.bodies)
    done = subprocess.run([*program, "--format", "json"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    asked_again = {header["Idempotency-Key"] for header in server.headers[n:]}
    assert not asked_again & received  # what was paid and received is not asked for again
    assert (told["labelled"], told["from_journal"]) == (14, len(received))
    assert told["maybe_billed"] <= 2  # no more than were in flight
    assert len(server.billed) == 14
    assert len(server.bodies) - n == 14 - len(received)
    assert SECRET not in done.stdout + done.stderr


def test_an_interrupt_keeps_what_was_answered_and_says_how_to_go_on(server, tmp_path):  # noqa: F811
    shop(tmp_path, 14)
    server.delay_s = 0.25
    program = [sys.executable, "-c", "from ranking.cli import main; main()", *command(server, tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # behind `&` and nohup it is ignored,
    child = subprocess.Popen(program, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)  # and children inherit that
    until = time.monotonic() + 60
    while len(server.billed) < 4 and time.monotonic() < until and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=30)
    assert child.returncode == 1
    assert "stopped: interrupted; the same command goes on" in stderr
    assert "Traceback" not in stderr
    assert len((tmp_path / "out" / "answers.jsonl").read_bytes().splitlines()) == len(server.billed) < 14
