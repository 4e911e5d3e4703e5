import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marketplace import from_photos
from marketplace.labels import read_labels
from ranking.errors import InputError

NOW_MS = 1_760_000_000_000


PAINT = {"red": (190, 40, 40), "blue": (50, 100, 180), "black": (30, 30, 32), "green": (60, 130, 80)}
REAL = Path(__file__).parents[4] / "shared"


@pytest.fixture
def album(tmp_path):
    """Two folders of classes, below a folder that is no class; one colour a photo; one broken file."""
    for category in ("dress", "hat"):
        folder = tmp_path / "photos" / "train" / category
        folder.mkdir(parents=True)
        for name, rgb in PAINT.items():
            picture = Image.new("RGB", (90, 120), (230, 230, 228))
            picture.paste(rgb, (20, 20, 70, 100))
            picture.save(folder / f"{name}.jpg")
    (tmp_path / "photos" / "train" / "hat" / "torn.jpg").write_bytes(b"\xff\xd8\xff not a photo")
    (tmp_path / "photos" / "train" / "hat" / "notes.txt").write_text("not a photo either")
    return tmp_path / "photos"


def market(album, labels=None, **more):
    return from_photos(album, labels, n_queries=8, seed=4, now_ms=NOW_MS, **more)


def test_class_comes_from_the_folder_and_colour_from_the_photo(album):
    made = market(album)
    assert len(made.items) == 8
    assert {item.category for item in made.items} == {"dress", "hat"}
    assert all(item.colour == item.image_path.stem for item in made.items)
    assert len({item.item_id for item in made.items}) == 8
    assert all(item.photo_quality is None for item in made.items)


def test_broken_files_are_reported_and_left_out(album):
    made = market(album)
    assert made.problems == ("train/hat/torn.jpg: not a readable photo (UnidentifiedImageError)",)
    assert made.describe()["n_problems"] == 1


def test_it_is_the_same_twice_and_ids_do_not_depend_on_the_seed_or_the_place(album, tmp_path):
    made = market(album)
    assert market(album) == made
    album.rename(tmp_path / "moved")
    other = from_photos(tmp_path / "moved", n_queries=8, seed=5, now_ms=NOW_MS)
    assert [item.item_id for item in other.items] == [item.item_id for item in made.items]
    assert [item.title for item in other.items] != [item.title for item in made.items]


def test_fewer_items_are_a_sample(album):
    assert len(market(album, n_items=3).items) == 3
    with pytest.raises(InputError, match="n_items must be at least 1"):
        market(album, n_items=0)


def page(images, scores):
    return json.dumps({"serp_id": "s", "images": images, "scores": scores})


def test_labels_are_stretched_by_page_and_averaged(album, tmp_path):
    labels = tmp_path / "labels.jsonl"
    names = [f"train/dress/{name}.jpg" for name in ("red", "blue", "black")]
    labels.write_text(page(names, [2, 5, 8]) + "\n" + page(names, [1, 9, 5]) + "\n")
    made = market(album, labels)
    truth = {item.image_path.stem: item.photo_quality for item in made.items if item.category == "dress"}
    assert truth == {
        "red": 0.0,
        "blue": 0.75,
        "black": 0.75,
        "green": None,
    }  # means of 0, 0.5, 1 and 0, 1, 0.5
    assert market(album / "train", labels).describe()["n_photo_quality_known"] == 3


def test_holes_and_malformed_lines_are_reported_and_the_rest_is_used(tmp_path):
    labels = tmp_path / "labels.jsonl"
    lines = [
        page(["a.jpg", "b.jpg", "c.jpg"], [1, None, 3]),
        "{not json",
        page(["a.jpg"], [1, 2]),
        page(["a.jpg", "b.jpg"], [4, 4]),
        '["a.jpg"]',
        "",
        page(["d.jpg", "e.jpg", "f.jpg"], [float("nan"), 1, 2]),
    ]
    labels.write_text("\n".join(lines))
    problems = []
    assert read_labels([labels], problems) == {"a.jpg": 0.0, "c.jpg": 1.0, "e.jpg": 0.0, "f.jpg": 1.0}
    assert [p.split(":")[0] for p in problems] == [f"labels.jsonl line {n}" for n in (1, 2, 3, 4, 5, 7)]
    assert "no usable score for 'b.jpg'" in problems[0]
    assert "1 images but 2 scores" in problems[2]
    assert "fewer than two different scores" in problems[3]


@pytest.mark.parametrize(("content", "sentence"), [("", "no line of it"), ("{\n", "no line of it.*not JSON")])
def test_a_labels_file_without_one_usable_line_is_one_sentence(album, tmp_path, content, sentence):
    (tmp_path / "labels.jsonl").write_text(content)
    with pytest.raises(InputError, match=sentence):
        market(album, tmp_path / "labels.jsonl")
    with pytest.raises(InputError, match="cannot be read as a labels file"):
        market(album, tmp_path / "absent.jsonl")


def test_labels_for_other_photos_are_reported(album, tmp_path):
    (tmp_path / "labels.jsonl").write_text(page(["shoes/x.jpg", "shoes/y.jpg"], [1, 2]))
    assert "none of the 2 labelled photos" in market(album, tmp_path / "labels.jsonl").problems[-1]


def test_folders_without_photos_are_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no photo"):
        market(tmp_path / "empty")
    with pytest.raises(InputError, match="is not a folder"):
        market(tmp_path / "absent")
    (tmp_path / "empty" / "torn.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(InputError, match="none of its 1 photos can be read"):
        market(tmp_path / "empty")


def test_real_photos_and_labels_meet():
    if not (REAL / "photos").exists():
        pytest.skip("the real photos are not at hand")
    made = from_photos(
        REAL / "photos" / "validation",
        REAL / "labels" / "validation.jsonl",
        n_items=120,
        n_queries=40,
        seed=1,
        now_ms=NOW_MS,
    )
    assert made.problems == ()
    known = [item.photo_quality for item in made.items if item.photo_quality is not None]
    assert len(known) > 100  # 320 of the 341 are labelled
    assert 0.3 < np.mean(known) < 0.7
    assert len({item.colour for item in made.items}) >= 8
