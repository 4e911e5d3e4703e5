"""Labels that others made, as files by hand."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ranking.cli import full_app
from ranking.errors import InputError
from ranking.whole_file import write_json_lines
from scorer.labels import read_pages
from scorer.labels.importing import import_labels


def test_ratings_become_the_page_of_each_judge_with_holes_where_one_did_not_rate(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(
        "serp_id,image,score,judge,category\n"
        "p1,a.jpg,3,ann,hat\np1,b.jpg,4.5,ann,hat\np1,a.jpg,2,bob,hat\np1,b.jpg,5,bob,hat\np1,c.jpg,1,bob,hat\n"
        "p1,a.jpg,9,ann,hat\np2,a.jpg,1,ann,hat\np1,d.jpg,,ann,hat\np1,d.jpg,good,ann,hat\n,d.jpg,1,ann,hat\n"
    )
    found = import_labels(path, "ratings")
    assert found.rows == [
        {"serp_id": "p1", "category": "hat", "judge": "ann", "images": ["a.jpg", "b.jpg", "c.jpg"],
         "scores": [3.0, 4.5, None]},
        {"serp_id": "p1", "category": "hat", "judge": "bob", "images": ["a.jpg", "b.jpg", "c.jpg"],
         "scores": [2.0, 5.0, 1.0]},
    ]  # fmt: skip
    kinds = [(skip.line, skip.kind) for skip in found.skips]
    assert kinds == [(7, "duplicate"), (9, "broken"), (10, "broken"), (11, "broken"), (8, "one photo")]


def test_ratings_may_be_json_lines_of_one_nameless_judge(tmp_path):
    path = tmp_path / "ratings.jsonl"
    path.write_text('{"page": "p", "image": "a", "rating": 1}\n{\n{"page": "p", "image": "b", "rating": 2}\n')
    found = import_labels(path, "ratings", judge="panel", suffix=".jpg")
    assert found.rows[0]["judge"] == "panel"
    assert found.rows[0]["images"] == ["a.jpg", "b.jpg"]
    assert [skip.kind for skip in found.skips] == ["broken"]


def test_a_histogram_is_its_mean_and_pages_are_of_one_folder(tmp_path):
    def entry(image, **votes):
        return {"image_id": image, "label": [votes.get(f"s{i}", 0) for i in range(1, 11)]}

    path = tmp_path / "ava.json"
    entries = [
        entry("953958", s1=1, s10=1),
        entry("953959", s5=3, s6=1),
        entry("bag/1", s2=1),
        entry("bag/2", s3=4),
    ]
    entries += [entry("953958", s1=1), entry("empty"), {"image_id": "short", "label": [1, 2]}, 7,
                {"image_id": "neg", "label": [-1] + [0] * 9}, entry("lone/1", s4=1)]  # fmt: skip
    path.write_text(json.dumps(entries))
    found = import_labels(path, "histograms", suffix=".jpg")
    by_image = {
        image: score for row in found.rows for image, score in zip(row["images"], row["scores"], strict=True)
    }
    assert by_image == {"953958.jpg": 5.5, "953959.jpg": 5.25, "bag/1.jpg": 2.0, "bag/2.jpg": 3.0}
    assert [(row["category"], len(row["images"])) for row in found.rows] == [("", 2), ("bag", 2)]
    assert sorted(skip.kind for skip in found.skips) == ["broken"] * 4 + ["duplicate", "one photo"]
    assert import_labels(path, "histograms", suffix=".jpg").rows == found.rows


def test_votes_become_pairs_with_their_shares_of_the_weight(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text(
        "better,worse,query,weight\nb.jpg,a.jpg,dress,3\na.jpg,b.jpg,dress,1\nb.jpg,a.jpg,coat,\n"
        "a.jpg,a.jpg,dress,1\na.jpg,b.jpg,dress,-1\na.jpg,b.jpg,dress,nan\na.jpg,,dress,1\n"
    )
    found = import_labels(path, "votes")
    assert [(row["query"], row["images"], row["scores"], row["weight"]) for row in found.rows] == [
        ("dress", ["a.jpg", "b.jpg"], [0.25, 0.75], 4.0),
        ("coat", ["a.jpg", "b.jpg"], [0.0, 1.0], 1.0),
    ]
    assert len(found.skips) == 4


def test_the_same_vote_for_two_queries_is_two_pages(tmp_path):
    path, target = tmp_path / "votes.csv", tmp_path / "labels.jsonl"
    path.write_text("better,worse,query\nb,a,dress\nb,a,coat\n")
    write_json_lines(target, import_labels(path, "votes").rows)
    found = read_pages(target)
    assert len(found.pages) == 2
    assert found.warning is None


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("a.csv", "", "ratings", "has no ratings that can be used"),
        ("a.csv", "x,y\n1,2\n", "votes", "line 2: better is missing"),
        ("a.csv", b"\xff\xfe\x00", "votes", "not a readable CSV"),
        ("a.json", "{", "histograms", "is not JSON"),
        ("a.json", "{}", "histograms", "is not a JSON list"),
        ("a.json", "[]", "histograms", "has no histograms"),
        ("a.json", "[]", "stars", "is no kind of labels"),
    ],
)
def test_a_file_of_another_kind_is_one_sentence(tmp_path, name, content, kind, words):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=words):
        import_labels(path, kind)


def test_the_command_writes_a_label_file_that_is_read(tmp_path):
    path, target = tmp_path / "votes.csv", tmp_path / "labels.jsonl"
    path.write_text("better,worse\na,b\nc,c\n")
    words = [
        "scorer",
        "import-labels",
        str(path),
        "--kind",
        "votes",
        "--out",
        str(target),
        "--format",
        "json",
    ]
    done = CliRunner().invoke(full_app(), words)
    assert json.loads(done.stdout) == {
        "kind": "votes", "read": 1, "lines": 1, "skipped": {"broken": 1}, "file": str(target),
    }  # fmt: skip
    assert read_pages(target).pages[0].mean.tolist() == [1.0, 0.0]
