"""The feeder above the real client, and under it a node that plays a failing server."""

import json
import threading

import pytest
import stamina
from elastic_transport import ApiResponseMeta, BaseNode, ConnectionError, HttpHeaders
from elastic_transport._node import NodeApiResponse
from elasticsearch import Elasticsearch

from ranking.errors import ServerError
from scorer.ingest.analyzer import Document
from scorer.ingest.feeder import Feeder
from scorer.ingest.records import Record


class Server:
    """Answers each bulk request with the next of `answers`: a status, or one function for each item."""

    def __init__(self):
        self.answers = []
        self.bulks = []  # ids of each bulk request
        self.kinds = []  # actions of each bulk request: index, create, update
        self.lines = []  # what each action line says
        self.script = "held.partials"  # its source
        self.rejected = (200, {})  # the answer to who asks why, by id
        self.landed = "items-000001"  # the index of each answer
        self.there = {"alias": True, "index": True, "script": False}
        self.sources = []  # what followed the action lines of each bulk request

    def respond(self, method, target, body):
        if target.startswith("/_alias"):
            return (200 if self.there["alias"] else 404), {}
        if target.startswith("/_scripts"):
            found = {"found": self.there["script"], "script": {"source": self.script}}
            return (200 if self.there["script"] else 404), found
        if method == "HEAD":
            return (200 if self.there["index"] else 404), {}
        if target.startswith("/_mget"):
            wanted = [one["_id"] for one in json.loads(body)["docs"]]
            return self.rejected[0], {"docs": [{"_source": {"reason": self.rejected[1][i]}} for i in wanted]}
        lines = [json.loads(line) for line in body.decode().splitlines()]
        self.kinds.append([kind for line in lines[::2] for kind in line])
        actions = [action for line in lines[::2] for action in line.values()]
        self.sources.append(lines[1::2])
        self.bulks.append([action["_id"] for action in actions])
        self.lines.append(actions)
        answer = self.answers.pop(0) if self.answers else (lambda _: (201, None))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return answer, {"error": {"type": "some_error", "reason": "the server said so"}}
        items = []
        for kind, action in zip(self.kinds[-1], actions, strict=True):
            status, what = answer(action["_id"])
            error = {"error": {"type": what, "reason": f"reason of {what}"}} if isinstance(what, str) else {}
            held = {"get": {"_source": what}} if isinstance(what, dict) else {}
            where = {"_index": self.landed, "_id": action["_id"]}
            items.append({kind: {**where, "status": status, **error, **held}})
        return 200, {"errors": True, "items": items}


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def es(server):
    class Node(BaseNode):
        def perform_request(self, method, target, body=None, headers=None, request_timeout=None):
            status, answer = server.respond(method, target, body)
            meta = ApiResponseMeta(
                node=self.config,
                duration=0.0,
                http_version="1.1",
                status=status,
                headers=HttpHeaders(
                    {"x-elastic-product": "Elasticsearch", "content-type": "application/json"}
                ),
            )
            return NodeApiResponse(meta, json.dumps(answer).encode())

        def close(self):
            pass

    return Elasticsearch("http://fake:9200", node_class=Node)


@pytest.fixture(autouse=True)
def _no_waiting():
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


def documents(*ids):
    return [Document(i, 1000 + n, {"title": i, "status": "on_sale"}, Record(b"")) for n, i in enumerate(ids)]


def test_each_document_is_written_under_its_external_version(es, server):
    result = Feeder(es, "items").write(documents("a", "b"))
    assert [d.item_id for d in result.written] == ["a", "b"]
    assert server.lines == [
        [
            {"_id": "a", "version": 1000, "version_type": "external_gte"},
            {"_id": "b", "version": 1001, "version_type": "external_gte"},
        ]
    ]


def test_a_conflict_is_stale_and_a_refusal_keeps_the_reason(es, server):
    outcome = {
        "new": (201, None),
        "old": (409, "version_conflict_engine_exception"),
        "bad": (400, "document_parsing_exception"),
    }
    server.answers = [lambda i: outcome[i]]
    result = Feeder(es, "items").write(documents("new", "old", "bad"))
    assert [d.item_id for d in result.written] == ["new"]
    assert [d.item_id for d in result.stale] == ["old"]
    assert [(d.item_id, why) for d, why in result.refused] == [
        ("bad", "document_parsing_exception: reason of document_parsing_exception")
    ]
    assert len(server.bulks) == 1


def test_only_what_was_pushed_back_is_sent_again(es, server):
    pushed_back = {
        "b": (429, "es_rejected_execution_exception"),
        "c": (503, "unavailable_shards_exception"),
        "d": (403, "cluster_block_exception"),
    }
    server.answers = [
        lambda i: pushed_back.get(i, (200, None)),
        lambda i: (429, "x") if i == "c" else (200, None),
    ]
    result = Feeder(es, "items").write(documents("a", "b", "c", "d"))
    assert server.bulks == [["a", "b", "c", "d"], ["b", "c", "d"], ["c"]]
    assert sorted(d.item_id for d in result.written) == ["a", "b", "c", "d"]
    assert not result.refused


