"""The ingest pipeline on a real server: what is clamped, what is defaulted, what goes to the failures."""

from __future__ import annotations

import math
import time
from contextlib import suppress

import pytest
from elasticsearch import ConflictError

from scorer.ingest.analyzer import Document
from scorer.ingest.feeder import Feeder
from scorer.ingest.records import Record

pytestmark = pytest.mark.engines


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (0.25, 0.25),
        ("0.5", 0.5),
        (0, 0.0),
        (1.0000005, 1.0),  # rounding noise of a float32 sigmoid
        (-0.0000005, 0.0),
        (None, None),
        ("", None),
    ],
)
def test_a_score_is_typed_and_rounding_noise_is_clamped(es, family, given, kept) -> None:
    es.index(index=family, id="a", document={"item_id": "a", "image_score": given}, refresh=True)
    source = es.get(index=family, id="a")["_source"]
    assert source.get("image_score") == kept
    assert isinstance(source.get("image_score", 0.0), float)
    assert math.isfinite(source["ingested_at"])


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"image_score": 1.5}, "image_score is 1.5, not within [0, 1]"),
        ({"image_score": 1.00001}, "image_score is 1.00001, not within [0, 1]"),
        ({"image_score": -3}, "image_score is -3, not within [0, 1]"),
        ({"image_score": "NaN"}, "image_score is NaN, not within [0, 1]"),
        ({"image_score": "Infinity"}, "image_score is Infinity, not within [0, 1]"),
        ({"image_score": "good"}, "image_score is good, not a number"),
        ({"image_score": [0.1, 0.2]}, "image_score is [0.1, 0.2], not a number"),
        ({"image_score": {"a": 1}}, "image_score is {a=1}, not a number"),
        ({"ai_generated": {"probability": 2}}, "ai_generated.probability is 2, not within [0, 1]"),
        ({"ai_generated": "yes"}, "ai_generated is no object {probability, source}"),
        ({"image_attributes": {"contrast": "NaN"}}, "image_attributes.contrast is NaN, not finite"),
        ({"image_attributes": {"contrast": 1e39}}, "image_attributes.contrast is 1.0E39, not finite"),
        ({"image_attributes": 3}, "image_attributes is no object of numbers"),
    ],
)
def test_what_cannot_be_used_goes_to_the_failure_index_with_its_reason(es, family, document, reason) -> None:
    before = time.time() * 1000
    original = {"item_id": "a", "title": "dress", **document}
    answer = es.index(index=family, id="a", document=original, refresh=True)
    assert answer["_index"] == f"{family}-failures-000001"
    failure = es.get(index=f"{family}-failures", id="a")["_source"]
    assert failure["reason"] == reason
    assert failure["original"] == original | {"status": "on_sale"}
    assert failure["index"] == family
    assert failure["item_id"] == "a"
    assert before - 1000 < failure["failed_at"] < time.time() * 1000 + 1000
    assert not es.exists(index=family, id="a")


def test_item_id_and_status_are_defaulted_and_nothing_else_is(es, family) -> None:
    es.index(index=family, id="a", document={"title": "dress"})
    source = es.get(index=family, id="a")["_source"]
    assert source.pop("ingested_at") > 0
    assert source == {"title": "dress", "item_id": "a", "status": "on_sale"}
    answer = es.index(index=family, document={"title": "nobody's"})
    failure = es.get(index=f"{family}-failures", id=answer["_id"])["_source"]
    assert failure["reason"] == "item_id is missing, and the request gave no _id"


def test_a_version_without_a_score_is_dropped(es, family) -> None:
    es.index(
        index=family,
        id="a",
        document={"image_score": None, "image_score_version": "v1", "image_scored_at": 5},
    )
    assert set(es.get(index=family, id="a")["_source"]) == {"item_id", "status", "ingested_at"}


def test_a_rejected_write_leaves_the_item_as_it_was(es, family) -> None:
    es.index(index=family, id="a", document={"title": "good", "image_score": 0.5})
    es.index(index=family, id="a", document={"title": "bad", "image_score": 7})
    assert es.get(index=family, id="a")["_source"]["title"] == "good"
    with suppress(
        ConflictError
    ):  # the single update API passes through the pipeline, and may find no failure
        es.update(index=family, id="a", doc={"image_score": 7})
    assert es.get(index=family, id="a")["_source"]["image_score"] == 0.5


def test_the_feeder_calls_a_rejected_document_refused_and_goes_on(es, family) -> None:
    documents = [
        Document("good", 1_795_000_000_000, {"item_id": "good", "image_score": 0.5}, Record(b"")),
        Document("bad", 1_795_000_000_000, {"item_id": "bad", "image_score": 2.0}, Record(b"")),
    ]
    feeder = Feeder(es, family, wait_s=0)
    feeder.check()
    result = feeder.write(documents)
    assert [d.item_id for d in result.written] == ["good"]
    ((refused, why),) = result.refused
    assert refused.item_id == "bad"
    assert "image_score is 2.0, not within [0, 1]" in why
