"""Cards are read from `_source` in batches, with the real client above a fake node."""

import json
from typing import ClassVar, NamedTuple

import pytest
from elastic_transport import ApiResponseMeta, BaseNode, HttpHeaders
from elasticsearch import Elasticsearch

from ranking.errors import ServerError
from replay.report import ItemCard, fetch_item_cards


class Answer(NamedTuple):
    meta: ApiResponseMeta
    body: bytes


class FakeNode(BaseNode):
    """Answers a terms query on item_id from `docs`; keeps the bodies it was sent."""

    docs: ClassVar[dict] = {}
    bodies: ClassVar[list] = []
    status = 200

    def perform_request(self, method, target, body=None, headers=None, request_timeout=None):
        asked = json.loads(body)
        type(self).bodies.append((target, asked))
        found = [self.docs[one] for one in asked["query"]["terms"]["item_id"] if one in self.docs]
        answer = {"_shards": {"failed": 0, "total": 1}, "hits": {"hits": [{"_source": doc} for doc in found]}}
        if self.status != 200:
            answer = {"error": {"reason": "no such index"}, "status": self.status}
        meta = ApiResponseMeta(
            status=self.status,
            http_version="1.1",
            headers=HttpHeaders({"content-type": "application/json", "x-elastic-product": "Elasticsearch"}),
            duration=0.0,
            node=self.config,
        )
        return Answer(meta, json.dumps(answer).encode())


@pytest.fixture
def node():
    return type("Node", (FakeNode,), {"docs": {}, "bodies": []})


def client(node):
    return Elasticsearch("http://fake:9200", node_class=node)


def test_cards_are_read_in_batches_and_unknown_items_left_out(node, tmp_path):
    photo = tmp_path / "1.jpg"
    photo.touch()
    node.docs = {f"i{n:04d}": {"item_id": f"i{n:04d}", "title": f"item {n}"} for n in range(700)}
    node.docs["i0001"] |= {"price": 1200, "category": "dress", "image_url": photo.as_uri()}
    cards = fetch_item_cards(client(node), "items", [*node.docs, "gone", "i0001"], photo_root=tmp_path)
    assert len(cards) == 700
    assert cards["i0001"] == ItemCard("item 1", 1200.0, "dress", photo.resolve())
    assert cards["i0002"] == ItemCard("item 2")
    assert [len(body["query"]["terms"]["item_id"]) for _, body in node.bodies] == [500, 201]
    assert [body["size"] for _, body in node.bodies] == [500, 201]


def test_a_refusal_is_a_sentence(node):
    node.status = 404
    with pytest.raises(ServerError, match="items of nowhere: no such index"):
        fetch_item_cards(client(node), "nowhere", ["a"])


def test_no_items_ask_nothing(node):
    assert fetch_item_cards(client(node), "items", []) == {}
    assert node.bodies == []