@pytest.mark.parametrize("failure", [429, 502, 503, 504, ConnectionError("refused")])
def test_a_request_that_fails_as_a_whole_is_sent_again(es, server, failure):
    server.answers = [failure, failure]
    told = []
    result = Feeder(es, "items", on_wait=told.append).write(documents("a", "b"))
    assert len(server.bulks) == 3
    assert len(result.written) == 2
    assert len(told) == 1  # said once for one outage


def test_a_server_that_stays_away_is_an_error_and_nothing_is_called_written(es, server):
    server.answers = [503] * 10
    with pytest.raises(ServerError, match="2 documents are not written yet: HTTP 503"):
        Feeder(es, "items").write(documents("a", "b"))


def test_told_to_stop_it_waits_no_longer(es, server):
    server.answers = [503] * 10
    stop = threading.Event()
    stop.set()
    with pytest.raises(ServerError):
        Feeder(es, "items", stop=stop).write(documents("a"))
    assert len(server.bulks) == 1


def test_a_request_that_is_too_large_is_halved(es, server):
    server.answers = [413, lambda _: (200, None), 413, 413]
    result = Feeder(es, "items").write(documents("a", "b", "c", "d"))
    assert server.bulks == [["a", "b", "c", "d"], ["a", "b"], ["c", "d"], ["c"], ["d"]]
    assert [d.item_id for d in result.written] == ["a", "b", "d"]
    assert [d.item_id for d, _ in result.refused] == ["c"]


def test_a_half_that_fails_is_sent_again_without_the_other(es, server):
    server.answers = [413, lambda _: (200, None), 503]
    result = Feeder(es, "items").write(documents("a", "b"))
    assert server.bulks == [["a", "b"], ["a"], ["b"], ["b"]]
    assert [d.item_id for d in result.written] == ["a", "b"]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_of_the_whole_request_stops(es, server, status):
    server.answers = [status]
    with pytest.raises(ServerError, match="the server said so"):
        Feeder(es, "items").write(documents("a"))
    assert len(server.bulks) == 1


def test_an_index_that_vanished_stops_and_is_no_dead_letter(es, server):
    server.answers = [lambda _: (404, "index_not_found_exception")]
    with pytest.raises(ServerError, match="no index or alias 'items'"):
        Feeder(es, "items").write(documents("a"))


def test_documents_are_sent_in_requests_of_bounded_size(es, server):
    Feeder(es, "items", max_docs=2).write(documents("a", "b", "c"))
    assert sorted(server.bulks) == [["a", "b"], ["c"]]
    large = [Document(str(n), 1, {"title": "x" * 5_000_000}, Record(b"")) for n in range(3)]
    Feeder(es, "items").write(large)
    assert sorted(server.bulks[2:]) == [["0"], ["1"], ["2"]]


def test_a_missing_index_is_found_before_the_first_write(es, server):
    server.there |= {"alias": False, "index": False}
    with pytest.raises(ServerError, match="no index or alias"):
        Feeder(es, "items").check()
    server.there["index"] = True
    Feeder(es, "items").check()


MERGED = {"title": "t", "status": "on_sale", "price": 3.0}


def merging(es, server, **options):
    server.there["script"] = True
    return Feeder(es, "items", **options)


CONFLICT = (409, "version_conflict_engine_exception")


def test_where_the_cluster_has_the_script_a_new_item_is_made_and_one_that_is_there_merged(es, server):
    new, there = (
        Document(i, 1000, dict(MERGED), Record(b""), frozenset({"category", "image_url"})) for i in "ab"
    )
    server.answers = [lambda i: (201, None) if i == "a" else CONFLICT, lambda _: (200, None)]
    result = merging(es, server).write([new, there])
    assert (result.written, result.stale, result.refused) == ([new, there], [], [])
    assert server.kinds == [["create", "create"], ["update"]]
    assert server.lines == [[{"_id": "a"}, {"_id": "b"}], [{"_id": "b", "retry_on_conflict": 3}]]
    made, (body,) = server.sources
    assert made == [MERGED, MERGED]
    assert body == {
        "script": {
            "id": "rank-item-update-v1",
            "params": {"doc": {"category": None, "image_url": None, **MERGED}},
        },
        "scripted_upsert": True,
        "upsert": {"item_id": "b"},  # the script fills what was deleted in between
        # as they are afterwards: they say whether the index holds something newer
        "_source": ["updated_at", "partials"],
    }


def test_where_items_are_mostly_there_none_is_tried_to_be_made(es, server):
    half = {"a": CONFLICT, "b": CONFLICT}
    server.answers = [
        lambda i: half.get(i, (201, None)),
        lambda _: (200, None),
        lambda _: (201, None),
        lambda _: (201, None),
    ]
    feeder = merging(es, server)
    for names in ("abc", "d", "e"):
        feeder.write(documents(*names))
    assert server.kinds == [["create"] * 3, ["update"] * 2, ["update"], ["create"]]  # "d" was new after all


