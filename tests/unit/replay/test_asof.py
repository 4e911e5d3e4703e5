"""A log at other clocks: items as they were, what was sold is gone, and what is not proven is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ranking.capture import CapturedItem, CaptureRecord, read_captures, write_captures
from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.explain import candidates
from ranking.formula import final_scores, rank_order
from ranking.profile import Profile
from replay import rank, read_log, verify
from replay.exact import NOTE, Requeried, merge, unproven
from replay.gap import logged_ranking, measure_gap
from replay.history import Change, History, as_of, fold
from replay.history.asof import _same
from replay.log import CaptureLog
from replay.moments import moment, page_changes

NOW = 1_795_000_000_000
PROFILE = Profile.model_validate(
    {
        "name": "p",
        "image": {"mode": "additive", "weight": 2.0, "missing": 0.1},
        "freshness": {"scale": "7d"},
        "factors": [
            {"type": "category", "weights": {"dress": 1.2}},
            {"type": "rule", "field": "seller_rating", "gte": 4, "weight": 1.5},
        ],
        "k": 5,
        "window": 40,
    }
)
CATEGORIES = ("dress", "hat", None)


def items_of(rng: np.random.Generator, i: int) -> list[CapturedItem]:
    return [
        CapturedItem(
            item_id=f"i{(i * 7 + j) % 50:02d}",
            rel=float(np.float32(rng.gamma(4))),
            image_score=float(np.float32(((i * 7 + j) % 50) / 50)),
            created_ms=NOW - ((i * 7 + j) % 50) * DAY_MS // 4,
            category=CATEGORIES[((i * 7 + j) % 50) % 3],
            extras={"seller_rating": float((i * 7 + j) % 50 % 6)},
        )
        for j in range(30)
    ]


@pytest.fixture
def log(tmp_path: Path) -> CaptureLog:
    rng = np.random.default_rng(4)
    records = []
    for i in range(20):
        items = items_of(rng, i)
        scores = final_scores(PROFILE, candidates(items), NOW)
        order = rank_order(scores, [item.item_id for item in items])
        ranked = {int(p): place for place, p in enumerate(order[:5], start=1)}
        records.append(
            CaptureRecord(
                search_id=f"s{i}",
                query=f"q{i % 6}",
                now_ms=NOW,
                index="items",
                profile="p",
                profile_hash=PROFILE.hash,
                k=5,
                total_hits=30,
                window=40,
                rel_floor=None,
                items=tuple(
                    replace(item, rank=ranked[p], score=float(scores[p])) if p in ranked else item
                    for p, item in enumerate(items)
                ),
            )
        )
    write_captures(tmp_path / "captures", records, [PROFILE])
    return read_log(tmp_path / "captures")


def history() -> History:
    """Items 0 to 39 are known; within the next week some are rescored, moved, sold or removed."""
    changes = [
        Change(
            f"i{n:02d}",
            NOW - 20 * DAY_MS,
            "replace",
            {
                "image_score": n / 50,
                "created_at": NOW - n * DAY_MS // 4,
                "category": CATEGORIES[n % 3],
                "status": "on_sale",
                "seller_rating": float(n % 6),
            },
        )
        for n in range(40)
    ]
    for n in range(40):
        at = NOW + n * 3_600_000
        match n % 5:
            case 0:
                changes.append(Change(f"i{n:02d}", at, "patch", {"status": "sold"}))
            case 1:
                changes.append(Change(f"i{n:02d}", at, "patch", {"image_score": 0.75, "seller_rating": 5.0}))
            case 2:
                changes.append(Change(f"i{n:02d}", at, "remove"))
            case 3:
                changes.append(Change(f"i{n:02d}", at, "patch", {"category": "dress", "image_score": None}))
    return History(fold(changes))


@pytest.mark.parametrize("days", [1, 7])
def test_a_later_page_is_that_of_the_items_as_they_are_then(log: CaptureLog, days: int) -> None:
    known = history()
    at = moment(log, days * DAY_MS, known)
    ranking = at.rank(PROFILE)
    later = NOW + days * DAY_MS
    for i in range(len(log)):
        then = []
        for p in range(log.span(i).start, log.span(i).stop):  # slowly, one by one
            item = CapturedItem(
                item_id=str(log.item_id[p]),
                rel=float(log.docs.rel[p]),
                image_score=float(log.docs.image_score[p]),
                created_ms=int(log.docs.created_ms[p]),
                category=log.docs.columns["category"][p],
                extras={"seller_rating": float(log.docs.columns["seller_rating"][p])},
            )
            n, gone = int(item.item_id[1:]), False
            if n < 40 and later >= NOW + n * 3_600_000:
                match n % 5:
                    case 0 | 2:
                        gone = True
                    case 1:
                        item = replace(item, image_score=0.75, extras={"seller_rating": 5.0})
                    case 3:
                        item = replace(item, category="dress", image_score=None)
            if not gone:
                then.append(item)
        scores = final_scores(PROFILE, candidates(then), later)
        order = rank_order(scores, [item.item_id for item in then])
        assert list(log.item_id[ranking.top(log, i, 40)]) == [then[p].item_id for p in order]
        assert ranking.exact_k[i] == len(then)
    assert at.as_of is not None
    assert at.as_of.gone > 0
    assert at.as_of.changed["image_score"] > 0
    assert at.as_of.known == sum(int(item[1:]) < 40 for item in log.item_id)


def test_at_the_logged_clock_the_capture_is_the_truth_and_the_history_is_checked(log: CaptureLog) -> None:
    known = history()
    found = as_of(log, known)
    assert found.log is log
    assert found.present.all()
    # item 0 to 4 changed at the very clock (item 0) or later: one item, three fields compared with others
    agreed = found.summary.agreement
    assert agreed["category"][0] == agreed["category"][1]
    assert found.summary.disagreeing == 0
    wrong = History(fold([Change("i10", NOW - 1, "patch", {"image_score": 0.99})]))
    assert as_of(log, wrong).summary.disagreeing == sum(log.item_id == "i10")


def test_what_the_history_was_never_told_keeps_its_captured_value(log: CaptureLog) -> None:
    changes = [
        Change("i10", NOW - DAY_MS, "replace", {"category": "hat", "status": "on_sale"}),
        Change("i11", NOW - DAY_MS, "patch", {"image_score": 0.5}),
        Change("i11", NOW + 1, "patch", {"image_score": None}),
    ]
    moved = as_of(log, History(fold(changes)), clock_shift_ms=DAY_MS).log
    ten, eleven = log.item_id == "i10", log.item_id == "i11"
    assert (moved.docs.image_score[ten] == log.docs.image_score[ten]).all()  # no score was ever told
    assert (moved.docs.columns["category"][ten] == "hat").all()
    assert np.isnan(moved.docs.image_score[eleven]).all()  # told to be taken away
    assert (moved.docs.columns["category"][eleven] == log.docs.columns["category"][eleven]).all()


def test_nothing_equals_nothing() -> None:
    nan = float("nan")
    assert _same(np.array([1.0, nan, nan]), np.array([1.0, nan, 2.0])).tolist() == [True, True, False]
    text = np.array(["a", None, None], dtype=object)
    assert _same(text, np.array(["a", None, "b"], dtype=object)).tolist() == [True, True, False]


def test_how_a_page_changes_with_the_clock(log: CaptureLog) -> None:
    moments = [moment(log, ms, None) for ms in (0, 1, 7 * DAY_MS)]
    at_once, later = page_changes(moments, [PROFILE], k=5)
    assert (at_once.overlap, at_once.entered, at_once.left) == (1.0, 0.0, 0.0)
    assert at_once.rbo == pytest.approx(1.0)
    assert later.n == 20
    assert later.overlap == pytest.approx(1 - later.entered / 5)
    assert later.age_days > later.age_days_before + 5
    with_history = page_changes([moments[0], moment(log, 7 * DAY_MS, history())], [PROFILE], k=5)[0]
    assert with_history.overlap < later.overlap


def test_merged_logs_have_each_search_once(log: CaptureLog, tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    records = list(read_captures(folder))
    new = [replace(records[3], window=999, items=records[3].items[:10], rel_floor=0.25)]
    asked = Requeried(5, 20, 1, 1, NOW, [], 0, new)
    merged = read_log(merge(folder, asked, tmp_path / "merged"))
    assert sorted(merged.searches["search_id"]) == sorted(log.searches["search_id"])
    at = list(merged.searches["search_id"]).index("s3")
    assert (merged.searches["window"][at], len(merged.item_id[merged.span(at)])) == (999, 10)
    assert (tmp_path / "merged" / NOTE).is_file()
    with pytest.raises(InputError, match="not empty"):
        merge(folder, asked, tmp_path / "merged")


def test_only_what_is_not_proven_is_asked_again(log: CaptureLog, tmp_path: Path) -> None:
    assert len(unproven(log, [PROFILE], 1_000)) == 0  # every match was captured
    records = [
        replace(record, rel_floor=99.0 if i % 2 else 0.0)
        for i, record in enumerate(read_captures(tmp_path / "captures"))
    ]
    write_captures(tmp_path / "other", records, [PROFILE])
    other = read_log(tmp_path / "other")
    strong = PROFILE.model_copy(update={"image": PROFILE.image.model_copy(update={"weight": 0.0})})
    lacking = unproven(other, [strong], 3)
    assert set(other.searches["rel_floor"][lacking]) == {99.0}
    assert len(lacking) == 10


def test_a_logged_order_is_a_ranking_too(log: CaptureLog) -> None:
    logged = logged_ranking(log, PROFILE)
    ours = rank(log, PROFILE)
    for i in range(len(log)):
        assert list(logged.top(log, i, 5)) == list(ours.top(log, i, 5))
        assert len(logged.top(log, i, 40)) == 5


def test_the_gap_counts_what_is_gone(log: CaptureLog, tmp_path: Path) -> None:
    records = list(read_captures(tmp_path / "captures"))
    assert verify(log).holds
    whole = measure_gap(records, {r.search_id: [] for r in records}, PROFILE, 100)
    assert (whole.overlap, whole.identical_pages) == (1.0, 20)
    assert (whole.rbo, whole.tau) == (pytest.approx(1.0), pytest.approx(1.0))
    lost = {r.search_id: [item for item in r.items if item.rank == 2] for r in records}
    rest = [replace(r, items=tuple(item for item in r.items if item.rank != 2)) for r in records]
    gap = measure_gap(rest, lost, PROFILE, 80)
    assert (gap.shown, gap.found, gap.in_window) == (100, 80, 80)
    assert gap.overlap == pytest.approx(0.8)  # four of five, and the sixth in the place of the lost one
    assert (gap.tau, gap.identical_pages) == (pytest.approx(1.0), 0)
