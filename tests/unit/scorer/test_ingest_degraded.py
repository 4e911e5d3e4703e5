"""Items go on unscored only where that was chosen, and only as long as the scorer is gone."""

import json

import numpy as np
import pytest

from ranking.errors import ServerError
from scorer.ingest.analyzer import Analyzer
from scorer.ingest.degraded import GivingUp
from scorer.ingest.records import Record
from scorer.serving.client import BadScoresError, Scored
from tests.unit.scorer.test_ingest_analyzer import FakeLoader

NOW = 1767323045678
ONE = np.zeros((1, 4, 4, 3), dtype=np.uint8)


class Scorer:
    def __init__(self):
        self.asked = 0
        self.error = None

    def score(self, images):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Scored(np.full(len(images), 0.5, dtype=np.float32), "w")


def record(item_id):
    body = {"item_id": item_id, "title": "d", "created_at": NOW, "updated_at": NOW, "image_url": "255"}
    return Record(json.dumps(body).encode(), item_id.encode())


def test_by_default_a_scorer_that_is_gone_stops_the_batch():
    scorer = Scorer()
    scorer.error = ServerError("Triton", "gone")
    with pytest.raises(ServerError, match="gone"):
        Analyzer(scorer, FakeLoader()).analyze([record("a")])


def test_where_it_was_chosen_items_go_on_without_a_version_for_the_backfill_to_find():
    scorer = Scorer()
    scorer.error = ServerError("Triton", "gone")
    analysis = Analyzer(scorer, FakeLoader(), index_unscored=True).analyze([record("a"), record("b")])
    assert analysis.awaiting_score == 2
    assert analysis.dead_letters == []  # the message is good; nothing is to be replayed
    for document in analysis.documents:
        assert "image_score" not in document.source
        assert "image_score_version" not in document.source
        assert document.source["image_url"] == "255"


def test_it_waits_once_and_then_asks_now_and_then_until_the_scorer_is_back():
    patient, quick, said, now = Scorer(), Scorer(), [], 0.0
    scorer = GivingUp(patient, quick, retry_s=5, on_change=said.append, clock=lambda: now)
    assert scorer.score(ONE).model_version == "w"
    patient.error = quick.error = ServerError("Triton", "gone")
    for _ in range(10):
        with pytest.raises(ServerError):
            scorer.score(ONE)
    assert (patient.asked, quick.asked) == (2, 0)  # the second wait was the last
    now = 5.0
    for _ in range(10):
        with pytest.raises(ServerError):
            scorer.score(ONE)
    assert (patient.asked, quick.asked) == (2, 1)
    patient.error = quick.error = None
    now = 10.0
    assert scorer.score(ONE).model_version == "w"
    assert scorer.score(ONE).model_version == "w"
    assert (patient.asked, quick.asked) == (3, 2)
    assert [word.split(";")[0] for word in said] == ["Triton: gone", "photos are scored again"]


def test_a_bad_score_is_no_reason_to_give_the_scorer_up():
    patient, quick = Scorer(), Scorer()
    scorer = GivingUp(patient, quick)
    patient.error = BadScoresError(np.array([np.nan], np.float32), np.array([True]), "w")
    for _ in range(2):
        with pytest.raises(BadScoresError):
            scorer.score(ONE)
    assert (patient.asked, quick.asked) == (2, 0)
