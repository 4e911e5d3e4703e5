"""The formula by hand, and the properties on which the certificate rests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.clock import DAY_MS
from ranking.formula import Candidates, bound, final_scores, rank_order, score_parts
from ranking.profile import Profile

NOW = 1_795_000_000_000


def docs(*rows: tuple[float, float | None, float | None]) -> Candidates:
    """Candidates from (rel, image score, age in days)."""
    rel, image, age = zip(*rows, strict=True)
    return Candidates(
        rel=np.array(rel, dtype=np.float32),
        image_score=np.array([np.nan if v is None else v for v in image], dtype=np.float32),
        created_ms=np.array([np.nan if v is None else NOW - v * DAY_MS for v in age]),
    )


def profile(mode: str, weight: float, execution: str = "script_score", **more: object) -> Profile:
    return Profile.model_validate(
        {"name": "p", "image": {"mode": mode, "weight": weight, **more}, "execution": execution}
        | {"freshness": {"scale": "10d", "decay": 0.5, "curve": "exp"}}
    )


@pytest.mark.parametrize("execution", ["function_score", "script_score"])
def test_scores_are_those_of_the_papers_equations(execution: str) -> None:
    rows = docs((4.0, 0.5, 0.0), (4.0, 0.5, 10.0), (4.0, None, 20.0), (4.0, 1.0, None))
    # additive, weight 2: (4 + 1) * 1, (4 + 1) * 1/2, (4 + 0) * 1/4, (4 + 2) * 1
    assert final_scores(profile("additive", 2.0, execution), rows, NOW).tolist() == [5.0, 2.5, 1.0, 6.0]
    # multiplicative, weight 1/2: 4 * (1/2 + 1/4) ...
    assert final_scores(profile("multiplicative", 0.5, execution), rows, NOW).tolist() == [3.0, 1.5, 0.5, 4.0]
    # none: 4 * freshness
    assert final_scores(profile("none", 9.0, execution), rows, NOW).tolist() == [4.0, 2.0, 1.0, 4.0]


def test_an_unscored_item_takes_the_value_for_missing() -> None:
    got = final_scores(profile("additive", 2.0, missing=0.25), docs((4.0, None, 0.0)), NOW)
    assert got.tolist() == [4.5]


def test_function_score_casts_twice_and_script_score_once() -> None:
    # rel + w * image needs more than 24 bits, so the inner cast of function_score loses some of them
    rng = np.random.default_rng(5)
    rows = [(float(r), float(i), float(a)) for r, i, a in rng.random((4000, 3)) * [20, 1, 60]]
    nested = final_scores(profile("additive", 0.1, "function_score"), docs(*rows), NOW)
    single = final_scores(profile("additive", 0.1, "script_score"), docs(*rows), NOW)
    ulp = np.abs(nested.view(np.int32) - single.view(np.int32))
    assert ulp.max() == 1
    assert 0.01 < np.mean(ulp) < 0.5


def test_parts_multiply_to_the_final_score() -> None:
    parts = score_parts(profile("additive", 2.0), docs((4.0, 0.5, 10.0)), NOW)
    assert (parts.combined[0], parts.freshness[0], parts.final[0]) == (5.0, 0.5, 2.5)


scores = st.floats(min_value=0, max_value=1e4, width=32)


@given(
    mode=st.sampled_from(["none", "additive", "multiplicative"]),
    weight=st.floats(min_value=0, max_value=1),
    execution=st.sampled_from(["function_score", "script_score"]),
    floor=scores,
    shares=st.lists(
        st.tuples(st.floats(0, 1), st.one_of(st.none(), st.floats(0, 1, width=32)), st.floats(-50, 400)),
        min_size=1,
        max_size=30,
    ),
)
def test_nothing_below_the_floor_scores_above_the_bound(
    mode: str,
    weight: float,
    execution: str,
    floor: float,
    shares: list[tuple[float, float | None, float]],
) -> None:
    p = profile(mode, weight * (5 if mode == "additive" else 1), execution)
    rows = docs(*((share * floor, image, age) for share, image, age in shares))
    limit = bound(p, np.array([floor], dtype=np.float32))[0]
    assert (final_scores(p, rows, NOW) <= limit).all()


@given(
    execution=st.sampled_from(["function_score", "script_score"]),
    clamps=st.lists(st.floats(0.01, 10), min_size=1, max_size=3),
    weight=st.floats(0, 10),
    floor=scores,
)
def test_nothing_below_the_floor_scores_above_the_bound_whatever_its_factors(
    execution: str, clamps: list[float], weight: float, floor: float
) -> None:
    numeric = [{"type": "numeric", "field": "price", "missing": 1, "max": clamp} for clamp in clamps]
    rule = {"type": "rule", "field": "stock", "gte": 1, "weight": weight}
    category = {"type": "category", "weights": {"shoes": weight}}
    p = Profile.model_validate({"name": "p", "execution": execution, "factors": [*numeric, rule, category]})
    columns = {
        "price": np.array([0.0, 1.0, 1e6]),
        "stock": np.array([np.nan, 1.0, 0.0]),
        "category": np.array(["shoes", "shoes", None], dtype=object),
    }
    rows = docs(*[(floor, 1.0, 0.0)] * 3)
    got = final_scores(p, Candidates(rows.rel, rows.image_score, rows.created_ms, columns=columns), NOW)
    assert (got <= bound(p, np.array([floor], dtype=np.float32))[0]).all()


def test_a_numeric_factor_at_its_clamp_does_not_exceed_the_bound() -> None:
    # the clamp is in a script and stays double: 0.7 is more than float32(0.7), so casting it loses the proof
    p = Profile.model_validate(
        {"name": "p", "factors": [{"type": "numeric", "field": "price", "missing": 1, "max": 0.7}]}
    )
    rel = np.linspace(0.1, 40, 2_000).astype(np.float32)
    nothing = np.full(len(rel), np.nan)
    rows = Candidates(rel, nothing.astype(np.float32), nothing, columns={"price": np.full(len(rel), 5.0)})
    assert (final_scores(p, rows, NOW) <= bound(p, rel)).all()
    assert (rel * np.float32(0.7) < final_scores(p, rows, NOW)).any()


def test_ties_go_to_the_smaller_item_id() -> None:
    scores = np.array([1.0, 2.0, 2.0, 2.0], dtype=np.float32)
    assert rank_order(scores, ["a", "c", "B", "b"]).tolist() == [2, 3, 1, 0]  # code points: B < b < c
