"""The native boost: the query `rank_boost` of the optional plugin, which skips what cannot reach the top.

It computes what `script_score` computes, operation by operation, with one cast: scores, ids and ties are the
same bits, so a profile whose execution is `plugin` is served by the script wherever the plugin is missing.
`Native` is that choice at the edge: natively until the cluster refuses, then by the script, and natively
again once a minute has passed. plugin/README.md has the query's JSON, and how it is installed.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from elasticsearch.dsl import query as q

from ranking import fields
from ranking.errors import ServerError
from ranking.factors import Factor
from ranking.freshness import Freshness
from ranking.image import ImageBoost
from ranking.profile import Profile

T = TypeVar("T")
QUERY: Final = "rank_boost"
# By the node that parses the search, and by a node that is sent the query by one that knows it.
_UNKNOWN: Final = re.compile(
    rf"unknown (?:query|field) \[{QUERY}\]|Unknown NamedWriteable \[\S*QueryBuilder\]\[{QUERY}\]"
)
RETRY_AFTER_S: Final = 60.0  # between a refusal and the next try: about as long as a rolling restart's step


class RankBoost(q.Query):
    """`rank_boost` in the words of the DSL."""

    name = QUERY
    _param_defs = {"query": {"type": "query"}}  # noqa: RUF012  (the DSL's own shape)


def native_boost(profile: Profile, base: q.Query, *, now_ms: int) -> q.Query:
    """The profile's formula over a relevance query, computed by the plugin.

    Args:
        profile: resolved for its platform.
        base: the relevance query.
        now_ms: the clock, epoch ms: the only form of an origin that the plugin takes.
    """
    parts: dict[str, Any] = {"query": base}
    if profile.image.mode != "none":
        parts["image"] = _image(profile.image)
    if profile.freshness is not None:
        parts["freshness"] = _freshness(profile.freshness, now_ms)
    if profile.factors:
        parts["factors"] = [_factor(factor) for factor in profile.factors]
    return RankBoost(**parts)


def natively(profile: Profile) -> Profile:
    """The same formula, served by the plugin: bit for bit what its script gives.

    Raises:
        ValueError: the profile rounds as `function_score` does, which the plugin does not.
    """
    if profile.execution == "function_score":
        raise ValueError(
            f"profile {profile.name} runs as function_score, which rounds differently in the last bit"
        )
    return profile.model_copy(update={"execution": "plugin", "approximate": False})


def scripted(profile: Profile) -> Profile:
    """The same formula without the plugin, bit for bit; itself where its execution needs none."""
    return (
        profile.model_copy(update={"execution": "script_score"}) if profile.execution == "plugin" else profile
    )


def lacks_plugin(error: BaseException) -> bool:
    """Whether a search failed because a node does not know the query: none has it, or not every one."""
    return isinstance(error, ServerError) and _UNKNOWN.search(str(error)) is not None


class Native:
    """Whether this cluster runs `rank_boost`, as far as its answers have shown. Thread-safe."""

    def __init__(
        self, retry_after_s: float = RETRY_AFTER_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._retry_after_s, self._clock = retry_after_s, clock
        self._lock = threading.Lock()
        self._refused_at: float | None = None

    def serving(self, profile: Profile) -> Profile:
        """The profile as it is served now: itself, or by its script while the plugin is missing."""
        if profile.execution != "plugin":
            return profile
        with self._lock:
            at = self._refused_at
            missing = at is not None and self._clock() - at < self._retry_after_s
        return scripted(profile) if missing else profile

    def run(self, profile: Profile, ask: Callable[[Profile], T]) -> T:
        """Ask with the profile as it is served now; once more by its script where the plugin is missing.

        Raises:
            ServerError: what `ask` raised, of anything but a missing plugin.
        """
        served = self.serving(profile)
        try:
            return ask(served)
        except ServerError as e:
            if served.execution != "plugin" or not lacks_plugin(e):
                raise
        self._refuse()
        return ask(scripted(served))

    def _refuse(self) -> None:
        with self._lock:
            self._refused_at = self._clock()


def _image(image: ImageBoost) -> dict[str, Any]:
    part: dict[str, Any] = {
        "field": fields.IMAGE_SCORE,
        "mode": image.mode,
        "weight": image.weight,
        "missing": image.missing,
        "transform": image.transform.model_dump(mode="json"),
    }
    if image.ai_generated is not None:
        rule = image.ai_generated.model_dump(mode="json", exclude_none=True)
        part["ai_generated"] = {"field": fields.AI_PROBABILITY, **rule}
    return part


def _freshness(freshness: Freshness, now_ms: int) -> dict[str, Any]:
    return {
        "field": fields.CREATED_AT,
        "curve": freshness.curve,
        "origin": now_ms,
        "scale": f"{freshness.scale}ms",
        "offset": f"{freshness.offset}ms",
        "decay": freshness.decay,
        "missing": freshness.missing,
    }


def _factor(factor: Factor) -> dict[str, Any]:
    return factor.model_dump(mode="json", exclude_none=True)


__all__ = ["QUERY", "Native", "RankBoost", "lacks_plugin", "native_boost", "natively", "scripted"]
