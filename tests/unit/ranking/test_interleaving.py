"""The classical properties of interleaving: no duplicates, both orders kept, random clicks prefer nobody."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranking.draw import uniforms
from ranking.interleaving import METHODS, Draft, Method, draft
from ranking.interleaving.optimized import allowed, probabilities, rank_credits
from replay.interleaving import balanced_credit

two_pages = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        st.permutations([f"i{j}" for j in range(n + 2)]).map(lambda x: x[:n]),
        st.permutations([f"i{j}" for j in range(n + 2)]).map(lambda x: x[:n]),
    )
)


@pytest.mark.parametrize("method", METHODS)
@given(pages=two_pages, seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_pages_hold_no_item_twice_and_keep_both_orders(
    method: Method, pages: tuple[list[str], list[str]], seed: int
) -> None:
    a, b = pages
    k = len(a)
    drafted = draft(method, {"a": a, "b": b}, k, uniforms("s", str(seed)))
    assert len(drafted.items) == len(set(drafted.items)) == len(drafted.teams) == k
    for n in range(1, k + 1):  # each prefix is the union of a prefix of a and a prefix of b
        shown = set(drafted.items[:n])
        first_a = next((i for i, item in enumerate(a) if item not in shown), k)
        first_b = next((i for i, item in enumerate(b) if item not in shown), k)
        assert shown == set(a[:first_a]) | set(b[:first_b])


def every_draft(method: Method, a: list[str], b: list[str], k: int) -> list[Draft]:
    """One draft for each outcome of the coins."""
    return [
        draft(method, {"a": a, "b": b}, k, iter([*coins, 0.5, 0.5]))
        for coins in product((0.25, 0.75), repeat=k)
    ]


@given(pages=two_pages.filter(lambda pages: pages[0] != pages[1]))
@settings(max_examples=40, deadline=None)
def test_random_clicks_prefer_nobody_in_a_team_draft(pages: tuple[list[str], list[str]]) -> None:
    a, b = pages
    picks = np.zeros(len(a))
    for drafted in every_draft("team-draft", a, b, len(a)):
        picks += [{"a": -1, "b": 1, None: 0}[team] for team in drafted.teams]
    np.testing.assert_array_equal(picks, 0)  # at every rank, so for every click that looks at ranks alone


def test_balanced_interleaving_has_its_known_bias() -> None:
    """Chapelle et al. 2012, section 3.1: one random click prefers b in three of four cases."""
    a, b = ["w", "x", "y", "z"], ["x", "y", "z", "w"]
    outcomes = []
    for drafted in every_draft("balanced", a, b, 4):
        ranks = np.array([[a.index(item) + 1, b.index(item) + 1] for item in drafted.items])
        for clicked in np.eye(4, dtype=bool):
            first, second = balanced_credit(ranks[None], clicked[None])[0]
            outcomes.append(np.sign(second - first))
    assert np.mean(outcomes) == 0.5


def test_balanced_pages_hold_the_tops_of_both_as_evenly_as_can_be() -> None:
    a, b = ["w", "x", "y", "z"], ["x", "y", "z", "w"]
    pages = {drafted.items for drafted in every_draft("balanced", a, b, 4)}
    assert pages == {("w", "x", "y", "z"), ("x", "w", "y", "z")}


@given(pages=two_pages)
@settings(max_examples=40, deadline=None)
def test_optimized_pages_are_unbiased_at_every_depth(pages: tuple[list[str], list[str]]) -> None:
    a, b = (tuple(page) for page in pages)
    drawn, prob = probabilities(a, b, len(a))
    assert prob.sum() == pytest.approx(1.0)
    expected = sum(p * np.cumsum(rank_credits(a, b, page)) for p, page in zip(prob, drawn, strict=True))
    np.testing.assert_allclose(expected, 0.0, atol=1e-7)


def test_allowed_pages_are_those_of_the_paper() -> None:
    """Radlinski and Craswell 2013, table 1: a = (1, 2, 3), b = (2, 3, 1) or the like, written out."""
    assert set(allowed(("p", "q"), ("q", "r"), 2)) == {("p", "q"), ("q", "p"), ("q", "r")}


def test_three_rankings_are_multileaved_without_favour() -> None:
    rng = np.random.default_rng(3)
    chance = iter(rng.random, None)
    rankings = {name: [f"i{j}" for j in rng.permutation(9)] for name in ("a", "b", "c")}
    n = 6000
    credit = dict.fromkeys(rankings, 0)
    at_top = dict.fromkeys(rankings, 0)
    for _ in range(n):
        drafted = draft("team-draft", rankings, 6, chance)
        assert len(set(drafted.items)) == 6
        at_top[str(drafted.teams[0])] += 1
        for name in rankings:
            credit[name] += drafted.teams.count(name)
    assert set(credit.values()) == {2 * n}  # two rounds of three picks
    assert all(abs(count / n - 1 / 3) < 4 * np.sqrt(2 / 9 / n) for count in at_top.values())


def test_equal_pages_are_nobodys() -> None:
    for method in METHODS:
        assert draft(method, {"a": ["x", "y"], "b": ["x", "y"]}, 2, uniforms("s", "1")) == Draft(
            ("x", "y"), (None, None)
        )


def test_a_search_draws_the_same_page_again() -> None:
    rankings = {"a": list("abcdefgh"), "b": list("hgfedcba")}
    for method in METHODS:
        pages = [draft(method, rankings, 8, uniforms("salt", f"s{i}")) for i in range(20)]
        assert pages == [draft(method, rankings, 8, uniforms("salt", f"s{i}")) for i in range(20)]
        assert len({page.items for page in pages}) > 1


def test_longer_pages_are_filled_below_what_was_optimized() -> None:
    a, b = [f"a{j}" for j in range(20)], [f"b{j}" for j in range(20)]
    drafted = draft("optimized", {"a": a, "b": b}, 15, uniforms("s", "1"), depth=6)
    assert len(set(drafted.items)) == 15
    assert set(drafted.teams[6:]) == {None}


@pytest.mark.parametrize(
    ("method", "rankings", "message"),
    [
        ("team-draft", {"a": ["x"]}, "cannot interleave 1"),
        ("balanced", {"a": ["x"], "b": ["y"], "c": ["z"]}, "cannot interleave 3"),
        ("team-draft", {"a": ["x", "x"], "b": ["y", "z"]}, "has an item twice"),
        ("coin", {"a": ["x"], "b": ["y"]}, "method must be one of"),
    ],
)
def test_what_cannot_be_interleaved_is_refused(
    method: Method, rankings: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draft(method, rankings, 1, uniforms("s", "1"))
