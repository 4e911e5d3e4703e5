"""Pages out of captured searches: each rule against a page made by hand."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from typer.testing import CliRunner

from ranking.capture import CapturedItem, CaptureRecord, Event, write_captures, write_events
from ranking.cli import full_app
from ranking.profile import Profile
from scorer.labels.serps import RULES, Click, Funnel, Rules, extract
from scorer.labels.split import Split, divide

NOW = 1_795_000_000_000
PROFILE = Profile(name="plain")


def search(search_id, prices, *, at=NOW, user="u", unserved=(), query="dress", **extras):
    items = [
        CapturedItem(
            f"{search_id}-{i}",
            1.0,
            rank=None if i in unserved else i + 1,
            price=p,
            category="dress",
            extras=extras,
        )
        for i, p in enumerate(prices)
    ]
    return CaptureRecord(
        search_id=search_id, query=query, now_ms=at, index="items", profile="plain", user_id=user,
        profile_hash=PROFILE.hash, k=20, total_hits=len(items), window=100, rel_floor=None,
        items=tuple(items),
    )  # fmt: skip


def run(record, clicked, rules=None, photos=None):
    funnel = Funnel()
    clicks = {
        record.search_id: [Click(f"{record.search_id}-{i}", NOW + n, True) for n, i in enumerate(clicked)]
    }
    photos = photos if photos is not None else {item.item_id: f"{item.item_id}.jpg" for item in record.items}
    return list(extract([record], clicks, photos, rules or Rules(), funnel)), funnel


def test_the_window_is_five_before_and_two_after_the_click():
    (page,), funnel = run(search("s", [100.0] * 12), [7])
    assert page.item_ids == tuple(f"s-{i}" for i in (2, 3, 4, 5, 6, 7, 8, 9))
    assert (page.clicked, page.images[page.clicked]) == (5, "s-7.jpg")
    assert page.ranks == (3, 4, 5, 6, 7, 8, 9, 10)
    assert [row["left"] for row in funnel.rows()] == [1] * (len(RULES) + 1)


def test_prices_are_filtered_before_places_are_counted():
    #         0    1    2(x) 3    4(x) 5    6(click) 7   8(x)  9
    prices = [71.0, 70.0, 69.0, 130.0, 131.0, 100.0, 100.0, 90.0, None, 110.0]
    (page,), _ = run(search("s", prices), [6])
    # left after the filter, in order: 0 1 3 5 [6] 7 9
    assert page.item_ids == ("s-0", "s-1", "s-3", "s-5", "s-6", "s-7", "s-9")
    assert page.prices == (71.0, 70.0, 130.0, 100.0, 100.0, 90.0, 110.0)


def test_the_first_click_in_time_decides_and_a_second_in_the_window_spoils_the_page():
    pages, funnel = run(search("s", [10.0] * 6), [4, 1])
    assert pages == []
    assert (funnel.left["priced alike"], funnel.left["one click"]) == (1, 0)
    # the second click is too dear to be in the window: the page stays, unless the whole page counts
    record = search("s", [10.0, 99.0, 10.0])
    (page,), _ = run(record, [2, 1])
    assert page.item_ids == ("s-0", "s-2")
    assert run(record, [2, 1], Rules(clicks_in="page"))[0] == []


def test_what_was_not_served_is_on_no_page():
    (page,), _ = run(search("s", [10.0] * 4, unserved={0, 3}), [2])
    assert page.item_ids == ("s-1", "s-2")
    assert run(search("s", [10.0] * 4, unserved={2}), [2])[0] == []  # a click on what was not shown


@pytest.mark.parametrize(
    ("prices", "clicked", "photos", "fails"),
    [
        ([10.0, 10.0], [], None, "clicked"),
        ([10.0, 10.0], [9], None, "click on the page"),
        ([10.0, None], [1], None, "click on the page"),
        ([10.0, float("nan")], [1], None, "click on the page"),
        ([10.0, 20.0], [1], None, "priced alike"),
        ([10.0, 10.0], [1], {"s-0": "a.jpg"}, "has photos"),
        ([10.0, 10.0], [1], {"s-1": "a.jpg"}, "has photos"),
    ],
)
def test_a_page_leaves_the_funnel_at_the_first_rule_that_it_fails(prices, clicked, photos, fails):
    pages, funnel = run(search("s", prices), clicked, photos=photos)
    assert pages == []
    names = list(RULES)
    before = names[: names.index(fails)]
    assert {name: funnel.left[name] for name in names} == {name: int(name in before) for name in names}


def test_a_free_item_is_like_free_items_only():
    (page,), _ = run(search("s", [0.0, 5.0, 0.0]), [2])
    assert page.item_ids == ("s-0", "s-2")


def test_the_same_window_with_the_same_click_is_kept_once():
    record = search("s", [10.0] * 3)
    funnel = Funnel()
    clicks = {"s": [Click("s-1", NOW, False)]}
    photos = {f"s-{i}": f"{i}.jpg" for i in range(3)}
    assert len(list(extract([record, record], clicks, photos, Rules(), funnel))) == 1
    assert (funnel.left["has photos"], funnel.left["not seen before"]) == (2, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"price_within": -1.0}, {"price_within": float("nan")}, {"min_items": 9}, {"clicks": 0}, {"after": -1}],
)
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Rules(**wrong)


def some_pages(n=400, users=60):
    rng = np.random.default_rng(0)
    pages = []
    for i in range(n):
        record = search(f"q{i}", [10.0] * 3, at=NOW + i * 1000, user=f"u{rng.integers(users)}")
        pages += run(record, [1])[0]
    return pages


def test_validation_is_later_than_training_and_shares_no_user_with_it():
    divided = divide(some_pages(), Split())
    assert divided.training
    assert divided.validation
    assert max(page.at_ms for page in divided.training) < divided.boundary_ms
    assert min(page.at_ms for page in divided.validation) >= divided.boundary_ms
    assert not {page.user for page in divided.training} & {page.user for page in divided.validation}
    late = sum(page.at_ms >= divided.boundary_ms for page in some_pages())
    assert late == 80  # the last 20 % of 400


def test_the_sample_depends_on_ids_alone():
    pages = some_pages()
    shuffled = random.Random(1).sample(pages, len(pages))
    small, large = Split(n_training=20), Split(n_training=60)
    assert divide(pages, small).training == divide(shuffled, small).training
    assert {p.serp_id for p in divide(pages, small).training} < {
        p.serp_id for p in divide(pages, large).training
    }
    assert divide(pages, Split(n_training=20, salt="b")).training != divide(pages, small).training


def test_one_of_the_two_splits_can_be_switched_off():
    pages = some_pages()
    by_time, by_user = divide(pages, Split(users=0)), divide(pages, Split(late=0))
    assert (len(by_time.training), len(by_time.validation)) == (320, 80)
    assert len(by_user.training) + len(by_user.validation) == 400
    assert by_user.boundary_ms is None
    assert len(divide(pages, Split(users=0, late=0)).training) == 400


def shop(folder):
    records = [search(f"q{i}", [100.0] * 6, at=NOW + i * 60_000, user=f"u{i % 40}") for i in range(200)]
    write_captures(folder, records, [PROFILE])
    write_events(
        folder,
        [Event(r.search_id, f"{r.search_id}-3", "click", 4, r.now_ms + 5, True) for r in records[:150]],
    )
    photos = folder / "photos.csv"
    photos.write_text(
        "item_id,image\n" + "".join(f"q{i}-{j},{i}-{j}.jpg\n" for i in range(200) for j in range(6))
    )
    return photos


def test_the_command_writes_two_files_and_prints_the_funnel(tmp_path):
    photos = shop(tmp_path)
    target = tmp_path / "out" / "serps.jsonl"
    asked = ["scorer", "serps", str(tmp_path), "--photos", str(photos), "--out", str(target)]
    result = CliRunner().invoke(full_app(), [*asked, "--format", "json"])
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert [(row["rule"], row["left"]) for row in told["funnel"]][:3] == [
        ("captured", 200), ("in time", 200), ("clicked", 150),
    ]  # fmt: skip
    assert told["simulated"] is True
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    validation = target.with_suffix(".validation.jsonl").read_text().splitlines()
    assert told["written"] == {
        str(target): len(lines),
        str(target.with_suffix(".validation.jsonl")): len(validation),
    }
    assert lines[0]["images"][lines[0]["clicked"]] == f"{lines[0]['serp_id'][1:]}-3.jpg"
    again = CliRunner().invoke(full_app(), [*asked, "--no-split", "--before", "1", "--after", "0"])
    assert "simulated clicks" in again.stdout
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(lines) == 150
    assert {len(line["images"]) for line in lines} == {2}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--min-items", "9"], "min_items must be between 2 and"),
        (["--held-out-users", "1"], "users must be in [0, 1)"),
        (["--since", "soon"], "--since: "),
    ],
)
def test_wrong_options_are_one_sentence_and_write_nothing(tmp_path, more, words):
    photos = shop(tmp_path)
    target = tmp_path / "serps.jsonl"
    result = CliRunner().invoke(
        full_app(), ["scorer", "serps", str(tmp_path), "--photos", str(photos), "--out", str(target), *more]
    )
    assert result.exit_code != 0
    assert words in str(result.exception) + result.stderr
    assert not target.exists()
