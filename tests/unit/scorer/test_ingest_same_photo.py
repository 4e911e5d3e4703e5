"""The same photo is not scored twice."""

import io
import json

import numpy as np
import pytest
from elastic_transport import ApiResponseMeta, BaseNode, HttpHeaders
from elastic_transport._node import NodeApiResponse
from elasticsearch import Elasticsearch
from PIL import Image

from ranking.errors import ServerError
from ranking.item_message import AiGenerated
from scorer.ingest.analyzer import Analyzer
from scorer.ingest.photo_memory import KnownScore, LiveVersion, PhotoMemory
from scorer.ingest.photos import PhotoLoader, PhotoSource
from scorer.ingest.records import Record
from scorer.serving.client import Scored

NOW = 1767323045678
AT = "2026-01-02T03:04:05.678Z"


def jpeg(color) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(out, "JPEG")
    return out.getvalue()


class Index:
    """What a multi-get finds; counts how often it was asked."""

    def __init__(self):
        self.items = {}
        self.asked = 0
        self.status = 200

    def client(self):
        index = self

        class Node(BaseNode):
            def perform_request(self, method, target, body=None, headers=None, request_timeout=None):
                index.asked += 1
                ids = json.loads(body)["ids"]
                docs = [
                    {
                        "_id": i,
                        "found": i in index.items,
                        **({"_source": index.items[i]} if i in index.items else {}),
                    }
                    for i in ids
                ]
                meta = ApiResponseMeta(
                    node=self.config,
                    duration=0.0,
                    http_version="1.1",
                    status=index.status,
                    headers=HttpHeaders(
                        {"x-elastic-product": "Elasticsearch", "content-type": "application/json"}
                    ),
                )
                return NodeApiResponse(meta, json.dumps({"docs": docs}).encode())

            def close(self):
                pass

        return Elasticsearch("http://fake:9200", node_class=Node, max_retries=0)


class Scorer:
    def __init__(self):
        self.photos = 0
        self.version = "m1"

    def score(self, images):
        self.photos += len(images)
        return Scored((images.mean(axis=(1, 2, 3)) / 255).astype(np.float32), self.version)


@pytest.fixture
def index():
    return Index()


@pytest.fixture
def scorer():
    return Scorer()


@pytest.fixture
def root(tmp_path):
    for name, color in (("a", (250, 0, 0)), ("b", (0, 0, 250)), ("same-as-a", (250, 0, 0))):
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(color))
    return tmp_path


@pytest.fixture
def decoded():
    return []


@pytest.fixture
def make(index, scorer, root, decoded):
    """An analyzer over an index that takes what it writes."""
    loaders = []

    def analyzer(**options):
        def decode(data):
            decoded.append(len(data))
            return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((8, 8)))

        loader = PhotoLoader(PhotoSource(root=root), decode, threads=1)
        loaders.append(loader)
        live = LiveVersion(lambda: scorer.version, every_s=0)
        memory = PhotoMemory(index.client(), "items", live, **options)
        return Analyzer(scorer, loader, memory=memory, now_ms=lambda: NOW)

    yield analyzer
    for loader in loaders:
        loader.close()


def message(item_id, photo, *, updated_at=NOW, **more):
    body = {"item_id": item_id, "title": "d", "created_at": NOW, "updated_at": updated_at, "image_url": photo}
    return Record(json.dumps({**body, **more}).encode(), item_id.encode())


def write(index, analysis):
    index.items |= {document.item_id: dict(document.source) for document in analysis.documents}


def test_a_change_of_the_price_needs_no_photo_and_no_score(index, scorer, make, decoded):
    analyzer = make()
    write(index, analyzer.analyze([message("i", "a.jpg", price=10)]))
    scored, digest = index.items["i"]["image_score"], index.items["i"]["image_hash"]
    fresh = make()  # another process
    for n in range(1, 6):
        analysis = fresh.analyze([message("i", "a.jpg", price=10 + n, updated_at=NOW + n)])
        write(index, analysis)
        assert (analysis.reused, analysis.dead_letters) == (1, [])
    assert (scorer.photos, len(decoded)) == (1, 1)
    assert index.items["i"]["price"] == 15
    assert (index.items["i"]["image_score"], index.items["i"]["image_hash"]) == (scored, digest)
    assert index.items["i"]["image_scored_at"] == AT
    assert len(digest) == 32


