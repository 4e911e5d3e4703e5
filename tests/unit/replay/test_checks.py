"""Checks of a log: a clean log passes all; one fault at a time is found by its check and by no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ranking.capture import NOTHING_PROVEN, CapturedItem, CaptureRecord, Event, write_captures, write_events
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.explain import candidates
from ranking.formula import final_scores, rank_order
from ranking.profile import Profile
from replay import read_log
from replay.checks import Check, check_folder, check_log

NOW = 1_795_000_000_000
MINUTE = 60_000
PROFILE = Profile.model_validate(
    {"name": "p", "image": {"mode": "additive", "weight": 2.0}, "freshness": {"scale": "14d"}}
)
N = 120


def search(rng: np.random.Generator, i: int) -> CaptureRecord:
    now_ms = NOW + i * MINUTE
    items = [
        CapturedItem(
            item_id=f"i{i}-{j:02d}",
            rel=float(np.float32(1 + rng.gamma(4))),
            image_score=float(np.float32(rng.random())),
            created_ms=int(now_ms - rng.exponential(10 * DAY_MS)),
            price=100.0,
            ai_prob=0.5,
        )
        for j in range(12)
    ]
    scores = final_scores(PROFILE, candidates(items), now_ms)
    order = rank_order(scores, [item.item_id for item in items])
    page = [replace(items[p], rank=n, score=float(scores[p])) for n, p in enumerate(order[:5], start=1)]
    return CaptureRecord(
        search_id=f"s{i}",
        query=f"q{i % 9}",
        now_ms=now_ms,
        index="items",
        profile="p",
        profile_hash=PROFILE.hash,
        k=5,
        total_hits=40,
        window=12,
        rel_floor=min(item.rel for item in items),
        items=(*page, *(items[p] for p in order[5:])),
        platform="web",
        user_id=f"u{i % 7}",
        session_id=f"v{i % 30}",
    )


@pytest.fixture
def records() -> list[CaptureRecord]:
    rng = np.random.default_rng(11)
    return [search(rng, i) for i in range(N)]


@pytest.fixture
def clicks(records: list[CaptureRecord]) -> list[Event]:
    return [
        Event(r.search_id, r.items[i % 5].item_id, "click", i % 5 + 1, r.now_ms + 900)
        for i, r in enumerate(records)
    ]


def run(
    tmp_path: Path, records: list[CaptureRecord], clicks: list[Event], now_ms: int = NOW + DAY_MS
) -> dict[str, Check]:
    folder = tmp_path / "log"
    write_captures(folder, records, [PROFILE])
    write_events(folder, clicks)
    return {one.name: one for one in check_log(read_log(folder), folder, now_ms=now_ms)}


def found(checks: dict[str, Check]) -> dict[str, tuple[str, int]]:
    return {name: (one.verdict, one.count) for name, one in checks.items() if one.verdict != "ok"}


def test_a_clean_log_passes_every_check(
    tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]
) -> None:
    checks = run(tmp_path, records, clicks)
    assert found(checks) == {}
    assert len(checks) >= 20
    assert checks["position holes"].of == N
    assert checks["clicks without impressions"].of == N


def item(record: CaptureRecord, place: int, **change: object) -> CaptureRecord:
    items = list(record.items)
    items[place] = replace(items[place], **change)  # type: ignore[arg-type]
    return replace(record, items=tuple(items))


Change = Callable[[CaptureRecord], CaptureRecord]
ODD = ("warning", 1)
BROKEN = ("failed", 1)
NAN, INF = float("nan"), float("inf")
FAULTS: dict[str, tuple[Change, dict[str, tuple[str, int]]]] = {
    "an unknown profile": (lambda r: replace(r, profile_hash="gone"), {"unknown profiles": BROKEN}),
    "no window": (
        lambda r: replace(r, window=0, rel_floor=NOTHING_PROVEN),
        {"windows shorter than pages": ODD},
    ),
    "a floor above the window": (lambda r: replace(r, rel_floor=99.0), {"relevance floors": BROKEN}),
    "a hole in the page": (
        lambda r: item(r, 2, rank=9),
        {"position holes": BROKEN, "order of pages": ODD},
    ),
    "a page cut short": (lambda r: item(r, 4, rank=None, score=None), {"truncated pages": ODD}),
    "a page in another order": (lambda r: item(item(r, 0, rank=2), 1, rank=1), {"order of pages": ODD}),
    "a relevance that is NaN": (
        lambda r: item(r, 6, rel=NAN),
        {"values of rel": ODD, "relevance floors": BROKEN},
    ),
    "a score that is infinite": (lambda r: item(r, 0, score=INF), {"values of score": ODD}),
    "an image score above 1": (lambda r: item(r, 7, image_score=1.5), {"values of image_score": ODD}),
    "a price below 0": (lambda r: item(r, 7, price=-1.0), {"values of price": ODD}),
    "an AI share above 1": (lambda r: item(r, 7, ai_prob=7.0), {"values of ai_prob": ODD}),
    "an item of 1969": (lambda r: item(r, 7, created_ms=-5), {"values of created_ms": ODD}),
    "an item of tomorrow": (
        lambda r: item(r, 7, created_ms=NOW + 9 * DAY_MS),
        {"items newer than their search": ODD},
    ),
    "an item twice": (lambda r: item(r, 7, item_id=r.items[8].item_id), {"duplicate items": BROKEN}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_found_by_its_check_alone(
    tmp_path: Path, records: list[CaptureRecord], clicks: list[Event], fault: str
) -> None:
    break_it, expected = FAULTS[fault]
    clicks = [one for one in clicks if one.search_id != "s50"]
    checks = run(tmp_path, [break_it(r) if r.search_id == "s50" else r for r in records], clicks)
    assert found(checks) == expected
    for name in expected:
        assert checks[name].examples
        if name != "unknown profiles":
            assert "s50" in checks[name].examples[0]


def test_more_than_one_in_a_hundred_fails(
    tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]
) -> None:
    short = [item(r, 4, rank=None, score=None) if i < 2 else r for i, r in enumerate(records)]
    checks = run(tmp_path, short, clicks[5:])
    assert found(checks)["truncated pages"] == ("failed", 2)


class TestEvents:
    """Clicks against the pages they came from."""

    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({"at_ms": NOW - 1}, "events before their search"),
            ({"search_id": "s999"}, "events of unknown searches"),
            ({"item_id": "i3-99"}, "clicks without impressions"),
            ({"rank": 5}, "ranks of events"),
            ({"at_ms": NOW + 9 * DAY_MS}, "future clocks"),
        ],
    )
    def test_one_odd_event(
        self,
        tmp_path: Path,
        records: list[CaptureRecord],
        clicks: list[Event],
        change: dict[str, object],
        name: str,
    ) -> None:
        odd = replace(clicks[3], **change)  # type: ignore[arg-type]
        checks = run(tmp_path, records, [*clicks[:3], odd, *clicks[4:]])
        assert found(checks) == {name: ODD}

    def test_an_item_that_was_a_candidate_but_not_shown_is_no_impression(
        self, tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]
    ) -> None:
        odd = replace(clicks[3], item_id=records[3].items[8].item_id)
        checks = run(tmp_path, records, [odd, *clicks[4:]])
        assert found(checks) == {"clicks without impressions": ("warning", 1)}

    def test_ranks_that_all_begin_at_0_are_told(
        self, tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]
    ) -> None:
        off = [replace(one, rank=(one.rank or 0) - 1) for one in clicks if one.rank != 1]
        check = run(tmp_path, records, off)["ranks of events"]
        assert check.verdict == "failed"
        assert "--first-position 0" in check.says

    def test_a_click_delivered_twice(
        self, tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]
    ) -> None:
        assert found(run(tmp_path, records, [*clicks, clicks[0]])) == {"duplicate events": ("warning", 1)}

    def test_an_event_without_a_rank_is_fine(
        self, tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]
    ) -> None:
        checks = run(tmp_path, records, [replace(clicks[0], rank=None), *clicks[1:]])
        assert found(checks) == {}
        assert checks["ranks of events"].of == N - 1


def test_one_search_under_two_ids(tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]) -> None:
    again = replace(records[3], search_id="again")
    assert found(run(tmp_path, [*records[:4], again, *records[4:]], clicks)) == {
        "duplicate searches": ("warning", 1)
    }


def test_a_lost_afternoon_is_a_gap(tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]) -> None:
    late = [replace(r, now_ms=r.now_ms + (5 * 3_600_000 if i >= 60 else 0)) for i, r in enumerate(records)]
    check = run(tmp_path, late, clicks[:60])["gaps in time"]
    assert (check.verdict, check.count) == ("warning", 1)
    assert "5.0 h" in check.says


def test_a_session_that_runs_backwards(
    tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]
) -> None:
    early = replace(records[95], now_ms=records[65].now_ms - 2 * MINUTE)  # both of session v5
    records[95] = replace(early, items=tuple(replace(one, created_ms=NOW - DAY_MS) for one in early.items))
    check = run(tmp_path, records, clicks)["clocks that run backwards"]
    assert (check.verdict, check.count) == ("warning", 1)
    assert "v5" in check.examples[0]


def test_a_clock_ahead_of_today(tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]) -> None:
    check = run(tmp_path, records, clicks, now_ms=NOW - DAY_MS)["future clocks"]
    assert (check.verdict, check.count) == ("failed", 2 * N)


def test_shown_ids_alone_are_told_and_cost_no_other_check(
    tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]
) -> None:
    def bare(record: CaptureRecord) -> CaptureRecord:
        shown = [CapturedItem(one.item_id, float("nan"), one.rank) for one in record.items if one.rank]
        return replace(
            record, items=tuple(shown), window=0, rel_floor=NOTHING_PROVEN, profile_hash="", source="ubi"
        )

    checks = run(tmp_path, [bare(r) if i < 40 else r for i, r in enumerate(records)], clicks)
    assert found(checks) == {"searches with shown ids alone": ("warning", 40)}
    assert "from ubi" in checks["searches with shown ids alone"].says
    assert checks["unknown profiles"].of == N - 40


def test_a_page_that_was_drawn_on_purpose_is_in_its_own_order(
    tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]
) -> None:
    drawn = item(item(records[50], 0, rank=2), 1, rank=1)
    marked = [replace(one, extras={"formula_rank": float(n)}) for n, one in enumerate(drawn.items, start=1)]
    records[50] = replace(drawn, items=tuple(marked))
    assert found(run(tmp_path, records, clicks[:40])) == {}


def test_scores_that_another_log_never_had_are_not_missed_and_wrong_ones_are_found(
    tmp_path: Path, records: list[CaptureRecord], clicks: list[Event]
) -> None:
    def imported(record: CaptureRecord, score: float | None) -> CaptureRecord:
        items = [replace(one, score=score if one.rank else None) for one in record.items]
        return replace(record, items=tuple(items), profile_hash="", source="shown")

    rebuilt = [imported(r, None) for r in records]
    assert found(run(tmp_path / "a", rebuilt, clicks)) == {}
    rebuilt[7] = imported(records[7], INF)
    checks = run(tmp_path / "b", rebuilt, clicks)
    assert checks["values of score"].count == checks["values of score"].of == 5


class TestFolder:
    """The command, and folders that cannot be read."""

    def test_what_cannot_be_read_is_a_failed_check(
        self, tmp_path: Path, records: list[CaptureRecord]
    ) -> None:
        write_captures(tmp_path, records[:3], [PROFILE])
        part = next(tmp_path.glob("searches/*/*.parquet"))
        part.with_name("part-copy.parquet").write_bytes(part.read_bytes())
        [check] = check_folder(tmp_path)
        assert (check.name, check.verdict) == ("readable", "failed")
        assert "twice" in check.says

    def test_a_folder_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no captured searches"):
            check_folder(tmp_path / "nothing")

    def test_the_command_exits_2_where_a_check_failed(
        self, tmp_path: Path, records: list[CaptureRecord]
    ) -> None:
        write_captures(tmp_path / "good", records, [PROFILE])
        write_captures(tmp_path / "bad", records, [])
        words = ["replay", "check", "--format", "json"]
        good = CliRunner().invoke(full_app(), [*words, str(tmp_path / "good")])
        bad = CliRunner().invoke(full_app(), [*words, str(tmp_path / "bad")])
        assert (good.exit_code, bad.exit_code) == (0, 2)
        assert (json.loads(good.stdout)["failed"], json.loads(bad.stdout)["failed"]) == (0, 1)
        row = json.loads(bad.stdout)["checks"][3]
        assert row == {
            "name": "unknown profiles",
            "verdict": "failed",
            "count": N,
            "of": N,
            "says": f"{N} of {N} searches were served by profiles that the folder lacks: "
            "their scores cannot be verified",
            "examples": [f"p ({PROFILE.hash})"],
        }
        table = CliRunner().invoke(full_app(), ["replay", "check", str(tmp_path / "bad")])
        assert table.exit_code == 2
        assert "1 failed" in table.stderr
