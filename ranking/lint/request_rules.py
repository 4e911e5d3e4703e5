"""Body rules about the request: rescore and its window, sort, min_score, and what makes it slow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ranking.lint.body import SCORED, Body
from ranking.lint.registry import Hit, rule

_MAX_WINDOW = 10_000


@rule(
    "rescore-window",
    level="body",
    why="Hits beyond the window keep their first score, and 0 where `query_weight` is 0, so demoted hits "
    "stand above better ones (elasticsearch#75363). The default is 10; it counts per shard; above "
    "10,000 is a 400. A script rescorer ignores it on such pages: of size 203 with window 200, all 203 "
    "were rescored.",
    instead="`window_size` of at least from + size, with room for what the boost lifts",
)
def rescore_window(body: Body) -> Iterator[Hit]:
    """The rescore window is shorter than the page, or longer than the server allows."""
    for rescore, path in body.rescorers:
        window = rescore.get("window_size", 10)
        if not isinstance(window, int):
            continue
        if window < body.page:
            default = "" if "window_size" in rescore else " (the default)"
            yield Hit(f"{path}.window_size", f"{window}{default} for a page that ends at {body.page}")
        elif window > _MAX_WINDOW:
            yield Hit(f"{path}.window_size", f"{window} is above {_MAX_WINDOW}: HTTP 400", "10000 at most")


@rule(
    "rescore-with-sort",
    level="body",
    why="A rescore with any sort but `_score` alone is answered with 400.",
    instead="leave the sort out and break ties on the client, by item_id",
)
def rescore_with_sort(body: Body) -> Iterator[Hit]:
    """A rescore beside a sort."""
    if body.rescorers and not _by_score_only(body.raw.get("sort")):
        yield Hit("sort", "rescore allows no sort but _score")


@rule(
    "min-score-with-rescore",
    level="body",
    why="`min_score` is held against the first-pass score: 137 of 146 hits came back below it after the "
    "rescore.",
    instead="drop hits by score on the client, or put `min_score` into the rescore query's function_score",
)
def min_score_with_rescore(body: Body) -> Iterator[Hit]:
    """`min_score` beside a rescore does not apply to the score that is returned."""
    if body.rescorers and "min_score" in body.raw:
        yield Hit("min_score", f"{body.raw['min_score']!r} applies before the rescore")


@rule(
    "rescore-mode",
    level="body",
    why="With `query_weight` 0, `total` and `max` are bit-identical to the full query; `multiply` and `min`"
    " give 0 and `avg` halves. `multiply` with a factor is a product of two float32: equal to the full "
    "query for 78 %.",
    instead="`query_weight: 0`, the whole formula as rescore_query, and `score_mode: total`",
)
def rescore_mode(body: Body) -> Iterator[Hit]:
    """A rescore whose `score_mode` loses the score, or its last bits."""
    for rescore, path in body.rescorers:
        query = rescore.get("query")
        if not isinstance(query, Mapping):
            continue
        mode, weight = query.get("score_mode", "total"), query.get("query_weight", 1)
        if weight == 0 and mode in {"multiply", "min"}:
            yield Hit(f"{path}.query.score_mode", f"{mode} with query_weight 0 makes every score 0")
        elif weight == 0 and mode == "avg":
            yield Hit(
                f"{path}.query.score_mode", "avg with query_weight 0 halves every score", None, "warning"
            )
        elif mode == "multiply":
            why = "the product is rounded twice, unlike the full query"
            yield Hit(f"{path}.query.score_mode", why, None, "warning")


@rule(
    "sort-without-score",
    level="body",
    severity="warning",
    why="With a sort that has no `_score`, `_score` is null and the boost is computed for nothing.",
    instead='`"sort": [{"_score": "desc"}, {"item_id": "asc"}]`',
)
def sort_without_score(body: Body) -> Iterator[Hit]:
    """A boosted query is sorted by something else."""
    sort = body.raw.get("sort")
    if sort and _boosts(body) and not body.raw.get("track_scores"):
        keys = [_sort_key(entry) for entry in (sort if isinstance(sort, list) else [sort])]
        if "_score" not in keys:
            yield Hit("sort", f"sorted by {', '.join(keys)}, so no score is computed")


@rule(
    "no-tie-break",
    level="body",
    severity="info",
    why="Equal scores come in shard and Lucene document order, which differs between replicas and after "
    "merges. The sort costs 8 to 20 % and keeps block-max skipping.",
    instead='`"sort": [{"_score": "desc"}, {"item_id": "asc"}]`',
)
def no_tie_break(body: Body) -> Iterator[Hit]:
    """A page ranked by score alone, whose ties no log can explain."""
    if body.raw.get("query") and _by_score_only(body.raw.get("sort")) and body.page and not body.rescorers:
        yield Hit("sort", "ties are broken by where a document happens to lie")


@rule(
    "forbids-skipping",
    level="body",
    severity="info",
    why="Any aggregation or `track_total_hits: true` makes the server visit every match: 156,905 documents "
    "where 532 were enough. A function_score or script_score does so by itself.",
    instead="`track_total_hits: false`, and aggregations in a request of their own",
)
def forbids_skipping(body: Body) -> Iterator[Hit]:
    """A plain query could skip most of its matches, but a count or an aggregation forbids it."""
    if not body.raw.get("query") or _boosts(body):
        return
    for key in ("aggs", "aggregations"):
        if body.raw.get(key):
            yield Hit(key, "an aggregation visits every match")
    if body.raw.get("track_total_hits") is True:
        yield Hit("track_total_hits", "an exact count visits every match")


@rule(
    "explain-cost",
    level="body",
    severity="warning",
    why="`explain: true` costs 1.3 to 2.5 times the search, and its products are rounded once more than the"
    " score, so they differ in the last bit. It is for looking at one page, not for serving or logging.",
    instead="name the base query, and read doc values: `include_named_queries_score` is free within noise",
)
def explain_cost(body: Body) -> Iterator[Hit]:
    """The request asks for an explanation of every hit."""
    if body.raw.get("explain") is True:
        yield Hit("explain", f"an explanation of each of {body.page} hits")


@rule(
    "named-scores-in-body",
    level="body",
    why="`include_named_queries_score` is a URL parameter: 400 in the body, and in the header line of an "
    "msearch.",
    instead="`_search?include_named_queries_score=true`",
)
def named_scores_in_body(body: Body) -> Iterator[Hit]:
    """`include_named_queries_score` stands in the body."""
    if "include_named_queries_score" in body.raw:
        yield Hit("include_named_queries_score", "the server refuses it here")


def _boosts(body: Body) -> bool:
    return any(clause.kind in SCORED and clause.role == "scoring" for clause in body.clauses)


def _sort_key(entry: Any) -> str:
    return str(next(iter(entry), "")) if isinstance(entry, Mapping) else str(entry)


def _by_score_only(sort: Any) -> bool:
    entries = sort if isinstance(sort, list) else [sort] if sort else []
    return all(_sort_key(entry) == "_score" for entry in entries)
