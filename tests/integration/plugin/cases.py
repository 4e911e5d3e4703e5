"""Random documents, profiles and queries, and the two bodies of a case: `rank_boost` and `script_score`.

All data here is simulated.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

from elasticsearch.dsl import query as q

from ranking import fields
from ranking.profile import Profile
from ranking.query import boosted
from tests.integration.plugin.nodes import Server

NOW = 1_795_000_000_000
DAY = 86_400_000
WORDS = [f"w{i}" for i in range(40)]
CATEGORIES = ["dress", "shirt", "shoes", "hat", "coat", "bag", "été", "zz top"]
MAPPING: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        "item_id": {"type": "keyword"},
        "title": {"type": "text"},
        "category": {"type": "keyword"},
        "price": {"type": "long"},
        "seller_rating": {"type": "float"},
        "watchers": {"type": "integer", "index": False},
        "depth": {"type": "half_float"},
        "exact": {"type": "double"},
        "image_score": {"type": "float"},
        "ai_generated": {"properties": {"probability": {"type": "float"}}},
        "created_at": {
            "type": "date",
            "format": "strict_date_optional_time||epoch_millis",
            "fields": {"ms": {"type": "long", "index": False, "ignore_malformed": True}},
        },
    },
}


def document(rng: random.Random, i: int, n: int) -> dict[str, Any]:
    """One document; the later of `n`, the younger on the whole."""
    doc: dict[str, Any] = {
        "item_id": f"i{i:07d}",
        "title": " ".join(WORDS[min(int(rng.paretovariate(0.6)) - 1, 39)] for _ in range(rng.randint(1, 9))),
    }
    if rng.random() < 0.85:
        doc["image_score"] = rng.choice([0, 1, 0.5, rng.random(), rng.random(), rng.betavariate(5, 4)])
        if rng.random() < 0.02:
            doc["image_score"] = rng.uniform(1, 4)  # somebody went round the pipeline
        if rng.random() < 0.03:
            doc["image_score"] = [rng.random(), rng.random()]
    if rng.random() < 0.5:
        doc["ai_generated"] = {"probability": rng.choice([0, 1, 0.5, rng.random()])}
    if rng.random() < 0.9:
        doc["created_at"] = _created(rng, i / n)
    if rng.random() < 0.9:
        doc["category"] = rng.choice(CATEGORIES) if rng.random() < 0.9 else rng.sample(CATEGORIES, 2)
    if rng.random() < 0.8:
        doc["price"] = rng.choice([0, 10, 20, rng.randint(0, 5000)])
    if rng.random() < 0.8:
        doc["seller_rating"] = rng.choice([-1, 0, 5, rng.uniform(0, 5)])
    if rng.random() < 0.7:
        doc["watchers"] = rng.choice([0, rng.randint(0, 300), [3, 1, 2]])
    if rng.random() < 0.7:
        doc["depth"] = rng.uniform(0, 100)
        doc["exact"] = rng.uniform(0, 3)
    return doc


def _created(rng: random.Random, place: float) -> int | str:
    kind = rng.random()
    if kind < 0.02:
        return rng.randint(-5 * 365 * DAY, 365 * DAY)  # around 1970
    if kind < 0.04:
        return "2026-11-0" + str(rng.randint(1, 9))
    if kind < 0.07:
        return NOW + rng.randint(0, 40 * DAY)  # the future, and now itself
    if kind < 0.5:
        return NOW - int(rng.expovariate(1 / (30 * DAY)))
    return NOW - int((1 - place) * 120 * DAY) - rng.randint(0, DAY)  # in order of time


def make_index(
    server: Server, name: str, *, docs: int, seed: int, shards: int = 1, replicas: int = 0, batches: int = 5
) -> None:
    """An index of several segments a shard, with deleted and rewritten documents."""
    rng = random.Random(seed)
    settings = {"number_of_shards": shards, "number_of_replicas": replicas, "refresh_interval": "-1"}
    server.do("PUT", f"/{name}", {"settings": settings, "mappings": MAPPING})
    size = -(-docs // batches)
    for start in range(0, docs, size):
        lines: list[dict[str, Any]] = []
        for i in range(start, min(docs, start + size)):
            lines += [{"index": {"_id": str(i)}}, document(rng, i, docs)]
            if len(lines) >= 10_000:
                _bulk(server, name, lines)
                lines = []
        _bulk(server, name, lines)
        server.do("POST", f"/{name}/_refresh")
    changes: list[dict[str, Any]] = []
    for i in rng.sample(range(docs), docs // 12):
        if rng.random() < 0.5:
            changes.append({"delete": {"_id": str(i)}})
        else:
            changes += [{"index": {"_id": str(i)}}, document(rng, i, docs)]
    _bulk(server, name, changes)
    server.do("POST", f"/{name}/_refresh")
    server.do("GET", f"/_cluster/health/{name}?wait_for_status=green&timeout=60s")
    for _ in range(120):  # a merge changes relevance under whoever compares
        if not server.do("GET", f"/{name}/_stats/merge")["_all"]["total"]["merges"]["current"]:
            return
        time.sleep(0.5)


def _bulk(server: Server, name: str, lines: list[dict[str, Any]]) -> None:
    if lines:
        answer = server.do("POST", f"/{name}/_bulk", lines)
        assert not answer["errors"], answer["items"][:3]


def profile(rng: random.Random) -> Profile:
    """A random profile whose formula does something."""
    while True:
        image: dict[str, Any] = {"mode": rng.choice(["none", "additive", "additive", "multiplicative"])}
        if image["mode"] == "additive":
            image["weight"] = rng.choice([0.0, 0.5, 1.5, 3.0, 25.0, rng.uniform(0, 10)])
        elif image["mode"] == "multiplicative":
            image["weight"] = rng.choice([0.0, 0.5, 1.0, rng.random()])
        if image["mode"] != "none":
            image["missing"] = rng.choice([0.0, 0.3, 1.0, rng.random()])
            image["transform"] = transform(rng)
            if rng.random() < 0.4:
                rule = rng.choice(["cap", "neutral"])
                image["ai_generated"] = {"above": rng.choice([0, 0.5, 0.9]), rule: rng.random()}
        data: dict[str, Any] = {"name": "case", "execution": "script_score", "image": image}
        if rng.random() < 0.75:
            data["freshness"] = freshness(rng)
        data["factors"] = [factor(rng) for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3]))]
        made = Profile.model_validate(data)
        if made.image.mode != "none" or made.freshness or made.factors:
            return made


def transform(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(["identity", "identity", "power", "sigmoid", "piecewise"])
    if kind == "power":
        return {"type": kind, "exponent": rng.choice([0.5, 1, 2, 3, rng.uniform(0.01, 20)])}
    if kind == "sigmoid":
        return {"type": kind, "center": rng.random(), "steepness": rng.uniform(0.1, 200)}
    if kind == "piecewise":
        n = rng.randint(2, 6)
        xs = sorted(rng.sample(range(101), n))
        return {
            "type": kind,
            "points": [[x / 100, y] for x, y in zip(xs, sorted(rng.random() for _ in xs), strict=True)],
        }
    return {"type": kind}


def freshness(rng: random.Random) -> dict[str, Any]:
    return {
        "curve": rng.choice(["gauss", "exp", "linear"]),
        "scale": rng.choice(["14d", "36h", "90d", f"{rng.randint(1, 10**10)}ms"]),
        "offset": rng.choice(["0ms", "1d", "12h", f"{rng.randint(0, 10**9)}ms"]),
        "decay": rng.choice([0.5, 0.33, 0.9, rng.uniform(0.01, 0.99)]),
        "missing": rng.choice([1.0, 1.0, 0.0, 0.5, rng.random()]),
    }


def factor(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(["category", "numeric", "rule", "range"])
    if kind == "category":
        chosen = rng.sample([*CATEGORIES, "not there"], rng.randint(1, 6))
        return {
            "type": "category",
            "weights": {value: rng.choice([0, 1, 2.5, rng.uniform(0, 3)]) for value in chosen},
            "default": rng.choice([1.0, 0.0, rng.uniform(0, 2)]),
        }
    if kind == "numeric":
        low = rng.choice([0.0, 0.1, rng.random()])
        return {
            "type": "numeric",
            "field": rng.choice(["seller_rating", "watchers", "depth", "exact", "price"]),
            "modifier": rng.choice(["none", "log1p", "ln1p", "log2p", "sqrt", "square", "reciprocal"]),
            "factor": rng.choice([1.0, 0.2, rng.uniform(0, 3)]),
            "missing": rng.choice([0.0, 1.0, rng.uniform(0, 5)]),
            "min": low,
            "max": low + rng.uniform(0, 3),
        }
    if kind == "rule":
        return {
            "type": "rule",
            "field": "category",
            "any_of": rng.sample(CATEGORIES, rng.randint(1, 3)),
            "weight": rng.choice([0, 1.5, rng.uniform(0, 3)]),
        }
    limits: dict[str, Any] = {"gte": rng.choice([0, 10, 1.5]), "lt": rng.choice([20, 100, 3000])}
    if rng.random() < 0.4:
        del limits[rng.choice(["gte", "lt"])]
    name = rng.choice(["price", "seller_rating", "watchers", "exact"])
    return {"type": "rule", "field": name, "weight": rng.choice([0.0, 1.5, rng.uniform(0, 3)]), **limits}


def relevance(rng: random.Random) -> dict[str, Any]:
    """A random inner query."""
    words = [WORDS[min(int(rng.paretovariate(0.4)) - 1, 39)] for _ in range(rng.randint(1, 4))]
    match = {"match": {"title": {"query": " ".join(words), "operator": rng.choice(["or", "or", "and"])}}}
    term = {"term": {"title": words[0]}}
    kind = rng.randrange(10)
    if kind < 4:
        return match
    if kind == 4:
        return {"bool": {"must": [match], "filter": [{"range": {"price": {"gte": rng.randint(0, 200)}}}]}}
    if kind == 5:
        since = {"range": {"created_at": {"gte": NOW - 30 * DAY, "lte": NOW, "format": "epoch_millis"}}}
        return {"bool": {"must": [match], "filter": [since, {"terms": {"category": CATEGORIES[:4]}}]}}
    if kind == 6:
        phrase = {"match_phrase": {"title": {"query": " ".join(words[:2]), "boost": 2.5}}}
        return {"dis_max": {"queries": [match, phrase], "tie_breaker": rng.choice([0.0, 0.3])}}
    if kind == 7:
        return {"bool": {"must": [term], "should": [match, {"term": {"category": rng.choice(CATEGORIES)}}]}}
    if kind == 8:
        return rng.choice([{"match_all": {}}, {"constant_score": {"filter": term, "boost": 1.7}}])
    return {
        "bool": {
            "must": [match],
            "must_not": [{"range": {"created_at": {"gt": NOW, "format": "epoch_millis"}}}],
        }
    }


def script_score(profile: Profile, inner: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The toolkit's `script_score` of a profile over an inner query."""
    made: dict[str, Any] = boosted(profile, q.Q(inner), now_ms=NOW).to_dict()
    made["script_score"]["query"] = inner
    made["script_score"] |= more
    return made


