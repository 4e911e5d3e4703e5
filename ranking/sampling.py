"""Which searches are captured: a share of users, by hash, the same ones on every machine and every day.

Whole users are sampled, so that a user's clicks and searches stay together and intervals can be clustered by
user. A lower rate picks a subset of what a higher rate picks.
"""

from __future__ import annotations

import hashlib

from ranking.errors import InputError

_PURPOSE = b"capture"  # keeps this hash apart from that of a canary, so that each arm is sampled alike


def place(key: str, salt: str = "") -> float:
    """Where a key falls in [0, 1), evenly over keys and alike on every machine."""
    digest = hashlib.blake2b(
        key.encode("utf-8", "surrogatepass"), digest_size=8, key=salt.encode()[:64], person=_PURPOSE
    ).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53  # 53 bits: exact in a double, never 1


def is_sampled(
    rate: float,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    search_id: str | None = None,
    salt: str = "",
) -> bool:
    """Whether a search belongs to the sample: by its user, else by its session, else by itself."""
    if rate >= 1:
        return True
    return place(user_id or session_id or search_id or "", salt) < rate


def check_rate(rate: float, name: str = "sample") -> float:
    """The rate, if it is one.

    Raises:
        InputError: not in [0, 1].
    """
    if not 0 <= rate <= 1:
        raise InputError(
            f"{name}: {rate} is not a share between 0 and 1", hint="0.1 captures a tenth of users"
        )
    return rate
