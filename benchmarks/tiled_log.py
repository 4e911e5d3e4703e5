"""A capture folder of any size in seconds: one block of searches, scored once, written again and again.

Blocks differ in their search ids and days; everything else repeats, so that the size of a log can be had
without the time to compute it. The files are what `write_captures` writes: the same columns, types and codec.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ranking.capture import ITEM_COLUMNS, SCHEMA_VERSION, SEARCH_SCHEMA
from ranking.clock import DAY_MS
from ranking.formula import Candidates, final_scores
from ranking.profile import Profile

NOW = 1_795_000_000_000
N_QUERIES = 500


@dataclass(frozen=True, slots=True)
class Block:
    """Searches of one part file, without their ids."""

    table: pa.Table  # every column of SEARCH_SCHEMA
    judgments: list[tuple[str, str, float]]  # query, item id, grade: simulated


def block(profile: Profile, n_searches: int, *, width: int = 200, k: int = 50, seed: int = 0) -> Block:
    """Searches with `width` candidates each, served by `profile`.

    A query has its own pool of three times `width` items, so that items repeat between searches as they do
    in a market; image scores and dates belong to the item, relevance to query and item.
    """
    rng = np.random.default_rng(seed)
    pool = 3 * width
    n_items = N_QUERIES * pool
    image = rng.beta(5, 4, n_items).astype(np.float32)
    image[rng.random(n_items) < 0.05] = np.nan
    created = np.round(NOW - 30 * DAY_MS * rng.exponential(1, n_items))
    rel = rng.gamma(4, size=n_items).astype(np.float32)
    ai = np.where(rng.random(n_items) < 0.2, rng.random(n_items), np.nan).astype(np.float32)
    query = rng.integers(0, N_QUERIES, n_searches)
    chosen = np.argsort(rng.random((n_searches, pool)), axis=1)[:, :width] + query[:, None] * pool
    chosen = np.take_along_axis(chosen, np.argsort(-rel[chosen], axis=1, kind="stable"), axis=1)
    now_ms = NOW + rng.integers(0, DAY_MS // 2, n_searches)
    flat = chosen.ravel()
    docs = Candidates(rel[flat], image[flat], created[flat], ai[flat])
    scores = final_scores(profile, docs, np.repeat(now_ms, width)).reshape(n_searches, width)
    names = np.char.add("i", np.char.zfill(np.arange(n_items).astype(str), 9))
    order = np.lexsort((chosen, -scores), axis=1)  # ids are in the order of their numbers
    rank = np.zeros((n_searches, width), dtype=np.int32)
    np.put_along_axis(rank, order[:, :k], np.arange(1, k + 1, dtype=np.int32)[None, :], axis=1)
    served = rank.ravel() > 0
    values = {
        "item_id": pa.array(names[flat]).cast(pa.string()),
        "rel": pa.array(rel[flat]),
        "rank": pa.array(rank.ravel(), mask=~served),
        "score": pa.array(scores.ravel(), mask=~served),
        "image_score": pa.array(image[flat], mask=np.isnan(image[flat])),
        "created_ms": pa.array(created[flat].astype(np.int64)),
        "category": pa.array(np.array(["dress", "hat", "shoes", "shirt"])[flat % 4]),
        "price": pa.array((flat * 7919 % 30_000).astype(np.float64)),
        "ai_prob": pa.array(ai[flat], mask=np.isnan(ai[flat])),
    }
    offsets = pa.array(np.arange(n_searches + 1, dtype=np.int32) * width)
    texts = np.char.add("query ", np.arange(N_QUERIES).astype(str))
    platform = np.array(["web", "ios", "android"], dtype=object)[rng.integers(0, 3, n_searches)]
    scalars = {
        "schema_version": np.full(n_searches, SCHEMA_VERSION),
        "search_id": np.full(n_searches, ""),
        "query": texts[query],
        "now_ms": now_ms,
        "platform": platform,
        "filters": np.full(n_searches, "{}"),
        "index": np.full(n_searches, "items"),
        "profile": np.full(n_searches, profile.name),
        "profile_hash": np.full(n_searches, profile.hash),
        "k": np.full(n_searches, k),
        "total_hits": np.full(n_searches, 5_000),
        "window": np.full(n_searches, width),
        "rel_floor": rel[chosen].min(axis=1),
        "n_shards": np.ones(n_searches),
        "took_ms": rng.integers(1, 40, n_searches),
    }
    columns = [
        pa.ListArray.from_arrays(offsets, values[name])
        if name in ITEM_COLUMNS
        else pa.array(scalars[name]).cast(field_type)
        if name in scalars
        else pa.nulls(n_searches, field_type)
        for name, field_type in zip(SEARCH_SCHEMA.names, SEARCH_SCHEMA.types, strict=True)
    ]
    seen = np.unique(flat)
    best = rel[seen] + 3 * np.nan_to_num(image[seen]) + rng.normal(0, 1, len(seen))
    grades = np.clip(np.round(best - 4), 0, 4)
    judged = rng.random(len(seen)) < 0.3
    judgments = [
        (str(texts[item // pool]), str(names[item]), float(grade))
        for item, grade in zip(seen[judged], grades[judged], strict=True)
    ]
    return Block(pa.table(columns, schema=SEARCH_SCHEMA), judgments)


def write(folder: Path, tile: Block, profile: Profile, n_blocks: int) -> int:
    """Write `n_blocks` parts over 20 days; returns how many searches."""
    n = tile.table.num_rows
    for i in range(n_blocks):
        ids = pa.array([f"{i:08x}{j:024x}" for j in range(n)])
        at = tile.table.schema.get_field_index("search_id")
        table = tile.table.set_column(at, "search_id", ids)
        day = folder / "searches" / f"day=2026-11-{1 + i % 20:02d}"
        day.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, day / f"part-{i:06d}.parquet", compression="zstd")
    (folder / "profiles").mkdir(parents=True, exist_ok=True)
    (folder / "profiles" / f"{profile.hash}.json").write_text(json.dumps(profile.model_dump(mode="json")))
    return n * n_blocks
