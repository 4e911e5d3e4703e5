"""The engine against the plain way of saying the same: whole arrays, boolean masks and one lexsort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import replay.order
from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.formula import bound, final_scores
from ranking.profile import Profile
from replay import rank, read_log, verify
from replay.engine import rank_as_logged
from replay.heads import first_places, pages
from replay.judgments import Judgments
from replay.log import CaptureLog
from replay.measures import measure
from replay.parity import ulp_distance
from tests.unit.replay.conftest import NESTED, SCRIPT, MakeLog

LINEAR = Profile.model_validate(
    {"name": "linear", "image": {"mode": "none"}, "freshness": {"scale": "2d", "curve": "linear"}}
)
PROFILES = [NESTED, SCRIPT, LINEAR]


def plain_rank(log: CaptureLog, profile: Profile, shift_ms: int) -> dict[str, np.ndarray]:
    now_ms = log.searches["now_ms"].astype(np.int64) + shift_ms
    scores = np.empty(log.n_candidates, dtype=np.float32)
    limits = np.full(len(log), -np.inf, dtype=np.float32)
    platforms = log.searches["platform"]
    for platform in ("web", "ios", "android", None):
        served = profile.for_platform(platform)
        searches = np.array([p == platform for p in platforms])
        mine = searches[log.owner]
        scores[mine] = final_scores(served, log.docs[mine], now_ms[log.owner[mine]])
        limits[searches] = bound(served, log.searches["rel_floor"][searches].astype(np.float32))
    eligible = ~(log.docs.created_ms > now_ms[log.owner])
    order = np.lexsort((log.item_code, -scores, ~eligible, log.owner))
    ranks = np.empty(log.n_candidates, dtype=np.int32)
    ranks[order] = np.arange(log.n_candidates) - log.offsets[log.owner[order]] + 1
    ranks[~eligible] = 0
    above = eligible & (np.isnan(log.searches["rel_floor"])[log.owner] | (scores > limits[log.owner]))
    return {
        "scores": scores,
        "eligible": eligible,
        "order": order,
        "ranks": ranks,
        "exact_k": np.bincount(log.owner[above], minlength=len(log)),
    }


@pytest.fixture
def log(make_log: MakeLog, tmp_path: Path) -> CaptureLog:
    make_log(tmp_path, 90)
    return read_log(tmp_path)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("shift_days", [0, -4, 30])
@pytest.mark.parametrize("cells", [64, 1 << 15])
def test_rank_is_bit_equal_to_the_plain_way(
    log: CaptureLog, profile: Profile, shift_days: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay.order.chunks, "__defaults__", (cells,))
    wanted = plain_rank(log, profile, shift_days * DAY_MS)
    got = rank(log, profile, clock_shift_ms=shift_days * DAY_MS)
    for name, values in wanted.items():
        assert getattr(got, name).tobytes() == values.tobytes(), name


def test_what_was_served_comes_out_of_every_profile_at_once(make_log: MakeLog, tmp_path: Path) -> None:
    make_log(tmp_path, 60, unknown=True)
    log = read_log(tmp_path)
    scores, order, known = rank_as_logged(log)
    assert known.tolist() == [h != SCRIPT.hash for h in log.searches["profile_hash"]]
    np.testing.assert_array_equal(order, np.lexsort((log.item_code, -scores, log.owner)))
    served = (log.rank > 0) & known[log.owner]
    parity = verify(log)
    assert parity.scores == served.sum() == parity.bit_equal
    assert (ulp_distance(scores[served], log.score[served]) == 0).all()
    assert (parity.searches, parity.unknown_profile) == (known.sum(), (~known).sum())
    assert parity.identical_topk == known.sum()
    assert np.isnan(scores[~known[log.owner]]).all()


@pytest.mark.parametrize("shift_days", [0, -4])
def test_pages_measure_as_the_whole_log_does(log: CaptureLog, shift_days: int) -> None:
    rng = np.random.default_rng(5)
    judgments = Judgments(
        {f"q{q}": {str(i): float(rng.integers(0, 4)) for i in set(log.item_id[::3])} for q in range(6)},
        ("simulated",),
    )
    shift_ms = shift_days * DAY_MS
    heads = first_places(log, PROFILES, 7, clock_shift_ms=shift_ms)
    names = [
        "nDCG@7",
        "RR@3",
        "AP@7",
        "image_score@7",
        "freshness@5",
        "age@7",
        "ai_share@7",
        "entropy@7",
        "price@2",
    ]
    for chosen in ([heads[0]], [heads[1]], heads):
        small, rankings = pages(log, chosen)
        for head, page in zip(chosen, rankings, strict=True):
            whole = rank(log, head.profile, clock_shift_ms=shift_ms)
            assert page.exact_k.tobytes() == whole.exact_k.tobytes()
            for i in range(len(log)):
                shown = whole.top(log, i, 7)
                assert list(small.item_id[page.top(small, i, 7)]) == list(log.item_id[shown])
                assert page.scores[page.top(small, i, 7)].tobytes() == whole.scores[shown].tobytes()
            for name in names:
                one = measure(name)
                wanted = one.values(log, whole, judgments)
                assert one.values(small, page, judgments).tobytes() == wanted.tobytes(), name


def test_a_factor_on_a_field_that_was_not_captured_is_refused(log: CaptureLog) -> None:
    profile = Profile.model_validate(
        {"name": "seller", "factors": [{"type": "rule", "field": "seller", "any_of": ["a"], "weight": 2}]}
    )
    for ask in (lambda: rank(log, profile), lambda: first_places(log, [NESTED, profile], 5)):
        with pytest.raises(InputError, match="profile seller reads seller, which the log does not hold"):
            ask()


def test_some_searches_of_a_log_are_a_log(log: CaptureLog) -> None:
    chosen = np.array([7, 3, 50])
    part = log.pick(chosen)
    whole, mine = rank(log, SCRIPT), rank(part, SCRIPT)
    assert list(part.searches["search_id"]) == list(log.searches["search_id"][chosen])
    for i, j in enumerate(chosen):
        assert list(part.item_id[mine.top(part, i, 9)]) == list(log.item_id[whole.top(log, int(j), 9)])
        assert list(part.docs.columns["category"][part.span(i)]) == list(
            log.docs.columns["category"][log.span(int(j))]
        )
