"""Grades that people and language models gave: read, averaged, and refused with the line that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ranking.errors import InputError
from ranking.explore import SwapPairs
from ranking.item_photos import read_photos_csv
from replay import read_log
from replay.clicks import read_photo_labels, read_ratings
from tests.unit.replay.world import explored


def test_ratings_of_several_raters_count_with_their_mean(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("query,docid,rating,rater\nred dress,a,3,x\nred dress,a,1,y\nred dress,b,2,x\n")
    rated = read_ratings(path)
    assert rated.rows == [("red dress", "a", 2.0), ("red dress", "b", 2.0)]
    assert (rated.n_ratings, rated.n_raters, rated.disagreement) == (3, 2, 2.0)
    assert read_ratings(path, scale=3).rows[1] == ("red dress", "b", pytest.approx(8 / 3))


def test_json_lines_of_a_language_model_are_ratings_too(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"query": "q", "item_id": "a", "grade": 2, "judge": "m"}\n\n')
    rated = read_ratings(path)
    assert rated.rows == [("q", "a", 2.0)]
    assert rated.disagreement is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query,docid,rating\nq,a,good\n", ":2: 'good' is not a number"),
        ("query,docid,rating\nq,a,-1\n", ":2: '-1' is not a number >= 0"),
        ("query,docid,rating\nq,a,nan\n", ":2: 'nan' is not a number"),
        ("query,docid,rating\nq,a,\n", ":2: no rating"),
        ("query,rating\nq,1\n", ":2: no item_id"),
        ("query,docid,rating,rater\nq,a,1,x\nq,a,2,x\n", ":3: a for 'q' is rated twice"),
        ("query,docid,rating\nq,a,11\n", ":2: rating 11 is above the scale, 10"),
        ("query,docid,rating\n", "has no ratings"),
    ],
)
def test_a_wrong_rating_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_ratings(path, scale=10)
    assert message in str(caught.value)


def test_photo_labels_grade_the_captured_items_of_their_photo(tmp_path: Path) -> None:
    explored(tmp_path, SwapPairs(), n=30)
    log = read_log(tmp_path)
    item = str(log.item_id[0])
    labels = tmp_path / "labels.jsonl"
    pages = [
        {"judge": "a", "images": ["train/shirt/x 1.jpg", "train/shirt/y.jpg"], "scores": [10, 1]},
        {"judge": "b", "images": ["train/shirt/x 1.jpg"], "scores": [1]},
    ]
    labels.write_text("\n".join(map(json.dumps, pages)))
    photo_of = {item: "file:///data/photos/train/shirt/x%201.jpg", "other": "file:///elsewhere/y.jpg"}
    rated, unused = read_photo_labels([labels], log, photo_of)
    queries = {str(log.searches["query"][i]) for i in range(len(log)) if item in log.item_id[log.span(i)]}
    assert sorted(rated.rows) == sorted((query, item, 2.0) for query in queries)  # mean of 4 and 0
    assert unused == 1
    assert rated.disagreement == 4.0
    with pytest.raises(InputError, match="no label belongs"):
        read_photo_labels([labels], log, {"other": "z.jpg"})


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ('{"images": ["a.jpg"], "scores": [1, 2]}', "not lists of one length"),
        ('{"images": ["a.jpg"], "scores": [11]}', "score 11 of a.jpg is not in 1..10"),
        ('{"images": ["a.jpg"], "scores": [true]}', "True is not a number"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
    ],
)
def test_a_wrong_label_is_named_with_its_line(tmp_path: Path, page: str, message: str) -> None:
    explored(tmp_path, SwapPairs(), n=3)
    labels = tmp_path / "labels.jsonl"
    labels.write_text(page)
    with pytest.raises(InputError, match=r"labels\.jsonl:1: ") as caught:
        read_photo_labels([labels], read_log(tmp_path), {})
    assert message in str(caught.value)


def test_photos_come_from_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "photos.csv"
    path.write_text("item_id,image\na,x.jpg\n")
    assert read_photos_csv(path) == {"a": "x.jpg"}
    path.write_text("item_id,image\na,\n")
    with pytest.raises(InputError, match=":2: item_id or image is empty"):
        read_photos_csv(path)
