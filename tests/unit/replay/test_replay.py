"""The replay on captures made by hand: order, proof, parity, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ranking.capture import CapturedItem, CaptureRecord, Event, read_captures, write_captures, write_events
from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.explain import candidates
from ranking.formula import bound, final_scores, rank_order
from ranking.profile import Profile
from replay import rank, read_log, verify
from replay.failing import failure_parts
from replay.parity import ulp_distance

NOW = 1_795_000_000_000
PROFILE = Profile.model_validate(
    {
        "name": "additive",
        "image": {"mode": "additive", "weight": 2.0},
        "freshness": {"scale": "14d"},
        "platforms": {"ios": {"image": {"weight": 0.5}}},
        "k": 5,
        "window": 8,
    }
)


def a_search(
    rng: np.random.Generator, i: int, *, n_matches: int = 40, k: int = 5, window: int = 8
) -> tuple[CaptureRecord, list[CapturedItem]]:
    """A record as a server with `n_matches` matching documents would have left it, and all its documents."""
    platform = ["web", "ios", None][i % 3]
    profile = PROFILE.for_platform(platform)
    now_ms = NOW - i * DAY_MS
    everything = [
        CapturedItem(
            item_id=f"i{i}-{j:03d}",
            rel=float(np.float32(rng.gamma(4))),
            image_score=None if rng.random() < 0.1 else float(np.float32(rng.random())),
            created_ms=int(now_ms - rng.exponential(10 * DAY_MS)),
        )
        for j in range(n_matches)
    ]
    scores = final_scores(profile, candidates(everything), now_ms)
    order = rank_order(scores, [item.item_id for item in everything])
    page = [
        replace(everything[p], rank=place, score=float(scores[p]))
        for place, p in enumerate(order[:k], start=1)
    ]
    by_rel = sorted(everything, key=lambda item: (-item.rel, item.item_id))[:window]
    served = {item.item_id for item in page}
    record = CaptureRecord(
        search_id=f"s{i}",
        query=f"q{i % 4}",
        now_ms=now_ms,
        index="items",
        profile=profile.name,
        profile_hash=profile.hash,
        k=k,
        total_hits=n_matches,
        window=window,
        rel_floor=None if window > n_matches else by_rel[-1].rel,
        items=(*page, *(item for item in by_rel if item.item_id not in served)),
        platform=platform,
    )
    return record, everything


@pytest.fixture
def captured(tmp_path: Path) -> tuple[Path, list[CaptureRecord], list[list[CapturedItem]]]:
    rng = np.random.default_rng(3)
    searches = [a_search(rng, i, window=100 if i % 5 == 0 else 8) for i in range(30)]
    records = [record for record, _ in searches]
    write_captures(tmp_path, records, [PROFILE.for_platform(p) for p in ("web", "ios")])
    return tmp_path, records, [everything for _, everything in searches]


def test_records_come_back_as_they_were_written(captured: tuple[Path, list[CaptureRecord], object]) -> None:
    folder, records, _ = captured
    again = {record.search_id: record for record in read_captures(folder)}
    assert again == {record.search_id: record for record in records}


def test_what_was_served_is_recomputed_bit_for_bit(captured: tuple[Path, object, object]) -> None:
    parity = verify(read_log(captured[0]))
    assert (parity.scores, parity.bit_equal, parity.worst_ulp) == (150, 150, 0)
    assert (parity.searches, parity.identical_topk, parity.holds) == (30, 30, True)


def test_one_changed_bit_is_found(captured: tuple[Path, list[CaptureRecord], object], tmp_path: Path) -> None:
    record = captured[1][0]
    off = float(np.nextafter(np.float32(record.items[2].score), np.float32(99)))
    items = (*record.items[:2], replace(record.items[2], score=off), *record.items[3:])
    folder = tmp_path / "changed"
    write_captures(folder, [replace(record, items=items)], [PROFILE])
    parity = verify(read_log(folder))
    assert (parity.scores, parity.bit_equal, parity.worst_ulp, parity.holds) == (5, 4, 1, False)
    assert [(failure.item_id, failure.rank) for failure in parity.failures] == [(items[2].item_id, 3)]


def test_a_swapped_page_is_found(captured: tuple[Path, list[CaptureRecord], object], tmp_path: Path) -> None:
    record = captured[1][0]
    first, second, *rest = record.items
    folder = tmp_path / "swapped"
    swapped = (replace(first, rank=2), replace(second, rank=1), *rest)
    write_captures(folder, [replace(record, items=swapped)], [PROFILE])
    parity = verify(read_log(folder))
    assert (parity.bit_equal, parity.identical_topk) == (5, 0)


def test_a_search_of_an_unknown_profile_is_counted_and_not_compared(
    captured: tuple[Path, list[CaptureRecord], object], tmp_path: Path
) -> None:
    folder = tmp_path / "unknown"
    write_captures(folder, captured[1][:3], [PROFILE])
    parity = verify(read_log(folder))
    assert (parity.searches, parity.unknown_profile, parity.holds) == (2, 1, False)


@pytest.mark.parametrize("shift_days", [-3, 0, 7])
@pytest.mark.parametrize("mode", ["none", "additive", "multiplicative"])
def test_the_proven_prefix_is_what_all_documents_would_give(
    captured: tuple[Path, list[CaptureRecord], list[list[CapturedItem]]], mode: str, shift_days: int
) -> None:
    folder, records, everything = captured
    log = read_log(folder)
    contender = Profile.model_validate(
        {
            "name": "c",
            "image": {"mode": mode, "weight": 0.6},
            "freshness": {"scale": "90d", "curve": "linear"},
        }
    )
    ranking = rank(log, contender, clock_shift_ms=shift_days * DAY_MS)
    by_id = {record.search_id: all_items for record, all_items in zip(records, everything, strict=True)}
    proven = 0
    for i in range(len(log)):
        now_ms = int(log.searches["now_ms"][i]) + shift_days * DAY_MS
        alive = [item for item in by_id[log.searches["search_id"][i]] if (item.created_ms or 0) <= now_ms]
        scores = final_scores(contender, candidates(alive), now_ms)
        truth = [alive[p].item_id for p in rank_order(scores, [item.item_id for item in alive])]
        k = int(ranking.exact_k[i])
        assert list(log.item_id[ranking.top(log, i, k)]) == truth[:k]
        proven += k
        if log.searches["window"][i] == 100:
            assert k == len(alive)
    assert proven > 30 * 5


def test_exact_k_counts_scores_strictly_above_the_bound(tmp_path: Path) -> None:
    contender = Profile.model_validate({"name": "c", "image": {"mode": "additive", "weight": 1.0}})
    floor = 2.0
    assert bound(contender, np.array([floor], dtype=np.float32)).tolist() == [3.0]
    items = tuple(
        CapturedItem(item_id=name, rel=rel, image_score=image)
        for name, rel, image in [("a", 5.0, 0.0), ("b", 2.5, 0.75), ("c", 2.0, 1.0), ("d", 2.5, 0.25)]
    )
    record, _ = a_search(np.random.default_rng(0), 0)
    write_captures(tmp_path, [replace(record, items=items, rel_floor=floor)], [PROFILE])
    ranking = rank(read_log(tmp_path), contender)
    assert ranking.scores.tolist() == [5.0, 3.25, 3.0, 2.75]
    assert ranking.exact_k.tolist() == [2]  # 3.0 equals the bound: an unseen item may tie and come first


def test_an_earlier_clock_drops_what_was_not_yet_there(captured: tuple[Path, object, object]) -> None:
    log = read_log(captured[0])
    ranking = rank(log, PROFILE, clock_shift_ms=-20 * DAY_MS)
    clock = log.searches["now_ms"][log.owner] - 20 * DAY_MS
    assert (ranking.ranks[log.docs.created_ms > clock] == 0).all()
    assert (ranking.ranks[log.docs.created_ms <= clock] > 0).all()


def test_ulp_distance_by_hand() -> None:
    one = np.float32(1.0)
    a = np.array([1.0, 1.0, 0.0, np.float32(1e-45)], dtype=np.float32)
    b = np.array([1.0, np.nextafter(one, np.float32(2)), -0.0, np.float32(-1e-45)], dtype=np.float32)
    assert ulp_distance(a, b).tolist() == [0, 1, 0, 2]


class TestBadInput:
    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no captured searches"):
            read_log(tmp_path)

    def test_a_file_that_is_not_parquet(self, captured: tuple[Path, object, object]) -> None:
        (captured[0] / "searches" / "day=2026-01-01").mkdir()
        (captured[0] / "searches" / "day=2026-01-01" / "part-x.parquet").write_text("not parquet")
        with pytest.raises(InputError, match=r"part-x\.parquet is not a readable Parquet file"):
            read_log(captured[0])

    def test_a_part_file_copied_by_hand(self, captured: tuple[Path, object, object]) -> None:
        part = next((captured[0] / "searches").glob("*/*.parquet"))
        part.with_name("part-copy.parquet").write_bytes(part.read_bytes())
        with pytest.raises(InputError, match="searches twice"):
            read_log(captured[0])

    def test_a_column_that_is_lacking(self, captured: tuple[Path, object, object]) -> None:
        part = next((captured[0] / "searches").glob("*/*.parquet"))
        pq.write_table(pq.ParquetFile(part).read().drop_columns(["rel"]), part)
        with pytest.raises(InputError, match="lacks the columns rel"):
            read_log(captured[0])

    def test_a_profile_changed_by_hand(self, captured: tuple[Path, object, object]) -> None:
        path = captured[0] / "profiles" / f"{PROFILE.hash}.json"
        path.write_text(path.read_text().replace("2.0", "2.5"))
        with pytest.raises(InputError, match="changed by hand"):
            read_log(captured[0])

    def test_a_half_written_part_is_not_read(self, captured: tuple[Path, object, object]) -> None:
        part = next((captured[0] / "searches").glob("*/*.parquet"))
        part.with_name(".part-half.parquet").write_bytes(part.read_bytes()[:100])
        assert len(read_log(captured[0])) == 30


def test_events_are_written_by_day(tmp_path: Path) -> None:
    events = [Event("s1", "i1", "click", 1, NOW + day * DAY_MS, simulated=True) for day in (0, 0, 1)]
    assert write_events(tmp_path, events) == 3
    assert sorted(path.parent.name for path in tmp_path.glob("events/*/*.parquet")) == [
        "day=2026-11-18",
        "day=2026-11-19",
    ]


def test_a_failure_shows_its_parts_and_what_the_log_says(tmp_path: Path) -> None:
    item = CapturedItem(
        item_id="a",
        rel=4.0,
        rank=1,
        score=float(np.nextafter(np.float32(1.25), np.float32(2))),
        image_score=0.5,
        created_ms=NOW - 14 * DAY_MS,
        price=6_000.0,
    )
    profile = Profile.model_validate(
        {
            "name": "parts",
            "image": {"mode": "additive", "weight": 2.0, "transform": {"type": "power", "exponent": 1.0}},
            "freshness": {"scale": "14d", "curve": "linear"},
            "factors": [{"type": "rule", "field": "price", "gte": 5_000, "weight": 0.5}],
        }
    )
    record, _ = a_search(np.random.default_rng(0), 0)
    wrong = replace(record, items=(item,), now_ms=NOW, profile_hash=profile.hash, k=1)
    write_captures(tmp_path, [wrong], [profile])
    log = read_log(tmp_path)
    parity = verify(log)
    (parts,) = failure_parts(log, parity.failures)
    assert (parity.worst_ulp, parts.ulp) == (1, 1)
    # by hand: (4 + 2 * 0.5) * 0.5 * 0.5 = 1.25, and the log says the float32 after it
    assert parts.said == item.score
    assert (parts.rel, parts.image, parts.combined, parts.freshness) == (4.0, 0.5, 5.0, 0.5)
    assert parts.factors == {"factor 1 (price)": 0.5}
    assert parts.recomputed == 1.25
    assert parts.age_days == 14.0
    assert "factor 1 (price) 0.5" in parts.sentence
