import json
from concurrent.futures import Future

import numpy as np
import pytest

from ranking.errors import ServerError
from ranking.item_message import AiGenerated
from scorer.ingest.analyzer import Analyzer
from scorer.ingest.photos import Photo, PhotoError
from scorer.ingest.records import DeadLetter, Record
from scorer.serving.client import BadScoresError, Scored

NOW = 1767323045678


class FakeScorer:
    """Scores a photo with the share of white in it; notes how many photos came at a time."""

    def __init__(self):
        self.batches = []

    def score(self, images):
        self.batches.append(len(images))
        scores = (images.mean(axis=(1, 2, 3)) / 255).astype(np.float32)
        bad = images[:, 0, 0, 0] == 13  # this stands for weights that answer NaN
        if bad.any():
            raise BadScoresError(np.where(bad, np.nan, scores).astype(np.float32), bad, "w1")
        return Scored(scores, "w1")


class FakeLoader:
    """Photos by name: a number is that grey, "broken" cannot be decoded."""

    def submit(self, url):
        future = Future()
        if url == "broken":
            future.set_exception(PhotoError("the photo cannot be decoded"))
        else:
            grey, _, ai = url.partition(" ")
            pixels = np.full((4, 4, 3), int(grey), dtype=np.uint8)
            future.set_result(
                Photo(pixels, AiGenerated(probability=float(ai), source="file") if ai else None)
            )
        return future


def record(item_id, *, updated_at=NOW, offset=0, **more):
    body = {"item_id": item_id, "title": "dress", "created_at": NOW, "updated_at": updated_at, **more}
    return Record(json.dumps(body).encode(), item_id.encode(), "items", 1, offset)


@pytest.fixture
def scorer():
    return FakeScorer()


@pytest.fixture
def analyzer(scorer):
    return Analyzer(scorer, FakeLoader(), score_batch=2, now_ms=lambda: NOW)


def test_photos_are_scored_in_batches_and_scores_go_to_their_items(analyzer, scorer):
    analysis = analyzer.analyze([record(f"i{n}", image_url=str(51 * n)) for n in range(5)])
    assert scorer.batches == [2, 2, 1]
    assert analysis.dead_letters == []
    got = {document.item_id: document.source["image_score"] for document in analysis.documents}
    assert got == pytest.approx({"i0": 0.0, "i1": 0.2, "i2": 0.4, "i3": 0.6, "i4": 0.8})
    first = analysis.documents[0]
    assert first.version == NOW
    assert first.source["image_score_version"] == "w1"
    assert first.source["image_scored_at"] == "2026-01-02T03:04:05.678Z"


def test_an_item_without_a_usable_photo_goes_on_without_a_score(analyzer):
    analysis = analyzer.analyze(
        [record("none"), record("bad", image_url="broken"), record("ok", image_url="255")]
    )
    assert [(d.item_id, d.is_scored) for d in analysis.documents] == [
        ("none", False),
        ("bad", False),
        ("ok", True),
    ]
    assert {(d.item_id, d.stage, d.reason) for d in analysis.dead_letters} == {
        ("none", "photo", "the item has no photo"),
        ("bad", "photo", "the photo cannot be decoded"),
    }


def test_a_message_that_cannot_be_understood_is_set_aside_alone(analyzer):
    poison = Record(b"\xff{", b"k", "items", 2, 9)
    analysis = analyzer.analyze([poison, record("ok", image_url="255")])
    assert [d.item_id for d in analysis.documents] == ["ok"]
    (letter,) = analysis.dead_letters
    assert (letter.stage, letter.record, letter.item_id) == ("parse", poison, "k")
    assert letter.reason.startswith("not JSON")


def test_the_more_suspicious_of_file_and_message_says_how_a_photo_was_made(analyzer):
    declared = {"probability": 0.3, "source": "seller"}
    analysis = analyzer.analyze(
        [
            record("file", image_url="255 0.9", ai_generated=declared),
            record("message", image_url="255 0.1", ai_generated=declared),
            record("alone", image_url="255 0.02"),
            record("nobody", image_url="255"),
            record("broken", image_url="broken", ai_generated=declared),
        ]
    )
    got = {document.item_id: document.source.get("ai_generated") for document in analysis.documents}
    assert got == {
        "file": {"probability": 0.9, "source": "file"},
        "message": declared,
        "alone": {"probability": 0.02, "source": "file"},
        "nobody": None,
        "broken": declared,
    }


def test_only_the_newest_message_of_an_item_is_used_whatever_its_place(analyzer, scorer):
    records = [
        record("a", updated_at=NOW + 2, title="newest", image_url="255"),
        record("a", updated_at=NOW + 1, title="older", image_url="0"),
        record("b", title="first", image_url="0"),
        record("b", title="said again", image_url="255"),
    ]
    analysis = analyzer.analyze(records)
    assert {d.item_id: d.source["title"] for d in analysis.documents} == {"a": "newest", "b": "said again"}
    assert analysis.superseded == 2
    assert sum(scorer.batches) == 2


