"""Rules about the native query `rank_boost`: its clock, and whether the cluster runs it at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ranking.lint.body import Body
from ranking.lint.mapping import LiveIndex
from ranking.lint.registry import Hit, rule

_YEAR_1973_MS = 100_000_000_000


@rule(
    "native-origin",
    level="body",
    why="The native query takes one form of a clock, a whole number of epoch milliseconds, and answers 400 "
    "to any other. A number of seconds is a moment in January 1970, and every item decays to 0.",
    instead="resolve the clock once (now_ms) and send it as an integer",
)
def native_origin(body: Body) -> Iterator[Hit]:
    """The freshness of a rank_boost has no origin, or one that is not epoch milliseconds."""
    for clause in body.clauses:
        freshness = clause.body.get("freshness")
        if clause.kind != "rank_boost" or not isinstance(freshness, Mapping):
            continue
        path, origin = f"{clause.path}.freshness.origin", freshness.get("origin")
        if origin is None:
            yield Hit(path, "there is no origin")
        elif isinstance(origin, bool) or not isinstance(origin, int):
            yield Hit(path, f"origin is {origin!r}")
        elif 0 < origin < _YEAR_1973_MS:
            yield Hit(path, f"origin {origin} is a moment before 1973", None, "warning")


@rule(
    "native-missing",
    level="live",
    severity="warning",
    why="A node without the rank-boost plugin refuses the query, so the profile is served by its script: the "
    "same scores, at the cost of scoring every match.",
    instead="install it on every node (`rank-cli plugin status`, plugin/README.md), then publish again",
)
def native_missing(live: LiveIndex) -> Iterator[Hit]:
    """The profile runs as `plugin`, and not every node has the plugin, or not in one version."""
    if live.profile is not None and live.profile.execution == "plugin" and live.native is False:
        yield Hit("execution", "rank_boost is not there in one version on every node")
