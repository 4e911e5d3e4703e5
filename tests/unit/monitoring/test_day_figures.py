"""The figures of a day, by hand, and held to `replay.ab` on the same events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitoring.days import REFERENCE_DAYS, days_until, reference_days, run
from monitoring.labels import labels
from ranking.capture import CapturedItem, Event, write_captures, write_events
from ranking.clock import DAY_MS, parse_time
from ranking.errors import InputError
from ranking.formula import Candidates, final_scores
from ranking.profile import Profile
from ranking.published import Version
from replay.ab.events import users_of_captures
from replay.ab.metrics import PAPER
from tests.unit.monitoring.month_of import month_of
from tests.unit.replay.captured import PLAIN, record

NOON = parse_time("2026-11-20T12:00:00Z")


def page(rels: list[float], images: list[float | None], profile: Profile = PLAIN) -> list[CapturedItem]:
    """Items a, b, c ... in rank order, with the scores that the formula gives at noon."""
    import numpy as np

    scores = final_scores(
        profile,
        Candidates(
            np.array(rels, dtype=np.float32),
            np.array([np.nan if i is None else i for i in images], dtype=np.float32),
            np.full(len(rels), float(NOON)),
        ),
        NOON,
    )
    return [
        CapturedItem("abcdefgh"[i], rel, i + 1, float(scores[i]), image_score=image, created_ms=NOON)
        for i, (rel, image) in enumerate(zip(rels, images, strict=True))
    ]


def search(name: str, items: list[CapturedItem], **changed: Any) -> Any:
    return record(name, "red dress", items, **({"now_ms": NOON, "user_id": "u1"} | changed))


def click(
    search_id: str, item_id: str, rank: int | None = None, action: str = "click", late: int = 0
) -> Event:
    return Event(search_id, item_id, action, rank, NOON + 1000 + late * DAY_MS, simulated=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three searches with two items each on web, one without results on ios."""
    two = page([2.0, 1.0], [0.8, None])
    write_captures(
        tmp_path,
        [
            search("s1", two, took_ms=10),
            search("s2", two, user_id="u2", took_ms=20),
            search("s3", two, user_id=None, took_ms=30),
            search("s4", [], user_id="u3", platform="ios", took_ms=40),
        ],
        [PLAIN],
    )
    return tmp_path


def of(found: Any, platform: str = "all", profile: str = "all") -> dict[str, Any]:
    rows = [d for d in found.documents if (d["platform"], d["profile"]) == (platform, profile)]
    assert len(rows) == 1
    return rows[0]


