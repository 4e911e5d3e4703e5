"""Interleaved pages from capture to preference; what an experiment needs. Clicks are simulated."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ranking.capture import read_captures
from ranking.errors import InputError
from ranking.explore import SwapPairs
from ranking.interleaver import Interleaver
from ranking.interleaving import METHODS, Method
from replay import rank, read_log, verify
from replay.clicks import read_pages
from replay.interleaving import (
    analyse,
    balanced_credit,
    from_clicks,
    from_judgments,
    preference,
    read_credits,
    sign_test,
    simulate_power,
)
from replay.judgments import write_judgments
from tests.unit.replay.world import BASE, BOOSTED, by_arms, explored, interleaved


@pytest.mark.parametrize("method", METHODS)
def test_the_better_ranking_wins_and_the_replay_redraws_its_pages(method: Method, tmp_path: Path) -> None:
    interleaved(tmp_path, method=method, n=1000)
    log = read_log(tmp_path)
    parity = verify(log)
    assert parity.holds
    assert 0 < parity.scores < 1000 * 6  # items of the contender's page alone have no logged score
    pages = read_pages(log, tmp_path)
    found = analyse(log, pages, read_credits(log, pages), np.random.default_rng(0), n_resamples=300)
    assert found.simulated
    assert (found.method, found.baseline) == (method, "control")
    assert found.redrawn == {"control": (1000, 1000), "boosted": (1000, 1000)}
    everyone, *platforms = found.preferences
    assert everyone.low is not None
    assert everyone.low > 0
    assert everyone.p_users is not None
    assert everyone.p_users < 0.05
    assert [row.segment for row in platforms] == ["ios", "web"]
    assert sum(row.searches for row in platforms) == everyone.searches == 1000
    assert everyone.wins + everyone.losses + everyone.ties == 1000


def test_a_record_says_who_picked_what(tmp_path: Path) -> None:
    interleaved(tmp_path, n=50)
    for record in read_captures(tmp_path):
        shown = [item for item in record.items if item.rank is not None]
        teams = [item.extras.get("team") for item in shown]
        assert len(shown) == 6
        assert teams.count("control") == teams.count("boosted")
        for item in shown:
            team = item.extras.get("team")
            if team is not None:
                assert f"rank.{team}" in item.extras
            assert (item.score is not None) == ("rank.control" in item.extras)
        assert len({item.item_id for item in record.items}) == len(record.items)


def test_teams_of_equal_quality_draw(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    user = rng.integers(0, 300, 3000)
    misses = 0
    for _ in range(40):
        found = preference(rng.choice([-1, 0, 1], 3000).astype(np.int8), user, rng, n_resamples=200)
        assert found.low is not None
        assert found.high is not None
        misses += not found.low <= 0 <= found.high
    assert misses <= 6  # 2 expected


def test_preference_by_hand() -> None:
    outcome = np.array([1, 1, 1, -1, 0, 0], dtype=np.int8)
    found = preference(outcome, np.array([0, 0, 1, 2, 3, 3]), np.random.default_rng(0), n_resamples=50)
    assert (found.wins, found.losses, found.ties, found.users) == (3, 1, 2, 4)
    assert found.preference == pytest.approx((3 + 2 / 2) / 6 - 1 / 2)
    assert found.p_searches == pytest.approx(2 * (1 + 4) / 16)  # three or more of four, both sides
    assert found.p_users == 1.0  # two users for, one against
    assert sign_test(0, 0) is None


def test_balanced_credit_by_hand() -> None:
    # the lowest click is on the third item: rank 2 in the second ranking, 4 in the first
    ranks = np.array([[[1, 3], [2, 1], [4, 2]]])
    clicks = np.array([[True, False, True]])
    np.testing.assert_array_equal(balanced_credit(ranks, clicks), [[1, 1]])
    np.testing.assert_array_equal(balanced_credit(ranks, np.array([[False, True, True]])), [[1, 2]])
    np.testing.assert_array_equal(balanced_credit(ranks, np.zeros((1, 3), dtype=bool)), [[0, 0]])


def test_a_log_without_interleaving_is_refused(tmp_path: Path) -> None:
    by_arms(tmp_path, n=100)
    log = read_log(tmp_path)
    with pytest.raises(InputError, match="no search of this log was interleaved"):
        read_credits(log, read_pages(log, tmp_path))


def test_two_experiments_in_one_folder_are_refused(tmp_path: Path) -> None:
    interleaved(tmp_path, n=30)
    other = tmp_path / "other"
    interleaved(other, method="balanced", n=30, seed=8)
    for kind in ("searches", "events"):
        shutil.copytree(other / kind, tmp_path / kind, dirs_exist_ok=True)
    log = read_log(tmp_path)
    with pytest.raises(InputError, match="interleaved in 2 ways"):
        read_credits(log, read_pages(log, tmp_path))


def test_searches_that_were_not_interleaved_are_left_out(tmp_path: Path) -> None:
    interleaved(tmp_path, n=40)
    by_arms(tmp_path, n=60, seed=9)
    log = read_log(tmp_path)
    assert len(read_credits(log, read_pages(log, tmp_path)).searches) == 40


@pytest.mark.parametrize("method", METHODS)
def test_an_experiment_of_the_size_that_is_needed_finds_the_difference(
    method: Method, tmp_path: Path
) -> None:
    explored(tmp_path, SwapPairs(0.5, 6), n=1500)
    log = read_log(tmp_path)
    model = from_clicks(log, tmp_path, 6)
    assert "simulated" in model.name
    sides = rank(log, BASE), rank(log, BOOSTED)
    found = simulate_power(log, *sides, model, np.random.default_rng(0), k=6, repetitions=10, method=method)
    assert found.simulated
    assert found.searches_needed is not None
    assert found.low > 0
    assert found.power_simulated == pytest.approx(0.8, abs=0.08)
    assert found.ab_searches_needed is not None
    assert found.ab_searches_needed > 3 * found.searches_needed
    assert found.searches_per_day == pytest.approx(75, rel=0.05)  # 1,500 searches in 20 days
    assert found.days_needed == pytest.approx(found.searches_needed / found.searches_per_day)


def test_equal_rankings_need_no_number_of_searches(tmp_path: Path) -> None:
    explored(tmp_path, SwapPairs(0.5, 6), n=200)
    log = read_log(tmp_path)
    same = rank(log, BASE)
    found = simulate_power(log, same, same, from_clicks(log, tmp_path, 6), np.random.default_rng(0), k=6)
    assert (found.same_pages, found.searches_needed, found.preference) == (200, None, 0.0)


def test_judgments_make_buyers_too(tmp_path: Path) -> None:
    explored(tmp_path, SwapPairs(0.5, 6), n=50)
    log = read_log(tmp_path)
    with pytest.raises(InputError, match="has no judgments"):
        from_judgments(log, tmp_path, 6)
    write_judgments(tmp_path, [(str(log.searches["query"][0]), str(log.item_id[0]), 4.0)], "people")
    model = from_judgments(log, tmp_path, 6)
    assert model.attract_prob[0] == pytest.approx(15 / 16)
    assert model.attract_prob.min() == 0.0
    assert "people" in model.name


def test_profiles_that_cannot_be_interleaved_are_refused() -> None:
    with pytest.raises(InputError, match="different names"):
        Interleaver(None, "items", [BASE, BASE])  # type: ignore[arg-type]
    other = BASE.model_copy(
        update={"name": "other", "base_query": BASE.base_query.model_copy(update={"operator": "and"})}
    )
    with pytest.raises(InputError, match="asks another base query"):
        Interleaver(None, "items", [BASE, other])  # type: ignore[arg-type]
