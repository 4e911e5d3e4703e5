"""Profile rules about the rest of a profile: window, conditions, field names, suppressions."""

from __future__ import annotations

from collections.abc import Iterator

from ranking import fields
from ranking.factors import CategoryWeights, NumericFactor
from ranking.lint.registry import RULES, Hit, rule
from ranking.profile import Profile

_KNOWN = {value for name, value in vars(fields).items() if name.isupper() and isinstance(value, str)}


@rule(
    "window-shorter-than-k",
    level="profile",
    why="A capture keeps the window; a page longer than it cannot be replayed, and nothing is proven to k.",
    instead="raise `window` to at least k; 500 for a k of 50 proves most additive rankings",
)
def window_shorter_than_k(profile: Profile) -> Iterator[Hit]:
    """The window holds fewer documents than the page."""
    if profile.window < profile.k:
        yield Hit("window", f"window {profile.window} is smaller than k {profile.k}")


@rule(
    "rule-never-applies",
    level="profile",
    why="A condition that no document can meet is a typing error that no server reports.",
    instead="write `gte` below `lt`; a weight of 1 or an empty effect is better left out",
)
def rule_never_applies(profile: Profile) -> Iterator[Hit]:
    """A factor without effect: an empty range, or weights that are all 1."""
    for i, factor in enumerate(profile.factors):
        if isinstance(factor, CategoryWeights):
            if {factor.default, *factor.weights.values()} == {1.0}:
                yield Hit(f"factors[{i}]", "every weight is 1", None, "warning")
        elif isinstance(factor, NumericFactor):
            if factor.min == factor.max:
                yield Hit(f"factors[{i}]", f"min and max are both {factor.max:g}", None, "warning")
        elif factor.gte is not None and factor.lt is not None and factor.gte >= factor.lt:
            yield Hit(f"factors[{i}]", f"no number is >= {factor.gte:g} and < {factor.lt:g}")
        elif factor.weight == 1:
            yield Hit(f"factors[{i}].weight", "a weight of 1 changes nothing", None, "warning")


@rule(
    "factor-field-unknown",
    level="profile",
    severity="warning",
    why="A `field_value_factor` with `missing`, a `terms` or a `range` on a field that the index does not "
    "map is no error: every document silently gets the default. Scripts answer 400. `boost lint "
    "--index` looks.",
    instead="check the name with `rank-cli boost lint PROFILE --index NAME`, then suppress this",
)
def factor_field_unknown(profile: Profile) -> Iterator[Hit]:
    """A factor reads a field that is none of the toolkit's: its default would hide a typing error."""
    for i, factor in enumerate(profile.factors):
        known = factor.field in _KNOWN or factor.field.startswith(f"{fields.IMAGE_ATTRIBUTES}.")
        if not known:
            default = f"missing: {factor.missing:g}" if isinstance(factor, NumericFactor) else "the default"
            yield Hit(f"factors[{i}].field", f"{factor.field} may be a typing error that {default} hides")


@rule(
    "unknown-rule",
    level="profile",
    severity="warning",
    why="A suppression that names no rule suppresses nothing.",
    instead="`rank-cli boost lint --rules` lists the names",
)
def unknown_rule(profile: Profile) -> Iterator[Hit]:
    """`lint_ignore` names a rule that does not exist."""
    for name in profile.lint_ignore:
        if name not in RULES:
            yield Hit("lint_ignore", f"no rule is called {name!r}")
