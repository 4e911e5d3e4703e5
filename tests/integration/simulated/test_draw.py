"""Drawn pages: repeatable chance, and probabilities that are those of the draws."""

from __future__ import annotations

import hashlib
from itertools import islice, permutations

import numpy as np
import pytest

from ranking.draw import take, uniforms
from ranking.explore import PlackettLuce, Policy, ShuffleTop, SwapPairs, parse_policy, position_probs

SCORES = np.array([3.0, 2.5, 2.4, 1.0, 0.2])


def test_numbers_are_those_of_the_digest() -> None:
    # printf %s 'explore:s1:0' | sha256sum
    digest = "eac788cbb0fae1c48c256877b6a411f0607d2250a481d2e75e09f8e4f76ec2df"
    by_hand = [(int(digest[i : i + 16], 16) >> 11) / 2**53 for i in (0, 16)]
    assert by_hand == [0.91710715268071, 0.5474458019513266]
    assert list(islice(uniforms("explore", "s1"), 2)) == by_hand
    second_block = hashlib.sha256(b"explore:s1:1").hexdigest()
    assert next(islice(uniforms("explore", "s1"), 4, None)) == (int(second_block[:16], 16) >> 11) / 2**53


def test_numbers_are_uniform_over_searches() -> None:
    first = np.array([next(uniforms("s", str(i))) for i in range(4000)])
    counts = np.histogram(first, bins=10, range=(0, 1))[0]
    assert ((counts - 400) ** 2 / 400).sum() < 27.9  # chi-square, 9 degrees of freedom, p = 0.001


@pytest.mark.parametrize(
    "policy",
    [SwapPairs(0.3, 4), ShuffleTop(3), PlackettLuce(1.5, 4), PlackettLuce(0.7, 5)],
    ids=lambda p: p.name,
)
def test_logged_probabilities_are_the_frequencies_of_the_draws(policy: Policy) -> None:
    n, k = 6_000, 3
    chance = iter(np.random.default_rng(1).random, None)
    pages: dict[tuple[int, ...], int] = {}
    claimed: dict[tuple[int, ...], float] = {}
    position: dict[tuple[int, int], float] = {}
    placed: dict[tuple[int, int], int] = {}
    for _ in range(n):
        drawn = policy.draw(SCORES, k, chance)
        page = tuple(drawn.order.tolist())
        pages[page] = pages.get(page, 0) + 1
        claimed[page] = float(drawn.step_prob.prod())
        for r, item in enumerate(page):
            placed[item, r] = placed.get((item, r), 0) + 1
            position[item, r] = float(drawn.position_prob[r])
    assert sum(claimed.values()) == pytest.approx(1.0, abs=0.03)
    for page, count in pages.items():
        p = claimed[page]
        assert abs(count / n - p) < 4.5 * np.sqrt(p * (1 - p) / n) + 1e-9
    for place, count in placed.items():
        p = position[place]
        assert abs(count / n - p) < 4.5 * np.sqrt(p * (1 - p) / n) + 1e-9


def test_position_probabilities_are_those_of_all_orders() -> None:
    weight = np.array([5.0, 1.0, 2.0, 0.5])
    expected = np.zeros((4, 4))
    for order in permutations(range(4)):
        left, p = weight.sum(), 1.0
        for item in order:
            p *= weight[item] / left
            left -= weight[item]
        for place, item in enumerate(order):
            expected[item, place] += p
    np.testing.assert_allclose(position_probs(weight), expected, atol=1e-12)


def test_a_short_page_is_drawn_too() -> None:
    for policy in (SwapPairs(), ShuffleTop(), PlackettLuce(1.0)):
        for n in (0, 1, 2):
            drawn = policy.draw(SCORES[:n], 3, uniforms("a", "b"))
            assert sorted(drawn.order) == list(range(n))
            assert len(drawn.step_prob) == len(drawn.position_prob) == n


def test_what_lies_below_the_candidates_keeps_its_place() -> None:
    drawn = PlackettLuce(1.0, 2).draw(SCORES, 5, uniforms("a", "b"))
    assert drawn.order[2:].tolist() == [2, 3, 4]
    np.testing.assert_allclose(drawn.step_prob[1:], 1.0)


@pytest.mark.parametrize(
    "make",
    [lambda: SwapPairs(0.0), lambda: SwapPairs(0.5, 1), lambda: ShuffleTop(1), lambda: PlackettLuce(0.0)],
)
def test_a_policy_without_chance_is_refused(make: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()  # type: ignore[operator]


def test_taking_takes_in_order() -> None:
    chance = uniforms("a", "b")
    assert [*take(chance, 3), next(chance)] == list(islice(uniforms("a", "b"), 4))


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("swap-pairs", SwapPairs()),
        ("swap-pairs 0.3", SwapPairs(0.3)),
        ("swap-pairs:0.3:8", SwapPairs(0.3, 8)),
        ("shuffle-top 4", ShuffleTop(4)),
        ("plackett-luce 0.5 12", PlackettLuce(0.5, 12)),
    ],
)
def test_a_policy_is_read_from_its_name(text: str, policy: Policy) -> None:
    assert parse_policy(text) == policy
    assert parse_policy(policy.name) == policy


@pytest.mark.parametrize(
    "text", ["", "coin", "plackett-luce", "shuffle-top x", "swap-pairs 2", "swap-pairs 0.5 4 4"]
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=repr(text)):
        parse_policy(text)
