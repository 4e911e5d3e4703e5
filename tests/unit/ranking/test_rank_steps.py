"""What each part of the formula did to a rank: small pages, ranked by hand."""

from __future__ import annotations

from ranking.capture import CapturedItem
from ranking.clock import DAY_MS
from ranking.explain import rank_steps
from ranking.profile import Profile

NOW = 1_795_000_000_000
FULL = Profile.model_validate(
    {
        "name": "mine",
        "image": {"mode": "additive", "weight": 4.0},
        "freshness": {"curve": "linear", "scale": "10d", "decay": 0.5},
        "factors": [{"type": "category", "weights": {"hat": 3.0}}],
    }
)


def item(item_id: str, rel: float, image: float, age_days: int, category: str = "dress") -> CapturedItem:
    return CapturedItem(
        item_id, rel, image_score=image, created_ms=NOW - age_days * DAY_MS, category=category
    )


#                  rel    + 4 image   x freshness (0.5 at 10 days, linear)   x 3 for hats
ITEMS = [
    item("a", 10.0, 0.0, 10),  # 10     10          5                          5
    item("b", 8.0, 1.0, 0),  #    8     12         12                         12
    item("c", 7.0, 0.0, 0),  #    7      7          7                          7
    item("d", 6.0, 0.5, 10, "hat"),  # 6  8          4                         12
]


def test_ranks_by_hand() -> None:
    steps = rank_steps(FULL, ITEMS, NOW)
    assert steps.stages == ("rel", "image", "freshness", "factors")
    assert steps.ranks == {
        "a": (1, 2, 3, 4),
        "b": (2, 1, 1, 1),  # ties with d at the end, and comes first by item_id
        "c": (3, 4, 2, 3),
        "d": (4, 3, 4, 2),
    }
    assert steps.words("a") == "1 → 2 → 3 → 4"
    assert (steps.candidates, steps.among) == (4, "4 candidates: the page and the most relevant")


def test_the_order_in_which_candidates_come_does_not_matter() -> None:
    assert rank_steps(FULL, ITEMS[::-1], NOW).ranks == rank_steps(FULL, ITEMS, NOW).ranks


def test_a_stage_that_the_profile_lacks_is_left_out() -> None:
    plain = Profile.model_validate({"name": "plain"})
    fresh = FULL.model_copy(update={"image": plain.image, "factors": ()})
    assert rank_steps(plain, ITEMS, NOW).stages == ("rel",)
    assert rank_steps(fresh, ITEMS, NOW, complete=True).words("a") == "1 → 3"
    assert rank_steps(fresh, ITEMS, NOW, complete=True).among == "all 4 matches"


def test_no_candidates_have_no_ranks() -> None:
    assert rank_steps(FULL, [], NOW).ranks == {}
