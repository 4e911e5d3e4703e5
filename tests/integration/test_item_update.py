"""`rank-item-update`: the stored script through which partial updates never replace newer by older."""

from __future__ import annotations

import pytest
from elasticsearch import BadRequestError, ConflictError, Elasticsearch

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from index_templates.desired import ITEM_UPDATE

# ruff: noqa: PLR0917  (parameters of a table)
pytestmark = pytest.mark.engines

ITEM = {
    "item_id": "a",
    "title": "dress",
    "price": 100,
    "updated_at": "2026-01-02T00:00:00Z",
    "image_url": "1.jpg",
}
SCORE = {"image_score": 0.5, "image_score_version": "m-new", "image_scored_at": "2026-01-02T10:00:00.000Z"}
ORDER = ["m-old", "m-new", "m-newest"]


@pytest.fixture
def family(es: Elasticsearch, prefix: str) -> str:
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    es.index(index=prefix, id="a", document=ITEM | SCORE)
    return prefix


def update(es, family, doc, *, bulk=True, order=None, id="a"):
    """One update; (result, the item afterwards). An upsert inside _bulk must name its item_id."""
    upsert = {"item_id": id, **doc}
    script = {"id": ITEM_UPDATE, "params": {"doc": doc, **({"version_order": order} if order else {})}}
    if bulk:
        answer = es.bulk(
            index=family, operations=[{"update": {"_id": id}}, {"script": script, "upsert": upsert}]
        )["items"][0]["update"]
    else:
        answer = es.update(index=family, id=id, script=script, upsert=upsert)
    return answer, es.get(index=family, id=id)["_source"]


def scored(score, version, at):
    return {"image_score": score, "image_score_version": version, "image_scored_at": at}


@pytest.mark.parametrize("bulk", [True, False], ids=["_bulk", "_update"])
@pytest.mark.parametrize(
    ("doc", "order", "kept"),
    [
        (scored(0.9, "m-new", "2026-01-02T09:00:00Z"), None, 0.5),  # an older run of the same model
        (scored(0.9, "m-new", "2026-01-02T11:00:00Z"), None, 0.9),  # a later run
        (scored(0.9, "m-new", 1767351600000), None, 0.9),  # 11:00, as epoch milliseconds
        (scored(0.9, "m-old", "2026-01-02T09:00:00Z"), None, 0.5),
        (scored(0.9, "m-old", "2026-01-02T11:00:00Z"), ORDER, 0.5),  # an old worker that still runs
        (scored(0.9, "m-newest", "2026-01-02T09:00:00Z"), ORDER, 0.9),  # a newer model wins whenever it ran
        (scored(0.9, "m-other", "2026-01-02T11:00:00Z"), ORDER, 0.9),  # unknown to the order: by time
        ({"image_score": 0.9, "image_score_version": "m-other"}, None, 0.5),  # of unknown age
    ],
)
def test_an_older_score_never_replaces_a_newer_one(es, family, doc, order, kept, bulk) -> None:
    answer, source = update(es, family, doc, order=order, bulk=bulk)
    assert source["image_score"] == kept
    assert source["title"] == "dress"
    assert answer["result"] == ("noop" if kept == 0.5 else "updated")
    if kept == 0.5:
        assert source["image_score_version"] == "m-new"


def test_item_and_score_have_clocks_of_their_own(es, family) -> None:
    late = {"price": 80, "updated_at": "2026-01-01T00:00:00Z"}
    _, source = update(es, family, late | scored(0.9, "m-new", "2026-01-03T00:00:00Z"))
    assert (source["price"], source["image_score"]) == (100, 0.9)
    newer = {"price": 80, "updated_at": "2026-01-04T00:00:00Z"}
    _, source = update(es, family, newer | scored(0.1, "m-new", "2026-01-01T00:00:00Z"))
    assert (source["price"], source["image_score"]) == (80, 0.9)


def test_a_new_photo_does_not_keep_the_old_ones_score(es, family) -> None:
    failed = {"reason": "HTTP 404", "version": "m-newest"}
    beside = {"image_score_next": 0.9, "image_score_previous": 0.4, "image_score_failed": failed}
    es.update(index=family, id="a", doc=beside)
    _, source = update(es, family, {"image_url": "2.jpg", "updated_at": "2026-01-05T00:00:00Z"})
    assert not [name for name in source if name.startswith("image_score")]
    _, source = update(
        es,
        family,
        {"image_url": "3.jpg", "updated_at": "2026-01-06T00:00:00Z"} | scored(0.2, "m-old", "2026-01-01"),
        order=ORDER,
    )
    assert source["image_score"] == 0.2  # an older model's, but of the photo that is there
    _, source = update(
        es,
        family,
        {"image_url": "2.jpg", "updated_at": "2026-01-05T00:00:00Z"} | scored(0.7, "m-newest", 9e12),
    )
    assert (source["image_url"], source["image_score"]) == ("3.jpg", 0.2)  # late: of a photo that is gone


