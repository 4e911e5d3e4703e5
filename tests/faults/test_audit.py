"""The audit sees what it is there to see: each test breaks one thing that a good run has."""

from __future__ import annotations

from collections import Counter

import pytest

from docs.faults_table import TARGET, page, results
from ranking.item_message import iso_ms, parse_message
from tests.faults.audit import RSS_LIMIT_MB, Figures, compare_items, compare_letters, compare_scores
from tests.faults.backfill import CASES
from tests.faults.catalogue import FAULTS
from tests.faults.messages import T0, Expected, Workload, make_workload


def work(tmp_path):
    return Workload(
        root=tmp_path,
        items={"a": Expected(T0 + 5, "on_sale", 10.0, "a.jpg"), "b": Expected(T0, "deleted", None, None)},
        poison={"p": ("parse", "not JSON")},
    )


def hit(item_id, version, *, status="on_sale", **more):
    return {"_id": item_id, "_source": {"updated_at": iso_ms(version), "status": status, **more}}


def good(**changed):
    whole = {"price": 10.0, "image_url": "a.jpg", "image_score": 0.5, **changed}
    return hit("a", T0 + 5, **{name: value for name, value in whole.items() if value is not None})


GONE = hit("b", T0, status="deleted")


@pytest.mark.parametrize(
    ("hits", "written", "counted"),
    [
        ([good(), GONE], {}, {}),
        ([GONE], {}, {"lost": 1}),
        ([hit("a", T0 + 4), GONE], {}, {"lost": 1}),  # the newest never arrived
        (
            [hit("a", T0 + 4), GONE],
            {("a", T0 + 5): 1},
            {"lost": 1, "stale": 1},
        ),  # it did, and was written over
        ([good(image_score=None), GONE], {}, {"unscored": 1}),
        ([good(price=11.0), GONE], {}, {"wrong": 1}),
        ([good(image_url="old.jpg"), GONE], {}, {"wrong": 1}),
        ([good(), hit("b", T0)], {}, {"wrong": 1}),  # on sale, and should be deleted
    ],
)
def test_items_are_held_to_the_truth(tmp_path, hits, written, counted):
    figures = Figures()
    compare_items(work(tmp_path), hits, Counter(written), figures)
    names = ("lost", "stale", "unscored", "wrong")
    assert {name: getattr(figures, name) for name in names} == {**dict.fromkeys(names, 0), **counted}


def test_a_score_of_another_photo_is_wrong(tmp_path):
    for right, wrong in ((0.5, 0), (0.6, 1)):
        figures = Figures()
        compare_scores(work(tmp_path), [good()], lambda _names, right=right: [right], figures)
        assert figures.wrong == wrong


def test_dead_letters_are_held_to_the_poison(tmp_path):
    letter = {"partition": 0, "offset": 3, "stage": "parse", "item_id": "p", "reason": "not JSON: EOF"}
    innocent = {"partition": 0, "offset": 4, "stage": "photo", "item_id": "a", "reason": "broken"}
    figures = Figures()
    compare_letters(work(tmp_path), [letter, letter, innocent], figures)
    assert (figures.dead_letters, figures.repeated_letters, figures.wrong_letters) == (1, 1, 1)
    figures = Figures()
    compare_letters(work(tmp_path), [letter | {"reason": "something else"}], figures)
    assert (figures.dead_letters, figures.wrong_letters) == (0, 1)


def test_a_problem_is_named():
    fine = Figures(items=3, indexed=3, poison=1, dead_letters=1, duplicated_writes=9, rss_peak_mb=200)
    assert fine.problems() == []
    fine.lost, fine.indexed, fine.dead_letters, fine.rss_peak_mb = 1, 2, 0, RSS_LIMIT_MB + 1
    assert len(fine.problems()) == 4


@pytest.mark.parametrize("skew", [False, True], ids=["one clock", "skewed clocks"])
def test_the_stream_is_as_bad_as_it_says_and_its_truth_is_the_newest_version(tmp_path, skew):
    made = make_workload(tmp_path, 210, skew=skew)
    versions: dict[str, list[int]] = {}
    for message in made.messages:
        if message.version is not None:
            versions.setdefault(message.key, []).append(message.version)
    assert sum(len(seen) - len(set(seen)) for seen in versions.values()) == made.n_duplicates == 10
    assert {key: made.items[key].version for key in versions} == {k: max(v) for k, v in versions.items()}
    assert any(seen != sorted(seen) for seen in versions.values())
    assert made.n_out_of_order == 10
    assert len(made.poison) == 7
    good_ones = [message for message in made.messages if message.version is not None]
    assert len(good_ones) == 210
    assert all(parse_message(message.value).item_id == message.key for message in good_ones)
    assert [m.value for m in make_workload(tmp_path, 210, skew=skew).messages] == [
        m.value for m in made.messages
    ]


def test_the_page_has_the_tables_of_the_figures_that_were_written_down():
    written = TARGET.read_text(encoding="utf-8")
    stream, backfill = results()
    assert written == page(written, stream, backfill)
    assert {row["fault"] for row in stream["faults"]} <= FAULTS.keys()
    assert {row["killed"] for row in backfill["runs"]} == CASES.keys()
