"""Partial messages against a plain model of an item, on the real server, in any order and twice."""

from __future__ import annotations

import json
import os
import secrets
from concurrent.futures import Future

import pytest
from elasticsearch import Elasticsearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking import fields
from ranking.item_message import epoch_ms, iso_ms, parse_message
from scorer.ingest.analyzer import Analyzer, Document
from scorer.ingest.feeder import Feeder
from scorer.ingest.photos import PhotoError
from scorer.ingest.records import Record
from tests.integration.conftest import remove_family

pytestmark = pytest.mark.engines

T0 = 1_767_323_045_678  # epoch ms
ITEMS = int(os.environ.get("RANK_PARTIAL_ITEMS", "60"))  # random histories, each of an item of its own
HASHES = {"1.jpg": "h1", "2.jpg": "h2", "moved.jpg": "h1"}
SCORES = {"h1": 0.25, "h2": 0.75}


class NoPhotos:
    """Nothing is loaded here: the photo's hash and score are put on by hand."""

    def submit(self, url):
        future = Future()
        future.set_exception(PhotoError(url))
        return future


ANALYZER = Analyzer(None, NoPhotos())


@pytest.fixture(scope="module")
def index(es: Elasticsearch):
    """One family for all tests of this module; each uses items of its own."""
    name = f"test-{secrets.token_hex(4)}"
    wanted = desired_state(name)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, name)
    yield name
    remove_family(es, name)


@pytest.fixture(scope="module")
def feeder(es, index):
    writer = Feeder(es, index, wait_s=20)
    writer.check()
    yield writer
    writer.close()


def whole(at, *, title="dress", price=10.0, url="1.jpg", status="on_sale", **more):
    body = {"title": title, "price": price, "image_url": url, "status": status, "created_at": T0, **more}
    return {"updated_at": T0 + at, **{name: value for name, value in body.items() if value is not None}}


def delete(at):
    return {"updated_at": T0 + at, "status": "deleted"}


def partial(at, **changed):
    return {"updated_at": T0 + at, "partial": True, **changed}


def to_document(item_id, message, scored_at):
    """What the analyzer makes of it, with the score that the photo has."""
    record = Record(json.dumps({"item_id": item_id, **message}).encode())
    (document,) = ANALYZER.analyze([record]).documents
    url = message.get("image_url")
    if url and not document.is_deleted:
        document.source[fields.IMAGE_HASH] = HASHES[url]
        document.source[fields.IMAGE_SCORE] = SCORES[HASHES[url]]
        document.source[fields.IMAGE_SCORE_VERSION] = "m-1"
        document.source[fields.IMAGE_SCORED_AT] = iso_ms(scored_at)
    return document


def model(messages):
    """The item after `messages`, whatever their order: each field as the newest that names it left it.

    At equal times a change stands over a whole message. What was never there, or is deleted, is not shown.
    """
    wholes = [message for message in messages if not message.get("partial")]
    newest = max(wholes, key=lambda message: message["updated_at"], default=None)
    base = newest["updated_at"] if newest else -1
    changes = sorted(
        (m for m in messages if m.get("partial") and m["updated_at"] >= base), key=lambda m: m["updated_at"]
    )
    item = {"updated_at": max(message["updated_at"] for message in messages)}
    if newest is None or newest["status"] == "deleted":
        return item | {"status": "deleted"}
    item |= {name: value for name, value in newest.items() if name != "updated_at"}
    for change in changes:
        item |= {name: value for name, value in change.items() if name not in ("partial", "updated_at")}
    if item.get("image_url"):
        item["image_hash"] = HASHES[item["image_url"]]
        item["image_score"] = SCORES[item["image_hash"]]
    return {name: value for name, value in item.items() if value is not None}


def shown(source):
    """The item as the index has it, less what the model does not speak of."""
    hidden = (
        "item_id",
        "ingested_at",
        "partials",
        "image_score_version",
        "image_scored_at",
    )
    item = {name: value for name, value in source.items() if name not in hidden}
    for name in ("updated_at", "created_at"):
        if name in item:
            item[name] = epoch_ms(item[name])
    return item


STATUS = st.sampled_from(["on_sale", "sold"])
URL = st.sampled_from([*HASHES, None])
CHANGE = st.fixed_dictionaries(
    {},
    optional={
        "price": st.one_of(st.none(), st.sampled_from([1.0, 2.0, 3.0])),
        "title": st.sampled_from(["coat", "shirt"]),
        "status": STATUS,
        "image_url": URL,
    },
).filter(bool)
KIND = st.one_of(
    st.tuples(st.just("whole"), st.sampled_from(["dress", "skirt"]), URL, STATUS),
    st.tuples(st.just("partial"), CHANGE),
    st.tuples(st.just("partial"), CHANGE),
    st.just(("delete",)),
)


@st.composite
def histories(draw):
    """Messages of one item with times of their own, and the order in which they arrive, some twice."""
    kinds = draw(st.lists(KIND, min_size=1, max_size=7))
    messages = []
    for at, kind in enumerate(kinds):
        match kind:
            case ("whole", title, url, status):
                messages.append(whole(2 * at, title=title, url=url, status=status, price=float(at)))
            case ("partial", change):
                same = bool(at) and not messages[-1].get("partial") and draw(st.booleans())
                messages.append(
                    partial(2 * at - 2 * same, **change)
                )  # now and then at the time of a whole one
            case _:
                messages.append(delete(2 * at))
    twice = draw(st.lists(st.integers(0, len(messages) - 1), max_size=3))
    arrival = draw(st.permutations([*range(len(messages)), *twice]))
    return messages, arrival, draw(st.booleans())


