import json

import pytest

from ranking.errors import InputError
from ranking.item_message import epoch_ms, iso_ms, parse_message
from scorer.ingest.publisher import read_jsonl

GOOD = {
    "item_id": "a1",
    "title": "red dress",
    "category": "dress",
    "price": 12.5,
    "status": "on_sale",
    "created_at": "2026-01-02T03:04:05.678Z",
    "updated_at": 1767323046000,
    "image_url": "dress/1.jpg",
    "ai_generated": {"probability": 0.9, "source": "detector"},
}


def test_a_message_becomes_a_document_in_the_names_of_the_index():
    assert parse_message(json.dumps(GOOD)).to_document() == {
        "item_id": "a1",
        "title": "red dress",
        "category": "dress",
        "price": 12.5,
        "status": "on_sale",
        "created_at": "2026-01-02T03:04:05.678Z",
        "updated_at": "2026-01-02T03:04:06.000Z",
        "image_url": "dress/1.jpg",
        "ai_generated": {"probability": 0.9, "source": "detector"},
    }


def test_unknown_keys_are_dropped_and_do_not_fail():
    message = parse_message(
        {**GOOD, "seller_password": "x", "ai_generated": {"probability": 1, "model": "y"}}
    )
    document = message.to_document()
    assert "seller_password" not in document
    assert document["ai_generated"] == {"probability": 1.0}


def test_a_message_survives_its_own_json():
    message = parse_message(GOOD)
    assert parse_message(message.to_json()) == message


@pytest.mark.parametrize(
    ("value", "millis"),
    [
        (1767323045678, 1767323045678),
        ("1767323045678", 1767323045678),
        (1767323045678.0, 1767323045678),
        ("2026-01-02T03:04:05.678Z", 1767323045678),
        ("2026-01-02T04:04:05.678+01:00", 1767323045678),
        ("2026-01-02T03:04:05.678", 1767323045678),  # no offset: UTC, as in Elasticsearch
        ("2026-01-02", 1767312000000),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_dates_are_iso_or_epoch_milliseconds(value, millis):
    assert epoch_ms(value) == millis


@pytest.mark.parametrize(
    "value", [1767323045, "1767323045", True, None, "soon", "nan", [], {}, -1, 1e18, "1969-12-31"]
)
def test_what_is_no_date_is_refused(value):
    with pytest.raises(ValueError, match=r"seconds|neither|outside"):
        epoch_ms(value)


@pytest.mark.parametrize("millis", [0, 1, 999, 1767323045678, 253402300799999])
def test_iso_text_and_epoch_ms_are_the_same_moment(millis):
    assert epoch_ms(iso_ms(millis)) == millis


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"item_id": ""}, "item_id"),
        ({"item_id": "é" * 257}, "512 bytes"),
        ({"item_id": None}, "item_id"),
        ({"title": ""}, "title"),
        ({"price": -1}, "price"),
        ({"price": float("nan")}, "price"),
        ({"price": "cheap"}, "price"),
        ({"status": "lost"}, "status"),
        ({"created_at": None}, "created_at"),
        ({"updated_at": None}, "updated_at"),
        ({"updated_at": 1767323045}, "seconds"),
        ({"ai_generated": {"probability": 1.5}}, "ai_generated.probability"),
        ({"ai_generated": "yes"}, "ai_generated"),
    ],
)
def test_a_wrong_field_is_named(change, named):
    with pytest.raises(InputError, match=named):
        parse_message({**GOOD, **change})


def test_all_wrong_fields_are_named_at_once():
    with pytest.raises(InputError) as e:
        parse_message({"item_id": "a", "status": "gone", "price": -1})
    assert all(name in str(e.value) for name in ("status", "price", "updated_at"))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[1]", b"null", b'"text"', b"[" * 100_000])
def test_what_is_no_json_object_is_an_input_error(data):
    with pytest.raises(InputError):
        parse_message(data)


def test_a_deleted_item_needs_only_its_id_and_version():
    document = parse_message({"item_id": 7, "status": "deleted", "updated_at": 1767323045678}).to_document()
    assert document == {"item_id": "7", "status": "deleted", "updated_at": "2026-01-02T03:04:05.678Z"}


def test_a_partial_message_holds_only_what_changed_and_a_null_takes_a_field_away():
    message = parse_message({"item_id": "a", "partial": True, "updated_at": 1767323045678, "price": None})
    assert message.is_partial
    assert message.to_document() == {"item_id": "a", "updated_at": "2026-01-02T03:04:05.678Z"}
    assert message.speaks_of == {"price"}
    named = parse_message({**GOOD, "partial": True})
    assert named.to_document() == parse_message(GOOD).to_document()
    assert parse_message(message.to_json()) == message
    assert b"partial" not in parse_message(GOOD).to_json()


def test_a_partial_delete_is_a_whole_one():
    message = parse_message(
        {"item_id": "a", "partial": True, "status": "deleted", "updated_at": 1767323045678}
    )
    assert (message.is_deleted, message.is_partial) == (True, False)
    assert "price" in message.speaks_of


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, "names none of ai_generated, category, created_at"),
        ({"seller": "x"}, "names none of"),
        ({"title": ""}, "title cannot be taken from an item"),
        ({"created_at": None}, "created_at cannot be taken"),
        ({"title": None}, "title: Input should be a valid string"),
        ({"ai_generated": {"probability": 0}}, "send image_url with it"),
        ({"price": -1}, "price"),
    ],
)
def test_a_partial_message_that_leaves_half_an_item_is_refused(change, says):
    with pytest.raises(InputError, match=says):
        parse_message({"item_id": "a", "partial": True, "updated_at": 1767323045678, **change})


def test_a_file_of_changes_needs_no_mark_on_each_line(tmp_path):
    path = tmp_path / "prices.jsonl"
    path.write_text('{"item_id": "a", "updated_at": 1767323045678, "price": 9}\n')
    with pytest.raises(InputError, match=r"title and created_at missing.*partial"):
        list(read_jsonl(path))
    (message,) = read_jsonl(path, partial=True)
    assert (message.is_partial, message.price) == (True, 9.0)
    path.write_text("[1]\n")
    with pytest.raises(InputError, match="line 1: not a JSON object"):
        list(read_jsonl(path, partial=True))


def test_a_photo_inside_the_message_is_not_kept_in_the_index():
    message = parse_message({**GOOD, "image_url": "data:image/jpeg;base64,AAAA"})
    assert message.image_url is not None
    assert "image_url" not in message.to_document()


def test_a_file_of_messages_names_its_wrong_line(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n{\n")
    with pytest.raises(InputError, match="line 3: not JSON"):
        list(read_jsonl(path))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_jsonl(tmp_path / "absent.jsonl"))
