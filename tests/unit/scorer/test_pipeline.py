"""The streaming pipeline's pure parts, and its program's flags."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest

from ranking.beam import new_pipeline
from ranking.errors import InputError

beam = pytest.importorskip("apache_beam")
from apache_beam.io.gcp.pubsub import PubsubMessage  # noqa: E402

from scorer.ingest.records import Record  # noqa: E402
from scorer.pipeline.__main__ import run  # noqa: E402
from scorer.pipeline.steps import item_key, to_record  # noqa: E402


def test_all_changes_of_one_item_have_one_key_whatever_the_message_names_it_by() -> None:
    body = json.dumps({"item_id": "m1", "price": 3}).encode()
    keys = {
        item_key(Record(value=body), 64),
        item_key(Record(value=b'{"item_id": "m1", "status": "deleted"}'), 64),
        item_key(Record(value=None, key=b"m1"), 64),
    }
    assert len(keys) == 1
    assert len({item_key(Record(value=b'{"item_id": "%d"}' % n), 64) for n in range(500)}) == 64


@pytest.mark.parametrize("value", [b"\xff", b"[]", b"3", b"{}", b"", None])
def test_a_message_that_names_no_item_has_a_key_too(value: bytes | None) -> None:
    assert 0 <= item_key(Record(value=value), 8) < 8


def test_a_pubsub_message_becomes_a_record_and_an_empty_one_a_tombstone() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    message = PubsubMessage(b'{"item_id": "a"}', {}, "7", at)
    record = Record(value=b'{"item_id": "a"}', topic="s", timestamp_ms=1_767_323_045_678)
    assert to_record(message, "s") == record
    gone = to_record(PubsubMessage(b"", {"item_id": "a"}, "8", at), "s")
    assert (gone.value, gone.key) == (None, b"a")
    assert to_record(PubsubMessage(None, {"x": "y"}, ordering_key="b")).key == b"b"
    assert to_record(b"raw") == Record(value=b"raw")


NEEDED = ["--subscription", "projects/proj-1/subscriptions/s", "--dead-letters", "projects/proj-1/topics/d"]


def test_the_program_refuses_a_secret_and_a_name_that_is_none() -> None:
    with pytest.raises(InputError, match="looks like a secret"):
        run([*NEEDED, "--es_api_key=x"])
    with pytest.raises(InputError, match="Pub/Sub"):
        run(["--subscription", "items", "--dead-letters", "projects/proj-1/topics/d"])


def test_what_is_not_installed_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.pubsub", None)
    with pytest.raises(InputError, match="Pub/Sub needs Google's client library") as raised:
        run(NEEDED)
    assert raised.value.hint == "pip install 'apache-beam[gcp]'"


def test_a_runner_that_lacks_flags_says_which() -> None:
    with pytest.raises(InputError, match=r"Beam: .*Missing required option: region") as raised:
        new_pipeline(["--project=proj-1", "--temp_location=gs://bucket-1/x"], "DataflowRunner")
    assert "\n" not in str(raised.value)