def test_every_field_is_as_the_newest_message_left_it_in_any_order_and_twice(es, index, feeder) -> None:
    """Histories are written side by side, round by round, so that thousands cost few requests."""
    drawn = []

    @settings(
        max_examples=ITEMS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(histories())
    def draw(history):
        drawn.append(history)

    draw()
    lot = secrets.token_hex(3)
    rounds: dict[int, list[Document]] = {}
    for number, (messages, arrival, together) in enumerate(drawn):
        for turn, place in enumerate(arrival):
            document = to_document(f"{lot}-{number}", messages[place], T0 + turn)
            rounds.setdefault(0 if together else turn, []).append(document)
    for turn in sorted(rounds):
        fed = feeder.write(rounds[turn])
        assert not fed.refused, fed.refused[0][1]
    ids = [f"{lot}-{number}" for number in range(len(drawn))]
    found = {doc["_id"]: doc for doc in es.mget(index=index, ids=ids)["docs"]}
    for item_id, history in zip(ids, drawn, strict=True):
        assert found[item_id]["found"]
        source = found[item_id]["_source"]
        assert shown(source) == model(history[0]), (history, source)
    assert len(drawn) >= ITEMS // 2


def test_a_change_of_an_item_that_is_not_there_waits_and_is_not_shown(es, index, feeder) -> None:
    fed = feeder.write([to_document("early", partial(30, price=9.0, title="coat"), T0)])
    assert (len(fed.written), fed.waiting, len(fed.stale)) == (1, 1, 0)
    source = es.get(index=index, id="early")["_source"]
    assert set(source) == {"item_id", "status", "updated_at", "partials", "ingested_at"}  # no half item
    assert source["status"] == "deleted"
    fed = feeder.write([to_document("early", whole(20), T0)])
    assert (len(fed.written), fed.waiting, len(fed.stale)) == (1, 0, 0)
    source = es.get(index=index, id="early")["_source"]
    assert (source["title"], source["price"], source["status"]) == ("coat", 9.0, "on_sale")
    assert source["partials"] == {"whole": T0 + 20, "at": {"price": T0 + 30, "title": T0 + 30}}
    fed = feeder.write([to_document("early", whole(40, title="shirt"), T0)])
    source = es.get(index=index, id="early")["_source"]
    assert "partials" not in source  # a newer whole message is the version of all fields again
    assert (source["title"], source["price"]) == ("shirt", 10.0)


def test_what_is_stale_is_told_field_by_field(es, index, feeder) -> None:
    def outcome(message):
        fed = feeder.write([to_document("told", message, T0)])
        return (len(fed.written), len(fed.stale))

    assert outcome(whole(20)) == (1, 0)
    assert outcome(partial(30, price=3.0)) == (1, 0)
    assert outcome(partial(25, price=4.0)) == (0, 1)
    assert outcome(partial(25, price=4.0, title="coat")) == (1, 0)  # the title is news
    assert outcome(whole(22)) == (1, 0)  # late, and newer than all but two fields
    assert outcome(whole(21)) == (0, 1)
    version = es.get(index=index, id="told")["_version"]
    assert outcome(partial(30, price=3.0)) == (1, 0)  # twice: as it is in the index
    assert es.get(index=index, id="told")["_version"] == version


def test_scores_and_what_others_wrote_stay_where_the_photo_does(es, index, feeder) -> None:
    feeder.write([to_document("kept", whole(10), T0)])
    es.update(index=index, id="kept", doc={"image_attributes": {"brightness": 0.5}})
    feeder.write([to_document("kept", partial(20, price=1.0), T0 + 9)])
    source = es.get(index=index, id="kept")["_source"]
    assert (source["image_score"], source["image_attributes"]) == (0.25, {"brightness": 0.5})
    feeder.write([to_document("kept", partial(30, image_url="2.jpg"), T0 + 9)])
    source = es.get(index=index, id="kept")["_source"]
    assert source["image_score"] == 0.75
    assert "image_attributes" not in source
    feeder.write([to_document("kept", whole(25), T0 + 99)])  # late, of the photo that is gone, scored last
    source = es.get(index=index, id="kept")["_source"]
    assert (source["image_url"], source["image_score"]) == ("2.jpg", 0.75)


def test_a_message_survives_the_topic_with_its_nulls() -> None:
    message = parse_message({"item_id": "a", **partial(1, price=None, title="coat")})
    assert parse_message(message.to_json()) == message
    assert json.loads(message.to_json())["price"] is None


def test_a_new_item_is_as_it_was_sent_and_a_score_that_is_none_is_refused(es, index, feeder) -> None:
    fresh = to_document("fresh", whole(1, category=None), T0)
    assert "category" in fresh.emptied
    bad = to_document("bad", whole(1), T0)
    bad.source["image_score"] = 7.0
    fed = feeder.write([fresh, bad])
    assert fed.written == [fresh]
    source = es.get(index=index, id="fresh")["_source"]
    assert source.pop("ingested_at") > T0
    assert source == fresh.source
    assert "image_score is 7.0, not within [0, 1]" in fed.refused[0][1]
    assert not es.exists(index=index, id="bad")
