"""The canary's split: by hand with hashlib, and as docs/apply-boost.md gives it to other languages."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

import pytest

from ranking.canary import BUCKETS, Canary, bucket


def by_hand(salt: str, user: str) -> int:
    first_four_bytes = hashlib.sha256(salt.encode() + b":" + user.encode()).digest()[:4]
    return int.from_bytes(first_four_bytes, "big") % 10_000


@pytest.mark.parametrize("user", ["u1", "u2", "", "ユーザー", "a:b", "x" * 10_000])
def test_a_bucket_is_the_first_four_bytes_of_the_hash(user: str) -> None:
    assert bucket("mine@2", user) == by_hand("mine@2", user)


def test_the_docs_give_the_same_vectors() -> None:
    text = Path("docs/apply-boost.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+@\d+)` \| `(\S+)` \| (\d+) \|", text, flags=re.M)
    assert len(rows) >= 5
    for salt, user, expected in rows:
        assert by_hand(salt, user) == int(expected), (salt, user)


def test_a_canary_takes_its_share_within_three_sigma() -> None:
    n = 50_000
    for percent in (0.5, 5.0, 50.0):
        canary = Canary(2, percent, "mine@2")
        taken = sum(canary.takes(f"user-{i}") for i in range(n))
        p = percent / 100
        assert abs(taken - n * p) < 3 * math.sqrt(n * p * (1 - p))


def test_who_is_in_stays_in_as_the_share_grows() -> None:
    users = [f"user-{i}" for i in range(5_000)]
    small, large = ({u for u in users if Canary(2, p, "mine@2").takes(u)} for p in (5.0, 20.0))
    assert small < large


def test_another_salt_draws_other_users() -> None:
    users = [f"user-{i}" for i in range(20_000)]
    first, second = ({u for u in users if Canary(v, 10.0, f"mine@{v}").takes(u)} for v in (2, 3))
    shared = len(first & second)
    assert abs(shared - 200) < 3 * math.sqrt(200)  # independent: 10 % of 10 %


def test_nobody_without_an_id_is_in_and_everybody_is_at_100() -> None:
    canary = Canary(2, 100.0, "mine@2")
    assert not canary.takes(None)
    assert canary.arm(None) is None
    assert all(canary.takes(f"u{i}") for i in range(1_000))
    assert canary.arm("u1") == "mine@2/canary"
    none = next(f"u{i}" for i in range(BUCKETS) if not Canary(2, 1.0, "mine@2").takes(f"u{i}"))
    assert Canary(2, 1.0, "mine@2").arm(none) == "mine@2/baseline"


@pytest.mark.parametrize("percent", [0.0, -1.0, 100.01, math.nan, math.inf, 0.001])
def test_a_share_that_is_none_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="percent must be"):
        Canary(2, percent, "mine@2")
