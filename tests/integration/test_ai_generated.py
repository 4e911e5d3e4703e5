"""A generated photo on its way into the index: found by its probability, capped by the profile."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from PIL import Image, PngImagePlugin

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking import Profile, Searcher
from scorer.ingest.analyzer import Analyzer
from scorer.ingest.feeder import Feeder
from scorer.ingest.photos import PhotoLoader, PhotoSource
from scorer.ingest.records import Record
from scorer.serving.client import Scored

pytestmark = pytest.mark.engines
NOW = 1_795_000_000_000


class EqualScorer:
    def score(self, images):
        return Scored(np.full(len(images), 0.9, dtype=np.float32), "w1")


def message(item_id, image):
    body = {
        "item_id": item_id,
        "title": "red dress",
        "created_at": NOW,
        "updated_at": NOW,
        "image_url": image,
    }
    return Record(json.dumps(body).encode(), item_id.encode(), "items", 0, 0)


def test_a_generated_photo_is_indexed_as_such_and_capped(es: Elasticsearch, prefix: str, tmp_path):
    settings = PngImagePlugin.PngInfo()
    settings.add_text("parameters", "a red dress\nSteps: 20, Sampler: Euler a, CFG scale: 7")
    file = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(file, "PNG", pnginfo=settings)
    (tmp_path / "made.png").write_bytes(file.getvalue())
    Image.new("RGB", (40, 40), "red").save(tmp_path / "taken.jpg")
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    loader = PhotoLoader.for_size(PhotoSource(root=tmp_path), 16)
    records = [message("made", "made.png"), message("taken", "taken.jpg")]
    analysis = Analyzer(EqualScorer(), loader, now_ms=lambda: NOW).analyze(records)
    loader.close()
    assert Feeder(es, prefix).write(analysis.documents).refused == []
    es.indices.refresh(index=prefix)

    made = {"range": {"ai_generated.probability": {"gt": 0.5}}}
    hits = es.search(index=prefix, query=made)["hits"]["hits"]
    assert [hit["_source"]["ai_generated"] for hit in hits] == [
        {"probability": 0.97, "source": "metadata:stable-diffusion"}
    ]
    image = {"mode": "additive", "weight": 5}
    capped = image | {"ai_generated": {"above": 0.5, "cap": 0.2}}
    scores = {}
    for name, boost in (("free", image), ("capped", capped)):
        page = Searcher(es, prefix, Profile(name=name, image=boost)).search("red dress", now_ms=NOW)
        scores[name] = {item.item_id: item.score for item in page.items}
    assert scores["free"]["made"] == scores["free"]["taken"]
    assert scores["capped"]["taken"] == pytest.approx(scores["free"]["taken"])
    assert scores["capped"]["taken"] - scores["capped"]["made"] == pytest.approx(5 * (0.9 - 0.2), abs=1e-4)
