"""The streaming pipeline on Beam's DirectRunner: TestStream -> model -> the real Elasticsearch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from PIL import Image

from ranking.errors import ServerError
from ranking.item_message import iso_ms
from scorer.backfill.scoring import ScorerSpec
from scorer.ingest.feeder import Feeder, FeedResult
from scorer.ingest.photos import PhotoSource
from scorer.pipeline.steps import PipelineSettings, ingest

beam = pytest.importorskip("apache_beam")
from apache_beam.io.gcp.pubsub import PubsubMessage  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner  # noqa: E402
from apache_beam.testing import test_stream  # noqa: E402

pytestmark = pytest.mark.engines

T0 = 1_795_000_000_000
LATER = datetime.fromtimestamp(T0 / 1000 + 60, UTC)
LETTERS: list[dict[str, Any]] = []  # filled by the pipeline, which runs in this process
BATCHES: list[int] = []


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    for n in range(5):
        small = Image.fromarray(rng.integers(0, 256, (4, 3, 3), dtype=np.uint8))
        small.resize((120, 160)).save(tmp_path / f"{n}.jpg")
    return tmp_path


def message(n: int, updated: int = 0, **more: Any) -> PubsubMessage:
    body = {
        "item_id": f"s{n}",
        "title": f"dress {n}",
        "created_at": T0,
        "updated_at": T0 + updated,
        "image_url": f"{n % 5}.jpg",
        **more,
    }
    return PubsubMessage(json.dumps(body).encode(), {})


def keep(letter: bytes) -> None:
    LETTERS.append(json.loads(letter))


def test_messages_become_scored_items_in_any_order_and_a_failed_bundle_is_harmless(
    es: Elasticsearch, family: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LETTERS.clear()
    BATCHES.clear()
    really_write = Feeder.write

    def write_and_lose_the_first_answer(self: Feeder, documents: Any) -> FeedResult:
        result = really_write(self, documents)
        BATCHES.append(len(documents))
        if len(BATCHES) == 1:
            raise ServerError("Elasticsearch", "the answer was lost on its way")
        return result

    monkeypatch.setattr(Feeder, "write", write_and_lose_the_first_answer)
    settings = PipelineSettings(
        index=family,
        scorer=ScorerSpec(model="compact"),
        photos=PhotoSource(root=photos),
        batch=8,
        batch_s=2,
        keys=2,
        wait_s=5,
    )
    stream = (
        test_stream.TestStream()
        .advance_watermark_to(0)
        .add_elements([message(n) for n in range(20)])
        .advance_processing_time(5)
        .add_elements([message(3, 9, title="newest"), message(4, 9, status="deleted"), message(2)])
        .advance_processing_time(5)
        .add_elements([message(3, 5, title="late"), message(4, 8, title="late")])
        .add_elements([PubsubMessage(b"\xff poison", {}), message(7, 9, image_url="gone.jpg")])
        .add_elements([PubsubMessage(b"", {"item_id": "s9"}, "1", LATER), message(30, -1, price=-3)])
        .advance_processing_time(5)
        .advance_watermark_to_infinity()
    )
    pipeline = beam.Pipeline(BundleBasedDirectRunner(), options=PipelineOptions(["--streaming"]))
    letters = ingest(pipeline | stream, settings, source="projects/p/subscriptions/items")
    _ = letters | beam.Map(keep)
    pipeline.run().wait_until_finish()

    es.indices.refresh(index=family)
    hits = es.search(index=family, size=100, query={"match_all": {}})["hits"]["hits"]
    found = {hit["_id"]: hit["_source"] for hit in hits}
    assert set(found) == {f"s{n}" for n in range(20)}
    assert (found["s3"]["title"], found["s4"]["status"]) == ("newest", "deleted")
    for n in (0, 1, 2, 3, 5, 6, 8, 10, 19):
        assert 0 <= found[f"s{n}"]["image_score"] <= 1
    assert "image_score" not in found["s7"]  # a newer message, whose photo is not there
    newest = {"s0": T0, "s3": T0 + 9, "s4": T0 + 9, "s7": T0 + 9}
    assert {name: found[name]["updated_at"] for name in newest} == {
        name: iso_ms(at) for name, at in newest.items()
    }
    assert len(BATCHES) > 3
    assert max(BATCHES) <= 8  # by size; and by time, or the stream would have ended with them waiting
    assert found["s9"]["status"] == "deleted"  # a message without data, at the time of its publication
    assert {letter["topic"] for letter in LETTERS} == {"projects/p/subscriptions/items"}
    reasons = {(letter["stage"], letter["item_id"]): letter["reason"] for letter in LETTERS}
    assert reasons.keys() == {("photo", "s7"), ("parse", None)}
    parse = [letter for letter in LETTERS if letter["stage"] == "parse"]
    assert [letter["original_base64"] for letter in parse if "original_base64" in letter] == ["/yBwb2lzb24="]
    assert any("price" in letter["reason"] for letter in parse)
