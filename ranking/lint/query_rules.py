"""Body rules about clauses: boosts in the wrong place, names that mislead, rank_feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ranking.lint.body import SCORED, Body, Clause
from ranking.lint.registry import Hit, rule

_INNER = "put the boost on the inner `match`, or a weight into the function"


@rule(
    "boost-on-function-score",
    level="body",
    why="The server pushes `boost` down into the query before the functions: with `boost_mode: sum` the "
    "score is boost * rel + f, not boost * (rel + f), and with `replace` it is nothing. It goes into "
    "the BM25 weight, so f32(rel * boost) is the score for only 59 % of the hits.",
    instead=_INNER,
)
def boost_on_function_score(body: Body) -> Iterator[Hit]:
    """A function_score has a `boost` of its own."""
    for clause in body.clauses:
        if clause.kind == "function_score" and _boosted(clause):
            mode = clause.body.get("boost_mode", "multiply")
            yield Hit(
                f"{clause.path}.boost", f"{clause.boost!r} multiplies relevance only (boost_mode {mode})"
            )


@rule(
    "boost-on-script-score",
    level="body",
    severity="warning",
    why="A script_score multiplies the script's float32 result by `boost`: a second rounding, and the "
    "opposite of a function_score, which boosts the relevance. Inside a function_score both boosts are "
    "multiplied first.",
    instead="multiply in the script, with a parameter",
)
def boost_on_script_score(body: Body) -> Iterator[Hit]:
    """A script_score, or a rank_boost, which does as it does, has a `boost` of its own."""
    for clause in body.clauses:
        if clause.kind in {"script_score", "rank_boost"} and _boosted(clause):
            yield Hit(f"{clause.path}.boost", f"{clause.boost!r} multiplies the rounded result")


@rule(
    "enclosing-boost",
    level="body",
    why="A boost on an enclosing query is not in the named score of the inner one, and goes into the "
    "weights of what it encloses: the logged relevance is then not the relevance that was used.",
    instead=_INNER,
)
def enclosing_boost(body: Body) -> Iterator[Hit]:
    """A compound query with a `boost` encloses a function_score, script_score or rank_boost."""
    seen = set()
    for clause in body.clauses:
        if clause.kind in SCORED and clause.role == "scoring":
            for outer in clause.above:
                if outer.kind not in SCORED and _boosted(outer) and outer.path not in seen:
                    seen.add(outer.path)
                    yield Hit(f"{outer.path}.boost", f"{outer.boost!r} also acts on {clause.path}")


@rule(
    "duplicate-name",
    level="body",
    why="Two queries of one name: some hits came back with no `matched_queries` at all.",
    instead="give each its own name",
)
def duplicate_name(body: Body) -> Iterator[Hit]:
    """The same `_name` stands twice."""
    count = Counter(name for name, _ in body.names)
    for name, n in count.items():
        if n > 1:
            paths = [path for found, path in body.names if found == name]
            yield Hit(paths[1], f"{name!r} is also the name of {paths[0]}")


@rule(
    "name-not-scoring",
    level="body",
    severity="warning",
    why="A named clause in filter context reports a BM25 score that was not used; in `must_not` it never "
    "appears; inside a function's filter it reports the function's value.",
    instead="name the scoring query; read filters from doc values",
)
def name_not_scoring(body: Body) -> Iterator[Hit]:
    """A `_name` in filter or must_not context, whose score means nothing."""
    roles = {clause.path: clause.role for clause in body.clauses}
    for name, path in body.names:
        role = roles.get(path, "scoring")
        if role != "scoring":
            yield Hit(path, f"the score reported as {name!r} is not part of the hit's ({role} context)")


@rule(
    "rank-feature-precision",
    level="body",
    severity="warning",
    why="rank_feature keeps 9 significant bits, an error up to 0.4 %: 0.43122 and 0.43133 tie "
    "(elasticsearch#68626). It refuses 0, can only be added to relevance, and needs the module mapper-"
    "extras.",
    instead="a float with doc values: `field_value_factor`, or a script",
)
def rank_feature_precision(body: Body) -> Iterator[Hit]:
    """An image score or another fine-grained number is read through rank_feature."""
    for clause in body.clauses:
        if clause.kind == "rank_feature":
            yield Hit(clause.path, f"{clause.body.get('field')} is known to 9 bits only")


def _boosted(clause: Clause) -> bool:
    return bool(clause.boost != 1)
