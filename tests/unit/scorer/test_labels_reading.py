"""Label files as they are found: what is wrong is left out, counted and said, and the rest is used."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ranking.errors import InputError
from scorer.labels import read_files, read_pages
from scorer.labels.reading import MAX_LINE_BYTES
from scorer.training.labels import read_labels

GOOD = {"serp_id": "good", "judge": "a", "images": ["a", "b"], "scores": [1, 2], "adjectives": [["x"], ["y"]]}


def write(path, *rows):
    path.write_bytes(b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows))
    return path


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        (b"{", "broken", "not JSON"),
        (b"[1]", "broken", "not a JSON object"),
        (b"\xff\xfe", "broken", "not JSON"),
        (b"[" * 50_000, "broken", "not JSON"),
        ({"images": ["a", "b"], "scores": [1, 2]}, "broken", "serp_id is missing"),
        (GOOD | {"serp_id": "n", "scores": [1]}, "broken", "2 images but 1 scores"),
        (GOOD | {"serp_id": "n", "scores": [1, "2"]}, "broken", "neither a number nor null"),
        (GOOD | {"serp_id": "n", "scores": [1, True]}, "broken", "neither a number nor null"),
        (GOOD | {"serp_id": "n", "scores": [1, float("inf")]}, "broken", "infinite"),
        (GOOD | {"serp_id": "n", "images": ["a", "a"]}, "broken", "twice"),
        (GOOD | {"serp_id": "n", "images": ["a", None]}, "broken", "no text"),
        (GOOD | {"serp_id": "n", "images": "ab"}, "broken", "images must be a list"),
        (GOOD | {"serp_id": "n", "images": ["a"], "scores": [1]}, "one photo", "one photo"),
        (GOOD | {"serp_id": "n", "scores": [1, None]}, "one photo", "1 scored photos"),
        (GOOD | {"serp_id": "n", "clicked": 2}, "broken", "clicked"),
        (GOOD, "duplicate", "good repeats line 1"),
        (GOOD | {"scores": [9, 9]}, "duplicate", "good repeats line 1"),
        (GOOD | {"serp_id": "copy"}, "duplicate", "copy repeats line 1"),
        (GOOD | {"judge": "b", "images": ["a", "c"]}, "other photos", "other images than on line 1"),
    ],
)
def test_a_line_that_cannot_be_used_is_left_out_and_counted(tmp_path, row, kind, words):
    found = read_pages(write(tmp_path / "l.jsonl", GOOD, row))
    assert [page.serp_id for page in found.pages] == ["good"]
    assert kind in found.skipped
    assert words in found.warning
    told = []
    assert len(read_labels(tmp_path / "l.jsonl", note=told.append)) == 1
    assert told == [found.warning]


def test_a_hole_costs_its_photo_and_the_click_keeps_its_place(tmp_path):
    row = GOOD | {
        "images": ["a", "b", "c"],
        "scores": [None, 2, 3],
        "adjectives": [["x"], [], ["z"]],
        "clicked": 2,
    }
    found = read_pages(write(tmp_path / "l", row))
    (page,) = found.pages
    assert (page.images, page.scores.tolist(), page.adjectives) == (("b", "c"), [[2.0, 3.0]], (((), ("z",)),))
    assert page.clicked == 1
    assert found.skipped == {"hole": 1}


def test_a_hole_of_one_judge_of_two_leaves_the_photo_out_of_the_mean(tmp_path):
    one, two = GOOD | {"images": list("abc"), "scores": [1, 2, 3]}, GOOD | {"images": list("abc")}
    path = write(tmp_path / "l", one, two | {"judge": "b", "scores": [3, float("nan"), 5]})
    (page,) = read_pages(path).pages
    assert page.images == ("a", "b", "c")
    assert np.isnan(page.mean[1])
    (serp,) = read_labels(path, note=lambda _: None)
    assert (serp.images, serp.truth.tolist(), serp.n_judges) == (("a", "c"), [2.0, 4.0], 2)


def test_without_a_note_python_warns(tmp_path):
    with pytest.warns(UserWarning, match="1 duplicate"):
        read_labels(write(tmp_path / "l", GOOD, GOOD))


def test_a_file_per_judge_is_one_set_of_pages(tmp_path):
    other = GOOD | {"judge": "b", "scores": [4, 5]}
    found = read_files([write(tmp_path / "a", GOOD), write(tmp_path / "b", other)])
    assert found.pages[0].judges == ("a", "b")
    assert found.warning is None


@pytest.mark.parametrize("content", [b"", b"\n \n", b"{\n", b"\x00" * 100])
def test_a_file_without_a_usable_page_is_one_sentence(tmp_path, content):
    path = tmp_path / "l"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no labels that can be used"):
        read_pages(path)


def test_an_endless_line_is_refused_without_reading_it_whole(tmp_path):
    path = tmp_path / "l"
    path.write_bytes(b" " * (MAX_LINE_BYTES + 2))
    with pytest.raises(InputError, match="line 1 is longer than"):
        read_pages(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_pages(tmp_path / "absent")