def test_the_same_photo_under_another_address_is_read_and_not_scored(index, scorer, make, decoded):
    write(index, make().analyze([message("i", "a.jpg")]))
    analysis = make().analyze([message("i", "same-as-a.jpg", updated_at=NOW + 1)])
    assert analysis.reused == 1
    assert analysis.documents[0].source["image_url"] == "same-as-a.jpg"
    assert analysis.documents[0].source["image_score"] == index.items["i"]["image_score"]
    assert (scorer.photos, len(decoded)) == (1, 1)


def test_the_same_photo_on_two_items_is_scored_once_in_a_batch_and_after_it(index, scorer, make):
    analyzer = make()
    analysis = analyzer.analyze([message("i", "a.jpg"), message("j", "same-as-a.jpg"), message("k", "b.jpg")])
    assert (scorer.photos, analysis.reused) == (2, 1)
    one, other, third = (document.source["image_score"] for document in analysis.documents)
    assert one == other != third
    later = analyzer.analyze([message("l", "a.jpg")])
    assert (scorer.photos, later.reused) == (2, 1)
    assert later.documents[0].source["image_score"] == one


def test_another_photo_or_another_model_is_scored(index, scorer, make):
    analyzer = make()
    write(index, analyzer.analyze([message("i", "a.jpg")]))
    write(index, analyzer.analyze([message("i", "b.jpg", updated_at=NOW + 1)]))
    assert scorer.photos == 2
    scorer.version = "m2"  # an upgrade
    write(index, analyzer.analyze([message("i", "b.jpg", updated_at=NOW + 2)]))
    assert scorer.photos == 3
    assert index.items["i"]["image_score_version"] == "m2"


def test_a_photo_that_was_replaced_behind_its_address_is_seen_where_that_is_asked_for(
    index, scorer, make, root
):
    write(index, make().analyze([message("i", "a.jpg")]))
    (root / "a.jpg").write_bytes(jpeg((0, 250, 0)))
    make().analyze([message("i", "a.jpg", updated_at=NOW + 1)])
    assert scorer.photos == 1  # an address is trusted by default
    analysis = make(trust_urls=False).analyze([message("i", "a.jpg", updated_at=NOW + 2)])
    assert (scorer.photos, analysis.reused) == (2, 0)
    assert analysis.documents[0].source["image_hash"] != index.items["i"]["image_hash"]


def test_what_was_known_of_a_generated_photo_stays_with_it(index, make, scorer):
    index.items["i"] = {
        "image_url": "a.jpg",
        "image_score": 0.9,
        "image_score_version": "m1",
        "image_scored_at": AT,
        "ai_generated": {"probability": 0.99, "source": "c2pa"},
    }
    analysis = make().analyze([message("i", "a.jpg")])
    assert scorer.photos == 0
    assert analysis.documents[0].source["ai_generated"] == {"probability": 0.99, "source": "c2pa"}


def test_an_index_that_cannot_be_asked_costs_work_and_no_item(index, scorer, make):
    index.status = 503
    analysis = make().analyze([message("i", "a.jpg")])
    assert (scorer.photos, analysis.documents[0].is_scored) == (1, True)


def test_fields_that_a_newer_message_leaves_out_are_emptied(make):
    (document,) = make().analyze([message("i", "a.jpg", price=3)]).documents
    assert document.emptied == {"description", "category"}
    assert document.merged["category"] is None
    assert "status" in document.merged


def test_no_more_photos_are_kept_than_there_is_room_for():
    memory = PhotoMemory(None, "items", LiveVersion(lambda: "m"), capacity=2)
    for digest in "abc":
        memory.remember(KnownScore(digest, 0.5, "m", AT, AiGenerated(probability=0.1)))
    assert [memory.of_photo(digest, None) is not None for digest in "abc"] == [False, True, True]


def test_the_live_version_is_asked_now_and_then_and_outlives_a_server_that_is_gone():
    answers = ["m1", ServerError("Triton", "gone"), "m2"]
    now = 0.0

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    live = LiveVersion(ask, every_s=10, clock=lambda: now)
    assert [live(), live()] == ["m1", "m1"]
    now = 10.0
    assert live() == "m1"
    now = 20.0
    assert live() == "m2"
    assert answers == []