def test_what_was_there_after_all_is_stale_where_it_is_newer_and_goes_again_where_it_is_pushed_back(
    es, server
):
    held = {"updated_at": "1970-01-01T00:00:01.005Z"}
    server.answers = [
        lambda i: CONFLICT if i in "ab" else (429, "es_rejected_execution_exception"),
        lambda i: (200, held) if i == "a" else (429, "es_rejected_execution_exception"),
        lambda _: (200, None),
    ]
    result = merging(es, server).write(documents("a", "b", "c"))
    assert server.bulks == [["a", "b", "c"], ["a", "b"], ["c", "b"]]
    assert server.kinds[2] == ["create", "update"]
    assert [d.item_id for d in result.stale] == ["a"]
    assert sorted(d.item_id for d in result.written) == ["b", "c"]


@pytest.mark.parametrize("may_read", [True, False])
def test_what_the_pipeline_set_aside_is_refused_also_where_it_was_set_aside_before(es, server, may_read):
    server.landed = "items-failures-000001"
    server.rejected = (200 if may_read else 403, {"a": "image_score is 2.0", "b": "item_id is missing"})
    server.answers = [lambda i: (201, None) if i == "a" else CONFLICT]
    result = merging(es, server).write(documents("a", "b"))
    said = "the ingest pipeline rejected it: "
    assert [(d.item_id, why.removeprefix(said)) for d, why in result.refused] == (
        [("a", "image_score is 2.0"), ("b", "item_id is missing")]
        if may_read
        else [(i, f"see items-failures-000001/_doc/{i}") for i in "ab"]
    )
    assert len(server.bulks) == 1


def test_what_the_script_kept_is_stale_only_where_the_index_holds_something_newer(es, server):
    held = {"old": "01.001", "same": "01.001", "new": "01.002"}  # updated_at after the update
    server.answers = [lambda _: CONFLICT, lambda i: (200, {"updated_at": f"1970-01-01T00:00:{held[i]}Z"})]
    result = merging(es, server).write(documents("old", "same", "new"))  # of 1000, 1001 and 1002
    assert [d.item_id for d in result.stale] == ["old"]
    assert [d.item_id for d in result.written] == ["same", "new"]


@pytest.mark.parametrize(
    ("there", "source", "state"),
    [(False, "", "not there"), (True, "an earlier one", "older than this program")],
)
def test_a_partial_document_is_refused_where_no_script_can_merge_it(es, server, there, source, state):
    server.there["script"], server.script = there, source
    change = Document("a", 1001, {"item_id": "a", "price": 3.0}, Record(b""), is_partial=True)
    result = Feeder(es, "items").write([change, *documents("b")])
    ((document, why),) = result.refused
    assert document is change
    assert f"{state}: run `rank-cli templates apply`" in why
    assert server.bulks == [["b"]]  # no half item, and the others go on


def test_a_partial_document_makes_no_half_item_where_there_is_none(es, server):
    source = {"item_id": "a", "updated_at": "1970-01-01T00:00:01.001Z", "price": 3.0}
    change = Document("a", 1001, source, Record(b""), frozenset({"category"}), is_partial=True)
    kept = {"whole": -1, "at": {"price": 1001}, "waiting": {"price": 3.0}}
    server.answers = [lambda _: (201, {"updated_at": source["updated_at"], "partials": kept})]
    result = merging(es, server).write([change])
    assert (len(result.written), result.waiting) == (1, 1)
    ((body,),) = server.sources
    assert body["script"]["params"]["doc"] == {"category": None, **source}
    assert body["upsert"] == {
        "item_id": "a",
        "status": "deleted",
        "updated_at": source["updated_at"],
        "partials": {
            "whole": -1,
            "at": {"category": 1001, "price": 1001},
            "waiting": {"category": None, "price": 3.0},
        },
    }


def test_an_update_that_met_other_writers_too_often_is_sent_again(es, server):
    server.answers = [lambda _: CONFLICT, lambda _: CONFLICT]
    result = merging(es, server).write(documents("a"))
    assert server.kinds == [["create"], ["update"], ["update"]]
    assert [d.item_id for d in result.written] == ["a"]
    assert not result.stale


def test_a_storm_of_429_makes_requests_smaller_and_quiet_makes_them_larger_again(es, server):
    ids = [str(n) for n in range(256)]
    storm = [429, lambda i: (429, "es_rejected_execution_exception") if int(i) % 2 else (200, None)]
    server.answers = list(storm)
    feeder = Feeder(es, "items", max_docs=256, max_requests=4)
    assert (feeder.pace.requests, feeder.pace.docs) == (4, 256)
    result = feeder.write(documents(*ids))
    sizes = [len(bulk) for bulk in server.bulks]
    # 256 refused whole -> 128, of which half refused -> 64; then a sixteenth of 256 more each time
    assert sizes == [256, 128, 64, 80, 48]
    assert (feeder.pace.requests, feeder.pace.docs) == (2, 112)  # 4 -> 2 -> 1, then +1/1, +1/2, ...
    assert sorted(int(d.item_id) for d in result.written) == list(range(256))  # each once
    for _ in range(20):
        feeder.write(documents("a"))
    assert (feeder.pace.requests, feeder.pace.docs) == (4, 256)
