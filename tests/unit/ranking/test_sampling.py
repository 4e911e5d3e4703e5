"""Sampling by hash: even, the same everywhere, nested, and by user before session before search."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.errors import InputError
from ranking.sampling import check_rate, is_sampled, place


def test_a_place_is_the_hash_that_the_docstring_says() -> None:
    digest = hashlib.blake2b(b"u1", digest_size=8, key=b"", person=b"capture").digest()
    assert place("u1") == (int.from_bytes(digest, "big") >> 11) / 2**53


def test_the_rate_is_met_within_four_standard_errors() -> None:
    n, rate = 20_000, 0.1
    hits = sum(is_sampled(rate, user_id=f"u{i}") for i in range(n))
    assert abs(hits - n * rate) < 4 * np.sqrt(n * rate * (1 - rate))


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_lower_rate_picks_a_subset(user: str, a: float, b: float) -> None:
    if is_sampled(min(a, b), user_id=user):
        assert is_sampled(max(a, b), user_id=user)


def test_a_user_is_in_with_all_searches_or_with_none() -> None:
    for user in range(200):
        kept = {is_sampled(0.5, user_id=f"u{user}", session_id=f"s{i}", search_id=f"q{i}") for i in range(5)}
        assert len(kept) == 1


def test_without_a_user_the_session_decides_and_without_both_the_search() -> None:
    assert len({is_sampled(0.5, session_id="s", search_id=f"q{i}") for i in range(50)}) == 1
    assert len({is_sampled(0.5, search_id=f"q{i}") for i in range(50)}) == 2


def test_a_salt_picks_other_users() -> None:
    users = [f"u{i}" for i in range(400)]
    first = {user for user in users if is_sampled(0.5, user_id=user)}
    second = {user for user in users if is_sampled(0.5, user_id=user, salt="again")}
    assert 60 < len(first & second) < 140  # half of a half of 400 by chance: 100, give or take four errors


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="not a share between 0 and 1"):
        check_rate(rate)


def test_the_ends_are_nobody_and_everybody() -> None:
    assert not any(is_sampled(0.0, user_id=f"u{i}") for i in range(100))
    assert all(is_sampled(1.0, user_id=f"u{i}") for i in range(100))