def change(item_id, *, at=0, offset=0, **changed):
    body = {"item_id": item_id, "partial": True, "updated_at": NOW + at, **changed}
    return Record(json.dumps(body).encode(), item_id.encode(), "items", 1, offset)


def test_a_change_of_the_price_alone_needs_no_photo_and_is_no_dead_letter(analyzer, scorer):
    analysis = analyzer.analyze([change("a", price=3, category=None), change("b", image_url="255")])
    assert not analysis.dead_letters
    price, photo = analysis.documents
    assert price.merged == {
        "item_id": "a",
        "updated_at": "2026-01-02T03:04:05.678Z",
        "price": 3.0,
        "category": None,
    }
    assert (price.is_partial, price.has_photo, price.is_scored) == (True, False, False)
    assert (photo.has_photo, photo.source["image_score"]) == (True, 1.0)
    assert scorer.batches == [1]


def test_of_a_batch_only_the_changes_are_kept_that_nothing_newer_says_again(analyzer):
    records = [
        change("a", at=1, price=1),  # older than the whole message
        change("a", at=5, price=5),  # said again by the next
        change("a", at=9, price=9, category="coat"),
        change("a", at=7, title="kept", price=7),
        record("a", updated_at=NOW + 3, title="whole", image_url="255"),
        record("a", updated_at=NOW + 2, title="older", image_url="255"),
        change("a", at=9, price=10),  # as new as another, and later
    ]
    analysis = analyzer.analyze(records)
    got = [(d.version - NOW, d.source.get("price"), d.source.get("title")) for d in analysis.documents]
    assert got == [(3, None, "whole"), (7, 7.0, "kept"), (9, 9.0, None), (9, 10.0, None)]
    assert analysis.superseded == 3


def test_a_deleted_item_is_marked_and_its_photo_left_alone(analyzer, scorer):
    tombstone = Record(None, b"t", "items", 0, 3, timestamp_ms=NOW)
    analysis = analyzer.analyze([record("d", status="deleted", image_url="9"), tombstone])
    assert [(d.item_id, d.is_deleted, d.is_scored) for d in analysis.documents] == [
        ("d", True, False),
        ("t", True, False),
    ]
    assert scorer.batches == []
    assert analysis.dead_letters == []


@pytest.mark.parametrize(
    "nothing", [Record(None, None), Record(None, b"\xff", timestamp_ms=NOW), Record(None, b"k")]
)
def test_a_tombstone_without_a_key_or_a_time_is_set_aside(analyzer, nothing):
    analysis = analyzer.analyze([nothing])
    assert (len(analysis.documents), len(analysis.dead_letters)) == (0, 1)


def test_one_bad_score_does_not_cost_its_neighbours_theirs(analyzer):
    analysis = analyzer.analyze([record("nan", image_url="13"), record("ok", image_url="255")])
    assert [(d.item_id, d.is_scored) for d in analysis.documents] == [("nan", False), ("ok", True)]
    (letter,) = analysis.dead_letters
    assert (letter.item_id, letter.stage) == ("nan", "score")


def test_a_scorer_that_is_gone_stops_the_batch(analyzer, monkeypatch, scorer):
    def gone(_):
        raise ServerError("Triton", "nothing answers")

    monkeypatch.setattr(scorer, "score", gone)
    with pytest.raises(ServerError):
        analyzer.analyze([record("a", image_url="1")])


def test_a_dead_letter_carries_the_original_text_or_its_bytes():
    def letter(value):
        return DeadLetter(Record(value, None, "items", 1, 7), "parse", "not JSON", "2026-01-02T00:00:00.000Z")

    assert letter(b"{").to_dict() == {
        "reason": "not JSON",
        "stage": "parse",
        "item_id": None,
        "topic": "items",
        "partition": 1,
        "offset": 7,
        "at": "2026-01-02T00:00:00.000Z",
        "original": "{",
    }
    assert letter(b"\xff").to_dict()["original_base64"] == "/w=="


def test_photos_are_loaded_ahead_of_the_scorer_and_not_all_at_once(scorer):
    """What was begun and not yet scored takes room: it is bounded, however large the batch of messages is."""
    loader = FakeLoader()
    begun, ahead = 0, []
    submit = loader.submit

    def counted(url):
        nonlocal begun
        begun += 1
        ahead.append(begun - sum(scorer.batches))
        return submit(url)

    loader.submit = counted
    analysis = Analyzer(scorer, loader, score_batch=16).analyze(
        [record(f"i{n}", image_url=str(n % 256)) for n in range(500)]
    )
    assert sum(document.is_scored for document in analysis.documents) + len(analysis.dead_letters) == 500
    assert sum(scorer.batches) == 500
    assert 64 <= max(ahead) <= 64 + 16 + 1
