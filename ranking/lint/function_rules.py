"""Body rules about functions: weights, modes, `field_value_factor`, and what their names report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ranking.lint.body import Body, Function
from ranking.lint.registry import Hit, rule


@rule(
    "single-function-score-mode",
    level="body",
    why="Exactly one function without a filter: `score_mode` is ignored, so `avg` does not divide by the "
    "weight (36,862 of 36,862 differences in 1.2 million comparisons came from this). With a filter the"
    " mode counts.",
    instead="leave `score_mode` out, and write the weight that is meant",
)
def single_function_score_mode(body: Body) -> Iterator[Hit]:
    """A function_score with one unfiltered function names a `score_mode`, which the server ignores."""
    for clause in body.clauses:
        if clause.kind != "function_score" or "score_mode" not in clause.body:
            continue
        functions = body.functions_of(clause)
        if len(functions) == 1 and not functions[0].has_filter:
            mode, weight = clause.body["score_mode"], functions[0].weight
            if mode == "avg" and weight != 1:
                yield Hit(clause.path, f"avg will not divide by the weight {weight:g}")
            else:
                yield Hit(clause.path, f"score_mode {mode!r} has no effect on one function", None, "info")


@rule(
    "negative-weight",
    level="body",
    why="The server answers 400 for a negative function weight and for a negative boost.",
    instead="use a weight between 0 and 1 to demote, or the `boosting` query",
)
def negative_weight(body: Body) -> Iterator[Hit]:
    """A weight or a boost below 0."""
    for function in body.functions:
        if function.weight < 0:
            yield Hit(f"{function.path}.weight", f"the weight is {function.weight:g}")
    for clause in body.clauses:
        if isinstance(clause.boost, int | float) and clause.boost < 0:
            yield Hit(f"{clause.path}.boost", f"the boost is {clause.boost:g}")


@rule(
    "fvf-without-missing",
    level="body",
    why="One document without the field and the whole shard's search is answered with 400.",
    instead="write `missing`; it goes through `factor` and `modifier` like any other value",
)
def fvf_without_missing(body: Body) -> Iterator[Hit]:
    """A field_value_factor has no `missing`."""
    for _, settings, path in _factors(body):
        if "missing" not in settings:
            yield Hit(path, f"a document without {settings.get('field')} fails the search")


@rule(
    "fvf-modifier-range",
    level="body",
    why="`log` and `ln` are negative for values below 1 and minus infinity at 0: HTTP 400. `log1p`, `ln1p`,"
    " `log2p` and `ln2p` are not. `reciprocal` of 0 is Infinity, cut to 3.4e38, the default of "
    "`max_boost`: above every other score, and tied.",
    instead="use `log1p` or `log2p` (base 10), or `ln1p` or `ln2p`",
)
def fvf_modifier_range(body: Body) -> Iterator[Hit]:
    """A field_value_factor's modifier leaves the range of a score for small values."""
    for _, settings, path in _factors(body):
        modifier = settings.get("modifier")
        if modifier in {"log", "ln"}:
            yield Hit(path, f"{modifier} of a value below 1 is negative")
        elif modifier == "reciprocal" and settings.get("missing") == 0:
            yield Hit(path, "reciprocal of the missing value 0 is the largest float there is")


@rule(
    "max-boost-misuse",
    level="body",
    severity="warning",
    why="`max_boost` caps the functions' combined factor before it meets the query's score, not the score; "
    "and the values that named functions report are not capped. It makes no search faster: no bound "
    "reaches Lucene.",
    instead="put the cap into the function that needs it",
)
def max_boost_misuse(body: Body) -> Iterator[Hit]:
    """A `max_boost` that caps nothing, caps always, or is not seen by a named function."""
    for clause in body.clauses:
        cap = clause.body.get("max_boost")
        if clause.kind != "function_score" or not isinstance(cap, int | float):
            continue
        functions = body.functions_of(clause)
        constant = [f.weight for f in functions if set(f.entry) <= {"weight", "filter", "_name"}]
        where = f"{clause.path}.max_boost"
        if cap <= 0:
            yield Hit(where, f"every factor is at most {cap:g}, and so every score is", None, "error")
        elif not functions:
            yield Hit(where, "there is no function to cap")
        elif any(weight > cap for weight in constant):
            yield Hit(where, f"a constant weight of {max(constant):g} is always cut to {cap:g}")
        elif any("_name" in function.entry for function in functions):
            yield Hit(where, "a named function reports its value before the cap")


@rule(
    "named-function-reads-score",
    level="body",
    why="The value reported for a named function that reads `_score` is computed with `_score` = 1: equal "
    "to the value used for 0 % of the hits.",
    instead="name the base query and recompute the function from its score and the doc values",
)
def named_function_reads_score(body: Body) -> Iterator[Hit]:
    """A named function's script reads `_score`."""
    named = {f.path: f for f in body.functions if isinstance(f.entry.get("_name"), str)}
    for script in body.scripts:
        path = script.path.removesuffix(".script_score.script")
        if script.use == "function" and path in named and "_score" in (script.source or ""):
            name = named[path].entry["_name"]
            yield Hit(path, f"the value reported as {name!r} is not the one used")


@rule(
    "unseeded-random",
    level="body",
    why="Without `seed` and `field` each request draws anew, and no log can say what was drawn. "
    "`Math.random()` in a script is the same.",
    instead="`random_score` with a logged `seed` and a doc-values `field` such as item_id",
)
def unseeded_random(body: Body) -> Iterator[Hit]:
    """A score that depends on an unrecorded random number."""
    for function in body.functions:
        settings = function.entry.get("random_score")
        if settings is not None and not (isinstance(settings, dict) and {"seed", "field"} <= set(settings)):
            yield Hit(f"{function.path}.random_score", "seed and field are not both given")
    for script in body.scripts:
        if script.source is not None and ("Math.random" in script.source or "new Random()" in script.source):
            yield Hit(script.path, "the script draws a random number")


def _factors(body: Body) -> Iterator[tuple[Function, dict[str, Any], str]]:
    for function in body.functions:
        settings = function.entry.get("field_value_factor")
        if isinstance(settings, dict):
            yield function, settings, f"{function.path}.field_value_factor"