def test_every_figure_is_the_one_by_hand(folder: Path) -> None:
    events = [click("s1", "a"), click("s1", "a"), click("s1", "b", 2), click("s2", "b"), click("s3", "a", 1)]
    purchases = [click("s1", "a", action="purchase"), click("s1", "b", action="purchase", late=2)]
    unseen = [
        click("s1", "z"),
        click("gone", "a"),
    ]  # an item that was not shown, a search that was not logged
    write_events(folder, [*events, *purchases, *unseen])
    one = of(run(folder, k=1))
    assert (one["searches"], one["items_shown"], one["users"]) == (4, 3, 3)
    assert one["clicks"] == 2  # a in s1 once, a in s3; b stands at rank 2
    assert one["ctr_at_k"] == 2 / 3
    assert one["clicked_searches"] == 3
    assert one["rr_first_click"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert (one["purchases"], one["bcr"], one["atpu"]) == (2, 1 / 3, 2 / 3)
    assert one["zero_result_rate"] == 1 / 4
    assert one["image_score_at_k"] == pytest.approx(0.8)
    assert one["coverage_at_k"] == 1.0
    assert (one["took_p50_ms"], one["took_p95_ms"]) == (25.0, pytest.approx(38.5))
    assert (one["scores_compared"], one["score_parity"], one["page_parity"]) == (6, 1.0, 1.0)
    assert one["second_pass_rate"] == 0.0
    assert one["simulated"] is True
    assert (one["image_psi"], one["rel_ks"]) == (None, None)  # nothing to compare with
    assert of(run(folder, k=2))["coverage_at_k"] == 1 / 2
    assert of(run(folder, k=1), "ios")["ctr_at_k"] is None
    assert of(run(folder, k=1), "web")["zero_result_rate"] == 0.0


def test_a_score_that_the_formula_does_not_give_is_found(folder: Path) -> None:
    wrong = page([2.0, 1.0], [0.8, None])
    wrong[1] = CapturedItem(**{**{k: getattr(wrong[1], k) for k in CapturedItem.__slots__}, "score": 1.5})
    write_captures(folder, [search("s5", wrong)], [PLAIN])
    assert of(run(folder))["score_parity"] == 7 / 8


def test_without_any_purchase_bcr_is_not_known_rather_than_nought(folder: Path) -> None:
    write_events(folder, [click("s1", "a")])
    assert (of(run(folder))["bcr"], of(run(folder))["purchases"]) == (None, None)
    write_events(folder, [click("s1", "a", action="purchase")])
    assert of(run(folder), "ios")["bcr"] == 0.0


def test_bcr_and_atpu_are_those_of_an_ab_analysis_of_the_same_events(tmp_path: Path) -> None:
    folder = month_of(tmp_path, days=1, searches=200, launch=0)
    found = run(folder)
    users = users_of_captures(folder)
    for variant in ("control", "additive"):
        for platform in users.platforms:
            mine = users.span(variant, platform)
            label = {d["profile"] for d in found.documents if d["profile"].startswith(variant)}
            rows = [d for d in found.documents if d["platform"] == platform and d["profile"] in label]
            for metric, name in ((PAPER[1], "bcr"), (PAPER[3], "atpu")):
                assert rows[0][name] == pytest.approx(metric.values(users)[mine].mean()), (variant, platform)


def test_a_day_is_the_same_alone_and_among_others_and_late_events_change_it(tmp_path: Path) -> None:
    folder = month_of(tmp_path)
    alone, among = run(folder, last="2026-11-26"), run(folder, last="2026-11-27", n_days=5)
    assert alone.days == ("2026-11-26",)
    assert [d for d in among.documents if d["day"] == "2026-11-26"] == list(alone.documents)
    before = of(alone)["purchases"]
    bought = "m7-003-00000"  # the first search of the 26th
    at_ms = parse_time("2026-11-29T12:00:00Z")
    write_events(folder, [Event(bought, "i00000", "purchase", None, at_ms, simulated=True)])
    assert of(run(folder, last="2026-11-26"))["purchases"] == before + 1
    assert of(run(folder, last="2026-11-27"))["purchases"] == of(run(folder))["purchases"]


def test_drift_is_against_the_days_before_or_against_a_fixed_window(tmp_path: Path) -> None:
    folder = month_of(tmp_path)
    last = of(run(folder))
    assert last["reference"] == "2026-11-23..2026-11-26"
    assert 0 < last["rel_psi"] < 0.1
    fixed = run(folder, n_days=2, reference=("2026-11-23", "2026-11-24"))
    assert {d["reference"] for d in fixed.documents} == {"2026-11-23..2026-11-24"}
    assert reference_days("2026-11-20", None) == days_until("2026-11-19", REFERENCE_DAYS)
    assert reference_days("2026-11-20", ("2026-11-19", "2026-11-20")) == ["2026-11-19"]


def test_a_formula_has_the_version_that_was_published_by_then() -> None:
    version = Version(PLAIN, 3, "2026-11-20T00:00:00.000Z")
    name = labels([version], parse_time("2026-11-20T23:59:59Z"))
    assert name("plain", PLAIN.hash) == "plain@3"
    assert name("plain", "0123456789ab") == "plain#01234567"
    assert name("", "") == "unknown"
    assert (
        labels([version], parse_time("2026-11-19T23:59:59Z"))("plain", PLAIN.hash)
        == f"plain#{PLAIN.hash[:8]}"
    )
    again = Version(PLAIN, 4, "2026-11-20T01:00:00.000Z")
    assert labels([again, version], parse_time("2026-11-21T00:00:00Z"))("plain", PLAIN.hash) == "plain@4"


def test_days_without_a_search_are_said(folder: Path, tmp_path: Path) -> None:
    assert run(folder, n_days=2).empty == ("2026-11-19",)
    with pytest.raises(InputError, match="on 2026-11-21") as refused:
        run(folder, last="2026-11-21")
    assert refused.value.hint == "days that are captured: 2026-11-20 to 2026-11-20"
    with pytest.raises(InputError, match="is no day"):
        run(folder, last="yesterday")
    with pytest.raises(InputError, match="no captured searches"):
        run(tmp_path / "nowhere")
