import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from marketplace import contact_sheet, generate
from marketplace.render import pool
from marketplace.times import DAY_MS
from marketplace.titles import BRANDS, CLASSES
from ranking import fields
from ranking.errors import InputError

NOW_MS = 1_760_000_000_000


def test_item_ids_are_unique(town):
    assert len({item.item_id for item in town.items}) == len(town.items) == 1200


def test_every_item_was_listed_in_the_ninety_days_before_the_first_search(town):
    ages = np.array([(NOW_MS - item.created_ms) / DAY_MS for item in town.items])
    assert ages.min() >= 3.0
    assert ages.max() <= 90.0


def test_recent_items_are_more_numerous(town):
    ages = np.array([(NOW_MS - item.created_ms) / DAY_MS for item in town.items])
    weeks = [np.sum((ages >= 3 + 29 * k) & (ages < 3 + 29 * (k + 1))) for k in range(3)]
    assert weeks[0] > 2 * weeks[1] > 4 * weeks[2] > 0
    # Mean of an exponential with mean 24 cut at 87: 24 - 87 / (e^(87/24) - 1) = 21.62.
    assert np.mean(ages - 3) == pytest.approx(21.62, abs=3 * 20 / np.sqrt(len(ages)))


def test_updates_follow_creation_and_precede_the_first_search(town):
    assert all(i.created_ms <= i.updated_ms <= NOW_MS - 3 * DAY_MS for i in town.items)
    assert any(i.created_ms < i.updated_ms for i in town.items)


def test_equal_seeds_give_equal_marketplaces_and_other_seeds_do_not(town):
    again = generate(1200, 120, seed=7, now_ms=NOW_MS, photo_dir=None)
    assert again == town
    assert generate(1200, 120, seed=8, now_ms=NOW_MS, photo_dir=None).items != town.items


def test_a_larger_marketplace_begins_with_the_smaller_ones_items(town):
    assert generate(50, 10, seed=7, now_ms=NOW_MS, photo_dir=None).items == town.items[:50]


def test_a_few_items_are_sold_flagged_or_without_a_photo(town):
    n = len(town.items)
    assert 0.01 * n < sum(item.status == fields.SOLD for item in town.items) < 0.08 * n
    assert 0.01 * n < sum((item.ai_probability or 0) >= 0.5 for item in town.items) < 0.06 * n
    assert 0.005 * n < sum(item.photo_quality is None for item in town.items) < 0.05 * n
    assert all(item.status in fields.STATUSES for item in town.items)


def test_photo_quality_is_independent_of_price_and_age(town):
    known = [item for item in town.items if item.photo_quality is not None and item.ai_probability is None]
    quality = [item.photo_quality for item in known]
    for other in ([item.price for item in known], [item.created_ms for item in known]):
        assert abs(np.corrcoef(quality, other)[0, 1]) < 3.5 / np.sqrt(len(known))


def test_message_has_the_index_field_names_and_no_hidden_truth(town, tmp_path):
    item = replace(town.items[0], image_path=tmp_path / "a b.jpg", ai_probability=0.75)
    message = item.message()
    assert message == {
        "item_id": item.item_id,
        "title": item.title,
        "description": item.description,
        "category": item.category,
        "price": item.price,
        "status": item.status,
        "created_at": item.created_ms,
        "updated_at": item.updated_ms,
        "image_url": (tmp_path / "a b.jpg").as_uri(),
        "ai_generated": {"probability": 0.75, "source": "simulated"},
    }
    bare = replace(item, image_path=None, ai_probability=None).message()
    assert "image_url" not in bare
    assert "ai_generated" not in bare


def test_prices_are_whole_yen_and_dearer_for_coats_than_for_tees(town):
    assert all(isinstance(item.price, int) and item.price >= 300 for item in town.items)
    coats = np.median([item.price for item in town.items if item.category == "outwear"])
    tees = np.median([item.price for item in town.items if item.category == "t-shirt"])
    assert coats > 3 * tees


def test_titles_mostly_name_class_and_colour(town):
    named = [any(w in i.title.lower() for w in CLASSES[i.category].words) for i in town.items]
    coloured = [i.colour in i.title.lower() for i in town.items]
    branded = [any(brand in i.title for brand in BRANDS) for i in town.items]
    assert all(named)
    assert 0.85 < np.mean(coloured) < 0.97
    assert 0.7 < np.mean(branded) < 0.9


def test_photos_are_reused_and_the_same_whether_drawn_here_or_by_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "IN_PROCESS", 6)  # so that a dozen photos are worth two processes
    here = generate(14, 5, seed=3, now_ms=NOW_MS, photo_dir=tmp_path / "a", processes=1)
    there = generate(14, 5, seed=3, now_ms=NOW_MS, photo_dir=tmp_path / "b", processes=2)
    pairs = [
        (a.image_path, b.image_path) for a, b in zip(here.items, there.items, strict=True) if a.image_path
    ]
    assert len(pairs) > 11
    assert all(a.name == b.name and a.read_bytes() == b.read_bytes() for a, b in pairs)
    before = {a: a.stat().st_mtime_ns for a, _ in pairs}
    seen = []
    generate(14, 5, seed=3, now_ms=NOW_MS, photo_dir=tmp_path / "a", progress=lambda *x: seen.append(x))
    assert {a: a.stat().st_mtime_ns for a, _ in pairs} == before
    assert seen == []
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == sorted(b.name for _, b in pairs)
    sheet = contact_sheet(here.items[:7], tmp_path / "sheet.png", columns=4, thumb_width=60)
    with Image.open(sheet) as picture:
        assert picture.size == (4 * 64 + 4, 2 * (80 + 16 + 4) + 4)


def test_a_photo_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="photos cannot be written"):
        generate(3, 2, seed=1, now_ms=NOW_MS, photo_dir=tmp_path / "file" / "photos")


def test_zero_items_or_queries_are_refused(tmp_path):
    with pytest.raises(InputError, match="n_items must be at least 1"):
        generate(0, 5, seed=1, now_ms=NOW_MS, photo_dir=None)
    with pytest.raises(InputError, match="n_queries must be at least 1"):
        generate(5, 0, seed=1, now_ms=NOW_MS, photo_dir=None)
    with pytest.raises(InputError, match="at least one item"):
        contact_sheet([], tmp_path / "sheet.png")


def test_importing_the_package_is_light():
    code = (
        "import sys, marketplace; print(sorted(m for m in sys.modules "
        "if m.split('.')[0] in {'torch', 'elasticsearch', 'scipy', 'tritonclient', 'pyarrow'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_describe_counts_what_is_there(town):
    notes = town.describe()
    assert notes["n_items"] == sum(notes["n_by_category"].values()) == sum(notes["n_by_status"].values())
    assert notes["n_queries"] == sum(notes["n_queries_by_words"].values()) == 120
    assert set(notes["n_by_category"]) == set(CLASSES)
    assert notes["clicks"] == "simulated"
