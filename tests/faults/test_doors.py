"""The doors do what they say: a cut holds and closes nothing, a refusal is Elasticsearch's own words."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from elasticsearch import ApiError, Elasticsearch

from tests.faults.doors import BulkDoor, Door

BULK = [
    {"index": {"_id": "a", "version": 1_000, "version_type": "external_gte"}},
    {"updated_at": "1970-01-01T00:00:01.000Z"},
    {"update": {"_id": "b"}},
    {"script": {"id": "s", "params": {"doc": {"updated_at": 2_000}}}},
]


@pytest.fixture
def server():
    """Takes every item of a bulk; keeps what it was sent."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(body)
            actions = [json.loads(line) for line in body.splitlines()[::2]]
            items = [
                {kind: {"_id": a["_id"], "status": 200}} for action in actions for kind, a in action.items()
            ]
            answer = json.dumps({"took": 1, "errors": False, "items": items}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield httpd.server_address[1], got
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def door(server):
    made = BulkDoor(server[0])
    yield made
    made.close()


@pytest.fixture
def es(door):
    with Elasticsearch(f"http://127.0.0.1:{door.port}", max_retries=0) as client:
        yield client


def test_what_is_not_refused_passes_and_is_counted_by_version(es, door, server):
    answer = es.bulk(index="i", operations=BULK)
    assert [next(iter(item)) for item in answer["items"]] == ["index", "update"]
    assert door.written == {("a", 1_000): 1, ("b", 2_000): 1}
    assert len(server[1]) == 1


def test_a_refused_request_does_not_reach_the_server(es, door, server):
    door.refused_requests = 1.0
    with pytest.raises(ApiError) as refusal:
        es.bulk(index="i", operations=BULK)
    assert refusal.value.status_code == 429
    assert server[1] == []


def test_refused_items_stand_in_their_places_and_do_not_reach_the_server(es, door, server):
    door.refused_items = 0.5
    many = [line for n in range(100) for line in ({"index": {"_id": str(n)}}, {"updated_at": n})]
    answer = es.bulk(index="i", operations=many)
    assert [item["index"]["_id"] for item in answer["items"]] == [str(n) for n in range(100)]
    statuses = [item["index"]["status"] for item in answer["items"]]
    assert set(statuses) == {200, 429}
    assert statuses.count(429) == door.n_refused_items
    assert len(server[1][0].splitlines()) // 2 == statuses.count(200) == len(door.written)


def test_what_was_under_way_when_the_cable_went_arrives_when_it_is_mended():
    listener = socket.create_server(("127.0.0.1", 0))
    door = Door(listener.getsockname()[1])
    with socket.create_connection(("127.0.0.1", door.port)) as near:
        far, _ = listener.accept()
        far.settimeout(5)
        near.sendall(b"before")
        assert far.recv(10) == b"before"
        door.cut()
        time.sleep(0.1)
        near.sendall(b"during")
        far.settimeout(0.3)
        with pytest.raises(TimeoutError):
            far.recv(10)
        door.mend()
        far.settimeout(5)
        assert far.recv(10) == b"during"
        door.delay_s = 0.4
        began = time.monotonic()
        far.sendall(b"answer")
        assert near.recv(10) == b"answer"
        assert time.monotonic() - began >= 0.4
        far.close()
    door.close()
    listener.close()
