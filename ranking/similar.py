"""Items that look like an item: nearest neighbours of its image embedding, by kNN in Elasticsearch.

    similarity = (1 + cosine) / 2                               as the server scores it, in [0, 1]
    score      = similarity * (1 - w + w * image)               with w the image weight, 0 by default
    image      = image_score, or `missing` where unscored; with a profile, its image term: transform and the
                 rule for AI-generated photos, as in a search under it

With a weight, a window of the nearest candidates is read and ordered again here. No item outside it is more
similar than the window's last, and image is at most 1, so what scores at least that similarity could not be
pushed out by any of them: the window is doubled until that holds for the whole list. The list is then that
of the candidates the search finds; HNSW itself may miss some, `exact` does not.

Embeddings of two towers have nothing to do with each other, so only items with the same
`image_embedding_version` are compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from elasticsearch import Elasticsearch

from ranking import fields
from ranking.errors import InputError
from ranking.es import check_complete, server_errors
from ranking.image import ImageBoost

MAX_WINDOW: Final = 10_000  # k and num_candidates of one kNN search
_OVERSAMPLE: Final = 3.0  # quantised neighbours are scored again from the stored vectors
_READ: Final[tuple[str, ...]] = (
    fields.ITEM_ID,
    fields.CATEGORY,
    fields.PRICE,
    fields.STATUS,
    fields.IMAGE_SCORE,
    fields.AI_PROBABILITY,
    fields.IMAGE_EMBEDDING_VERSION,
)


@dataclass(frozen=True, slots=True)
class SimilarItem:
    """One neighbour and how its score came about."""

    rank: int
    item_id: str
    score: float
    similarity: float  # (1 + cosine) / 2
    image: float | None  # image term; None without a weight
    image_score: float | None
    ai_probability: float | None  # that the photo was generated; None where nothing is known
    rank_by_similarity: int
    title: str | None
    category: str | None
    price: float | None


@dataclass(frozen=True, slots=True)
class SimilarPage:
    """The neighbours of one item, best first; ties by item_id."""

    item_id: str
    title: str | None
    embedding_version: str | None
    items: tuple[SimilarItem, ...]
    window: int  # candidates that were ordered
    took_ms: int  # of the server, all windows


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarQuery:
    """What is asked for."""

    size: int = 10
    image_weight: float = 0.0  # w, in [0, 1]
    missing: float = 0.5  # image score of an unscored item, without a `boost`
    boost: ImageBoost | None = None  # of a profile: says what a photo counts; its mode and weight do not
    on_sale: bool = True  # leave out what is sold or deleted
    same_category: bool = False
    exact: bool = False  # score every item, in place of HNSW
    candidates: int = 0  # looked at on each shard; 0: ten times the window, at least 100

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 1000:
            raise ValueError(f"size must be in [1, 1000], got {self.size}")
        for name in ("image_weight", "missing"):
            if not 0 <= getattr(self, name) <= 1:  # NaN too
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if not 0 <= self.candidates <= MAX_WINDOW:
            raise ValueError(f"candidates must be in [0, {MAX_WINDOW}], got {self.candidates}")


def find_similar(
    es: Elasticsearch, index: str, item_id: str, query: SimilarQuery | None = None
) -> SimilarPage:
    """The items most like one item of the index.

    Raises:
        InputError: the index has no such item, or the item has no embedding.
        ServerError: the server refused, or is not there.
    """
    query = query or SimilarQuery()
    source = _source_item(es, index, item_id)
    vector = source["fields"][fields.IMAGE_EMBEDDING]
    wanted = filters(source, query)
    window = query.size if query.image_weight == 0 else max(50, 5 * query.size)
    took = 0
    while True:
        body = search_body(vector, wanted, query, window)
        with server_errors(f"similar items in {index}"):
            answer = es.search(index=index, **body)
        check_complete(answer.body)
        took += int(answer["took"])
        hits = answer["hits"]["hits"]
        ranked = _rank([_candidate(hit) for hit in hits], query)
        page = ranked[: query.size]
        floor = min((item.similarity for item in ranked), default=0.0)
        settled = len(hits) < window or all(item.score >= floor for item in page)
        if query.image_weight == 0 or settled or window >= MAX_WINDOW:
            break
        window = min(2 * window, MAX_WINDOW)
    return SimilarPage(
        item_id=item_id,
        title=_text(source),
        embedding_version=_first(source, fields.IMAGE_EMBEDDING_VERSION),
        items=tuple(page),
        window=len(hits),
        took_ms=took,
    )


def filters(source: Mapping[str, Any], query: SimilarQuery) -> list[dict[str, Any]]:
    """What a neighbour must be: another item, of the same tower, on sale."""
    wanted: list[dict[str, Any]] = [
        {"bool": {"must_not": {"term": {fields.ITEM_ID: _first(source, fields.ITEM_ID)}}}}
    ]
    version = _first(source, fields.IMAGE_EMBEDDING_VERSION)
    if version is not None:
        wanted.append({"term": {fields.IMAGE_EMBEDDING_VERSION: version}})
    if query.on_sale:
        wanted.append({"term": {fields.STATUS: fields.ON_SALE}})
    if query.same_category and (category := _first(source, fields.CATEGORY)) is not None:
        wanted.append({"term": {fields.CATEGORY: category}})
    return wanted


def search_body(
    vector: Sequence[float], wanted: Sequence[Mapping[str, Any]], query: SimilarQuery, window: int
) -> dict[str, Any]:
    """The request for the nearest `window` items."""
    base: dict[str, Any] = {
        "size": window,
        "source_includes": [fields.TITLE],
        "docvalue_fields": list(_READ),
        "track_total_hits": False,
    }
    if query.exact:
        script = {
            "source": f"(1.0 + cosineSimilarity(params.v, '{fields.IMAGE_EMBEDDING}')) / 2.0",
            "params": {"v": list(vector)},
        }
        has_one = {"exists": {"field": fields.IMAGE_EMBEDDING}}
        inner = {"bool": {"filter": [*wanted, has_one]}}
        return base | {"query": {"script_score": {"query": inner, "script": script}}}
    candidates = min(MAX_WINDOW, max(query.candidates or 10 * window, 100, window))
    return base | {
        "knn": {
            "field": fields.IMAGE_EMBEDDING,
            "query_vector": list(vector),
            "k": window,
            "num_candidates": candidates,
            "filter": list(wanted),
            "rescore_vector": {"oversample": _OVERSAMPLE},
        }
    }


def _source_item(es: Elasticsearch, index: str, item_id: str) -> dict[str, Any]:
    with server_errors(f"looking for item {item_id!r} in {index}"):
        answer = es.search(
            index=index,
            query={"term": {fields.ITEM_ID: item_id}},
            size=1,
            source_includes=[fields.TITLE],
            docvalue_fields=[{"field": name} for name in _READ],
            fields=[{"field": fields.IMAGE_EMBEDDING}],
        )
    check_complete(answer.body)
    hits = answer["hits"]["hits"]
    if not hits:
        raise InputError(
            f"{index} has no item {item_id!r}", hint="item ids are what `rank-cli search` prints"
        )
    hit: dict[str, Any] = hits[0]
    if not hit.get("fields", {}).get(fields.IMAGE_EMBEDDING):
        raise InputError(
            f"item {item_id!r} has no image embedding",
            hint=f"run `rank-cli scorer embed --index {index}`; it fills in those that are missing",
        )
    return hit


def _candidate(hit: Mapping[str, Any]) -> SimilarItem:
    image_score, ai_probability = _first(hit, fields.IMAGE_SCORE), _first(hit, fields.AI_PROBABILITY)
    return SimilarItem(
        rank=0,
        item_id=str(_first(hit, fields.ITEM_ID)),
        score=float(hit["_score"]),
        similarity=float(hit["_score"]),
        image=None,
        image_score=None if image_score is None else float(image_score),
        ai_probability=None if ai_probability is None else float(ai_probability),
        rank_by_similarity=0,
        title=_text(hit),
        category=_first(hit, fields.CATEGORY),
        price=_first(hit, fields.PRICE),
    )


def _rank(found: Sequence[SimilarItem], query: SimilarQuery) -> list[SimilarItem]:
    nearest = sorted(found, key=lambda item: (-item.similarity, item.item_id))
    boost = query.boost or ImageBoost(missing=query.missing)
    images = boost.image(
        np.array([math.nan if item.image_score is None else item.image_score for item in nearest]),
        np.array([math.nan if item.ai_probability is None else item.ai_probability for item in nearest]),
    )
    scored = []
    w = query.image_weight
    for position, (item, image) in enumerate(zip(nearest, images.tolist(), strict=True), 1):
        score = item.similarity * (1.0 - w + w * image) if w else item.similarity
        scored.append(replace(item, score=score, image=image if w else None, rank_by_similarity=position))
    ordered = sorted(scored, key=lambda item: (-item.score, item.item_id))
    return [replace(item, rank=rank) for rank, item in enumerate(ordered, 1)]


def _first(hit: Mapping[str, Any], name: str) -> Any:
    values = hit.get("fields", {}).get(name)
    return values[0] if values else None


def _text(hit: Mapping[str, Any]) -> str | None:
    title = hit.get("_source", {}).get(fields.TITLE)
    return None if title is None else str(title)


__all__ = ["MAX_WINDOW", "SimilarItem", "SimilarPage", "SimilarQuery", "find_similar", "search_body"]
