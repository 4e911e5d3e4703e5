import functools
import json

import pytest
from typer.testing import CliRunner

from ranking.cli.ingest import app
from ranking.errors import InputError, ServerError
from ranking.kafka import ensure_topics
from ranking.settings import get_settings
from scorer import ingest
from scorer.ingest import IngestSummary

NOWHERE = "127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_engines(monkeypatch):
    for name in ("TRITON_URL", "KAFKA_BOOTSTRAP"):
        monkeypatch.setenv(name, NOWHERE)
    monkeypatch.setenv("ELASTICSEARCH_URL", f"http://{NOWHERE}")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


COMMANDS = (["stream"], ["publish"], ["dlq", "list"], ["dlq", "replay"], ["dlq", "drop"])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_to_paste(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert f"Example: rank-cli ingest {' '.join(command)}" in " ".join(result.stdout.split())


def test_a_photos_root_that_is_not_there_is_a_wrong_argument(tmp_path):
    result = run("stream", "--photos-root", tmp_path / "absent")
    assert result.exit_code == 2
    assert "does not exist" in " ".join(result.stderr.replace("│", " ").split())


def test_an_engine_that_is_not_there_is_one_sentence_and_what_to_type(tmp_path, monkeypatch):
    sooner = functools.partial(ensure_topics, timeout_s=0.5)
    monkeypatch.setattr("scorer.ingest.publisher.ensure_topics", sooner)
    result = run("stream")
    assert isinstance(result.exception, ServerError)
    assert str(result.exception).startswith(f"Triton: nothing answers at {NOWHERE}")
    assert "rank-cli stack up triton" in result.exception.hint
    path = tmp_path / "items.jsonl"
    path.write_text(
        '{"item_id": "a", "title": "t", "created_at": 1767323045678, "updated_at": 1767323045678}\n'
    )
    result = run("publish", path)
    assert isinstance(result.exception, ServerError)
    assert "rank-cli stack up kafka" in result.exception.hint


def test_a_wrong_line_is_found_before_anything_is_sent(tmp_path):
    path = tmp_path / "items.jsonl"
    good = '{"item_id": "a", "title": "t", "created_at": 1767323045678, "updated_at": 1767323045678}\n'
    path.write_text(good + '{"item_id": "a"}\n')
    result = run("publish", path)
    assert isinstance(result.exception, InputError)
    assert "line 2" in str(result.exception)


def test_the_summary_is_printed_as_json_on_stdout_and_notes_on_stderr(monkeypatch):
    asked = {}

    def fake(**options):
        asked.update(options)
        return IngestSummary(received=3, indexed=2, scored=2, dead_letters=1, seconds=0.5)

    monkeypatch.setattr(ingest, "run_stream", fake)
    result = run("stream", "--until-empty", "--background", "--topic", "t", "--format", "json")
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert (printed["received"], printed["scored"], printed["per_second"]) == (3, 2, 6.0)
    assert "rank-cli ingest dlq list --topic t" in result.stderr
    assert (asked["until_empty"], asked["priority"], asked["index"]) == (True, 2, "items")


def test_what_the_operator_chose_reaches_the_stream(monkeypatch):
    asked = {}

    def fake(**options):
        asked.update(options)
        return IngestSummary(received=3, indexed=3, unscored=3, awaiting_score=3)

    monkeypatch.setattr(ingest, "run_stream", fake)
    choice = ["--when-scoring-fails", "index-unscored", "--give-up-s", "4", "--recheck-photos"]
    choice += ["--from", "nats://n:4222", "--stop-deadline-s", "9", "--log-format", "json"]
    result = run("stream", *choice)
    assert result.exit_code == 0
    assert (asked["when_scoring_fails"], asked["give_up_s"]) == ("index-unscored", 4)
    assert (asked["trust_urls"], asked["reuse_scores"]) == (False, True)
    assert (asked["broker_url"], asked["stop_deadline_s"]) == ("nats://n:4222", 9)
    lines = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if line["event"] == "awaiting_score"]
    assert "rank-cli ingest backfill" in told["message"]


@pytest.mark.parametrize("words", [["list"], ["replay"], ["drop", "--yes"]])
def test_dead_letters_of_a_broker_that_cannot_be_read_are_one_sentence(words):
    result = run("dlq", *words, "--from", "http://user:secret@example.org")
    assert isinstance(result.exception, InputError)
    assert "'http://example.org' is no broker" in str(result.exception)
    result = run("dlq", *words, "--from", "redis://user:secret@127.0.0.1:9")
    assert isinstance(result.exception, ServerError)
    assert str(result.exception).startswith("Redis: nothing answers at redis://127.0.0.1:9")


def test_an_offset_of_kafka_is_a_number():
    result = run("dlq", "drop", "--through", "1795000000000-0")
    assert result.exit_code == 2
    assert "is no offset" in result.stderr


def test_a_port_that_cannot_be_had_is_found_before_anything_is_read(monkeypatch):
    monkeypatch.setattr(ingest, "run_stream", lambda **_: pytest.fail("it was started"))
    result = run("stream", "--metrics-port", "0", "--metrics-host", "203.0.113.1")  # of nobody
    assert isinstance(result.exception, InputError)
    assert "203.0.113.1:0" in str(result.exception)


def test_a_broker_of_another_kind_is_refused_before_an_engine_is_asked():
    result = run("stream", "--from", "http://user:secret@example.org")
    assert isinstance(result.exception, InputError)
    assert "redis://, nats:// or amqp://" in str(result.exception)
    assert "secret" not in str(result.exception)
