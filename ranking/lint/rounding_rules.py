"""Profile rules about float32: what one cast per query node makes disappear.

A float32 has 24 significant bits. The effect of the boost is looked for in the formula itself, in the
arithmetic of the execution that is live (`ranking.formula`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ranking.factors import CategoryWeights, Rule
from ranking.formula import Candidates, final_scores
from ranking.lint.registry import Hit, rule
from ranking.profile import Profile

TYPICAL_REL = (1.0, 50.0)  # BM25 of product queries, fields boosted up to 2
FINEST_DIFFERENCE = 0.01  # of relevance, that a ranking should still see


@rule(
    "relevance-swamped",
    level="profile",
    why="Scores are float32: next to a weight of 262144 the nearest two scores are 0.03 apart, so smaller "
    "differences of relevance are rounded away and the tie-break orders what the query should have.",
    instead="lower `image.weight`: at 3 to 10 the image decides among similar relevances and nothing is lost",
)
def relevance_swamped(profile: Profile) -> Iterator[Hit]:
    """An additive weight so large that differences of relevance vanish below one float32 step."""
    if profile.image.mode != "additive":
        return
    step = float(np.spacing(np.float32(profile.image.weight * profile.image.highest)))
    if step > FINEST_DIFFERENCE:
        yield Hit(
            "image.weight", f"beside {profile.image.weight:g} differences of relevance below {step:g} vanish"
        )


@rule(
    "boost-swamped",
    level="profile",
    why="Below one float32 step (3.8e-6 at a relevance of 50) the boost is rounded away: it costs a full "
    "scoring of every match, 5 to 7 times plain BM25 on head queries, and moves nothing.",
    instead="raise `image.weight`, or write `mode: none`",
)
def boost_swamped(profile: Profile) -> Iterator[Hit]:
    """The best and the worst photo get the same float32 score."""
    if profile.image.mode == "none":
        return
    plain = profile.model_copy(update={"freshness": None, "factors": ()})
    grid = np.linspace(0.0, 1.0, 101, dtype=np.float32)
    for rel in TYPICAL_REL:
        n = len(grid)
        docs = Candidates(np.full(n, rel, dtype=np.float32), grid, np.zeros(n))
        if len(np.unique(final_scores(plain, docs, 0))) == 1:
            yield Hit(
                "image", f"at a relevance of {rel:g} every image score from 0 to 1 gives the same score"
            )
            return


@rule(
    "additive-dwarfs-relevance",
    level="profile",
    severity="warning",
    why="BM25 of product queries is typically 1 to 50. A larger weight sorts by photo, and relevance only "
    "breaks ties.",
    instead="start at 10 to 30 % of the relevance at rank k, and look at `rank-cli apply-boost --dry-run`",
)
def additive_dwarfs_relevance(profile: Profile) -> Iterator[Hit]:
    """An additive weight above any typical relevance."""
    image = profile.image
    if image.mode == "additive" and image.weight * image.highest > TYPICAL_REL[1]:
        yield Hit(
            "image.weight",
            f"up to {image.weight * image.highest:g} points beside a relevance of "
            f"{TYPICAL_REL[0]:g} to {TYPICAL_REL[1]:g}",
        )


@rule(
    "weight-not-float32",
    level="profile",
    severity="info",
    why="In a `function_score` every weight is a float32, in a script a double: 0.1 is 0.10000000149 in the"
    " one. The last bits of the scores then differ between executions of the same profile (our twin "
    "follows both). Weights that become equal, or 0, are a mistake.",
    instead="nothing, if executions are not mixed; else weights such as 0.125, 0.5 or 3",
)
def weight_not_float32(profile: Profile) -> Iterator[Hit]:
    """Under `function_score` a weight is changed by the cast to float32; two become one, or one becomes 0."""
    if profile.execution != "function_score":
        return
    with np.errstate(over="ignore", under="ignore"):
        for group in _weights(profile):
            cast = {key: float(np.float32(weight)) for key, weight in group.items()}
            changed = [key for key, weight in group.items() if cast[key] != weight]
            if changed:
                key = changed[0]
                more = f", as are {len(changed) - 1} more" if len(changed) > 1 else ""
                yield Hit(key, f"{group[key]!r} is {cast[key]!r} as a float32{more}")
            for key in changed:
                if cast[key] == 0:
                    yield Hit(key, f"{group[key]!r} is 0 as a float32", "write 0, or more", "error")
            keys = list(group)
            for i, a in enumerate(keys):
                for b in keys[i + 1 :]:
                    if group[a] != group[b] and cast[a] == cast[b] != 0:
                        why = f"{group[a]!r} and that of {b}, {group[b]!r}, are one float32"
                        yield Hit(a, why, "write weights further apart, or one weight", "error")


def _weights(profile: Profile) -> Iterator[Mapping[str, float]]:
    """Groups of weights that are compared with one another, by key."""
    if profile.image.mode != "none":
        yield {"image.weight": profile.image.weight}
    for i, factor in enumerate(profile.factors):
        key = f"factors[{i}]"
        if isinstance(factor, CategoryWeights):
            of_values = {f"{key}.weights.{value}": weight for value, weight in factor.weights.items()}
            yield {**of_values, f"{key}.default": factor.default}
        elif isinstance(factor, Rule):
            yield {f"{key}.weight": factor.weight}
