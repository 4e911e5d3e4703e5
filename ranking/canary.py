"""Which version of a profile serves a user while a canary runs: a hash of the user, the same in any language.

    bucket = first 8 hex digits of SHA-256(UTF-8 of "SALT:USER_ID"), as a number, modulo 10 000
    canary   where bucket < percent * 100
    baseline otherwise

A user's bucket never changes while the salt stays, so who is in at 5 % is in at 20 % too. The salt names the
canary's version: the next canary draws its users anew. docs/apply-boost.md has test vectors.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

BUCKETS = 10_000


def bucket(salt: str, user_id: str) -> int:
    """A user's place in [0, 10 000)."""
    digest = hashlib.sha256(f"{salt}:{user_id}".encode()).hexdigest()
    return int(digest[:8], 16) % BUCKETS


@dataclass(frozen=True, slots=True)
class Canary:
    """A version that serves a share of the users."""

    version: int
    percent: float  # above 0, at most 100; whole hundredths
    salt: str

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 100 or round(self.percent * 100) != round(self.percent * 100, 6):
            raise ValueError(f"percent must be in (0, 100] in steps of 0.01, got {self.percent:g}")

    def takes(self, user_id: str | None) -> bool:
        """Whether the canary serves this user; nobody without an id is in it."""
        return user_id is not None and bucket(self.salt, user_id) < round(self.percent * 100)

    def arm(self, user_id: str | None) -> str | None:
        """What a capture records: `SALT/canary`, `SALT/baseline`, or None for a user without an id."""
        if user_id is None:
            return None
        return f"{self.salt}/{'canary' if self.takes(user_id) else 'baseline'}"

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the live document."""
        return asdict(self)