@pytest.mark.parametrize(
    ("held", "given", "kept"),
    [
        ({"image_hash": "h1"}, {"image_url": "2.jpg", "image_hash": "h1"}, True),  # moved
        ({"image_hash": "h1"}, {"image_url": "1.jpg", "image_hash": "h2"}, False),  # replaced in its place
        ({"image_hash": "h1"}, {"image_url": "2.jpg"}, False),  # another, which could not be read
        ({"image_hash": "h1"}, {"image_url": None}, False),  # taken away
        ({"image_hash": "h1"}, {"image_url": None, "image_hash": "h1"}, True),  # carried in the message now
        ({"image_hash": "h1", "image_url": None}, {"image_url": "2.jpg"}, False),  # was carried in a message
        ({}, {"image_url": "1.jpg", "image_hash": "h1"}, True),  # its hash is kept from now on
        ({}, {"price": 3}, True),
    ],
)
def test_the_hash_says_whether_a_photo_is_another_one(es, family, held, given, kept) -> None:
    document = {k: v for k, v in (ITEM | SCORE | held).items() if v is not None}
    es.index(index=family, id="a", document=document)
    _, source = update(es, family, given | {"updated_at": "2026-01-05T00:00:00Z"})
    assert ("image_score" in source, "image_score_version" in source) == (kept, kept)
    wanted = given.get("image_hash", held.get("image_hash") if kept else None)
    assert source.get("image_hash") == wanted
    assert "image_url" not in source or source["image_url"] is not None


def test_a_new_photo_is_not_taken_for_generated_because_the_old_one_was(es, family) -> None:
    flag = {"probability": 0.9, "source": "c2pa"}
    _, source = update(es, family, {"ai_generated": flag, "updated_at": "2026-01-03T00:00:00Z"})
    assert source["ai_generated"] == flag
    late = {"image_url": "0.jpg", "updated_at": "2026-01-02T12:00:00Z"}
    _, source = update(es, family, late)
    assert source["ai_generated"] == flag
    _, source = update(es, family, {"image_url": "2.jpg", "updated_at": "2026-01-05T00:00:00Z"})
    assert "ai_generated" not in source


@pytest.mark.parametrize("bad", [1.5, "NaN", "good", -1])
def test_a_score_that_is_none_is_refused_with_its_value(es, family, bad) -> None:
    answer, source = update(es, family, scored(bad, "m-newest", "2027-01-01T00:00:00Z"))
    assert answer["status"] == 400
    assert f"image_score is {bad}" in str(answer["error"])
    assert source["image_score"] == 0.5
    with pytest.raises(BadRequestError):
        update(es, family, scored(bad, "m-newest", "2027-01-01T00:00:00Z"), bulk=False)


def test_what_a_value_says_is_data_and_never_code(es, family) -> None:
    doc = {"title": "'; ctx.op = 'delete'; //", "updated_at": "2027-01-01T00:00:00Z"}
    _, source = update(es, family, doc)
    assert source["title"] == doc["title"]


def test_an_item_that_is_not_there_is_made_through_the_pipeline(es, family) -> None:
    answer, source = update(es, family, {"item_id": "b", "title": "new", "image_score": "0.25"}, id="b")
    assert answer["result"] == "created"
    assert (source["item_id"], source["status"], source["image_score"]) == ("b", "on_sale", 0.25)


@pytest.mark.parametrize(
    ("doc", "reason"),
    [
        ({"item_id": "b", "image_score": 7}, "image_score is 7, not within [0, 1]"),
        ({"title": "no id: an upsert inside _bulk shows the pipeline no _id"}, "item_id is missing"),
    ],
)
def test_an_upsert_that_cannot_be_used_is_refused_with_its_reason(es, family, doc, reason) -> None:
    script = {"id": ITEM_UPDATE, "params": {"doc": doc}}
    answer = es.bulk(index=family, operations=[{"update": {"_id": "b"}}, {"script": script, "upsert": doc}])
    assert answer["items"][0]["update"]["status"] == 400
    assert reason in str(answer["items"][0]["update"]["error"])
    assert not es.exists(index=family, id="b")


def test_the_same_again_is_no_write(es, family) -> None:
    answer, _ = update(es, family, ITEM | SCORE)
    assert answer["result"] == "noop"


def test_full_writes_are_ordered_by_updated_at_alone(es, family) -> None:
    """The feeder's guard holds for whole documents: an external version; the score goes with its document."""
    version = {"version_type": "external_gte", "id": "full", "index": family}
    es.index(document=ITEM | SCORE, version=1_767_312_000_000, **version)
    with pytest.raises(ConflictError):
        es.index(document=ITEM | SCORE, version=1_767_311_999_999, **version)
    older = scored(0.9, "m-old", "2026-01-01T00:00:00Z")
    es.index(
        document=ITEM | older, version=1_767_312_000_000, **version
    )  # a re-delivery scored by an old worker
    assert es.get(index=family, id="full")["_source"]["image_score_version"] == "m-old"
    update(es, family, SCORE, id="full")  # the update counts the version up by one
    assert es.get(index=family, id="full")["_version"] == 1_767_312_000_001
    es.index(document=ITEM, version=1_767_312_000_002, **version)
