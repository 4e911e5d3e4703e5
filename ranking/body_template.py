"""A published profile as a search body with two placeholders, for services in any language.

The values `"${text}"` and `"${now_ms}"` stand for what the user typed and for the clock; a service replaces
the whole value, so that nothing is ever spliced into a string. `fill_body` is that replacement in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ranking.errors import InputError
from ranking.profile import Profile
from ranking.query import search_body
from ranking.stored import resolved

TEXT, CLOCK = "${text}", "${now_ms}"
_TEXT = "\ue000text\ue000"  # private-use characters
_CLOCK = 9_007_199_254_740_881


def body_templates(profile: Profile) -> dict[str, dict[str, Any]]:
    """The body template of every platform, `default` for those without override.

    The native query's for `execution: plugin`; `ranking.native.scripted` gives the profile whose templates
    run the script.
    """
    return {platform: body_template(one) for platform, one in resolved(profile).items()}


def body_template(profile: Profile) -> dict[str, Any]:
    """The search body of a profile resolved for its platform, running its stored script if it has one.

    Raises:
        InputError: the profile itself has a placeholder as a value.
    """
    body = search_body(profile, _TEXT, now_ms=_CLOCK, scripts="published")
    if _replace(body, {TEXT: "", CLOCK: ""}) != body:
        raise InputError(
            f"{profile.name} has the value {TEXT} or {CLOCK}, which stand for the request's own",
            hint="write another value",
        )
    return dict(_replace(body, {_TEXT: TEXT, _CLOCK: CLOCK}))


def fill_body(template: Mapping[str, Any], text: str, now_ms: int) -> dict[str, Any]:
    """The search body of one request."""
    return dict(_replace(template, {TEXT: text, CLOCK: now_ms}))


def _replace(node: Any, values: Mapping[Any, Any]) -> Any:
    if isinstance(node, Mapping):
        return {key: _replace(value, values) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_replace(value, values) for value in node]
    return values.get(node, node) if isinstance(node, str | int) and not isinstance(node, bool) else node