def rank_boost(profile: Profile, inner: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The same formula as `rank_boost`."""
    body: dict[str, Any] = {"query": inner}
    if profile.image.mode != "none":
        image = profile.image.model_dump(mode="json", exclude_none=True)
        body["image"] = {"field": fields.IMAGE_SCORE, **image}
        if profile.image.ai_generated is not None:
            body["image"]["ai_generated"]["field"] = fields.AI_PROBABILITY
    if profile.freshness is not None:
        fresh = profile.freshness.model_dump(mode="json")
        body["freshness"] = {"field": fields.CREATED_AT, "origin": NOW, **fresh}
    if profile.factors:
        body["factors"] = [factor.model_dump(mode="json", exclude_none=True) for factor in profile.factors]
    return {"rank_boost": {**body, **more}}


def bodies(
    rng: random.Random, profiles: int, queries: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of search bodies whose answers have to be equal: `profiles` times `queries` of them."""
    for _ in range(profiles):
        chosen = profile(rng)
        for _ in range(queries):
            inner = relevance(rng)
            more = {"boost": rng.choice([2.0, 0.7, 0.0])} if rng.random() < 0.2 else {}
            page: dict[str, Any] = {
                "size": rng.choice([1, 10, 50]),
                "track_total_hits": rng.random() < 0.25,
                "_source": False,
                "docvalue_fields": ["item_id"],
            }
            if rng.random() < 0.5:
                page["sort"] = [{"_score": "desc"}, {"item_id": "asc"}]
            if rng.random() < 0.05:
                page["min_score"] = rng.uniform(0, 3)
            wrap = around(rng)
            ours, theirs = (wrap(made(chosen, inner, **more)) for made in (rank_boost, script_score))
            yield {"query": ours, **page}, {"query": theirs, **page}


def around(rng: random.Random) -> Any:
    """What the query stands in: mostly nothing."""
    kind = rng.randrange(12)
    other = {"term": {"title": rng.choice(WORDS[:5])}}
    if kind == 0:
        return lambda query: {"bool": {"must": [query], "filter": [other]}}
    if kind == 1:
        return lambda query: {"bool": {"should": [query, other], "boost": 1.3}}
    if kind == 2:
        return lambda query: {"dis_max": {"queries": [query, other], "tie_breaker": 0.2}}
    if kind == 3:
        return lambda query: {"bool": {"must": [query, other], "must_not": [{"term": {"category": "hat"}}]}}
    return lambda query: query
