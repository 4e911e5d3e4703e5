"""What a backfill would cost: items counted, time and bytes measured on a sample of them. Writes nothing."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch

from ranking import fields
from ranking.es import check_complete, server_errors
from ranking.score_fields import LIVE
from scorer.backfill.job import Job
from scorer.backfill.read import Item, check_index, count_items, item_of
from scorer.backfill.scoring import Scoring
from scorer.ingest.photos import PhotoLoader, PhotoSource


class _Weighed(PhotoSource):
    """A source that says how many bytes it read."""

    read_bytes: list[int]

    def read(self, url: str) -> bytes:
        data = super().read(url)
        self.read_bytes.append(len(data))
        return data


@dataclass(frozen=True, slots=True)
class Estimate:
    """A backfill that was not done. All but the counts is projected from the sample, and says so."""

    index: str
    version: str
    into: str
    to_do: int  # items left to do, counted
    in_scope: int  # items on sale and created in the span, counted
    n_sample: int
    per_second: (
        float | None
    )  # items that one worker loads and scores, measured; None where there is no sample
    workers: int
    max_per_second: float | None
    seconds: float | None  # estimated, for all of them
    photo_bytes: int | None  # estimated, to be downloaded or read
    failed_share: float | None  # of the sample
    cost: float | None  # estimated: hours of all workers at `hourly_cost`
    reasons: dict[str, int] = field(default_factory=dict)  # of the sample's failures

    def to_dict(self) -> dict[str, Any]:
        """For printing."""
        rounded = {"per_second": 1, "seconds": 1, "failed_share": 4, "cost": 4}
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {
            name: round(values[name], digits) for name, digits in rounded.items() if values[name] is not None
        }


def estimate(
    es: Elasticsearch,
    job: Job,
    *,
    n_sample: int = 64,
    workers: int = 1,
    max_per_second: float | None = None,
    hourly_cost: float | None = None,
    seed: int = 0,
) -> Estimate:
    """Count, and load and score a sample drawn at random, without writing.

    The rate is that of one worker and leaves out the writing; several workers are taken to be as fast each,
    which they are while photos, model and cores are not what they wait for.

    Args:
        es: a client.
        job: what would be done.
        n_sample: items to load and score.
        workers: how many would work.
        max_per_second: the limit that the run would have.
        hourly_cost: of one worker, in any currency.
        seed: of the sample.

    Raises:
        ServerError: an engine is not there.
        InputError: the index lacks fields.
    """
    scope = job.scope
    check_index(es, scope.index)
    in_scope = count_items(es, scope.index, scope.all_items())
    to_do = count_items(es, scope.index, scope.query())
    items = _sample(es, job, n_sample, seed) if to_do else []
    rate = seconds = failed = cost = None
    photo_bytes = None
    reasons: Counter[str] = Counter()
    if items:
        source = _Weighed(**{name: getattr(job.photos, name) for name in PhotoSource.__dataclass_fields__})
        object.__setattr__(source, "read_bytes", [])
        scorer = job.scorer.open()
        loader = PhotoLoader.for_size(source, scorer.image_size)
        scoring = Scoring(scorer, loader, version=scope.version, source=source, most_in_a_row=0)
        began = time.perf_counter()
        try:
            found = scoring.score(items)
        finally:
            loader.close()
        rate = len(items) / max(time.perf_counter() - began, 1e-6)
        reasons.update(f"{one.stage}: {one.reason}"[:120] for one in found if one.score is None)
        failed = sum(reasons.values()) / len(items)
        whole = rate * workers if max_per_second is None else min(rate * workers, max_per_second)
        seconds = to_do / whole
        photo_bytes = round(sum(source.read_bytes) / len(items) * to_do)
        cost = None if hourly_cost is None else hourly_cost * workers * seconds / 3600
    return Estimate(
        index=scope.index,
        version=scope.version,
        into=scope.into,
        to_do=to_do,
        in_scope=in_scope,
        n_sample=len(items),
        per_second=rate,
        workers=workers,
        max_per_second=max_per_second,
        seconds=seconds,
        photo_bytes=photo_bytes,
        failed_share=failed,
        cost=cost,
        reasons=dict(reasons),
    )


def _sample(es: Elasticsearch, job: Job, n: int, seed: int) -> list[Item]:
    draw = {
        "function_score": {
            "query": job.scope.query(),
            "random_score": {"seed": seed, "field": fields.ITEM_ID},
            "boost_mode": "replace",
        }
    }
    with server_errors(f"draw a sample of {job.scope.index}"):
        answer = es.search(
            index=job.scope.index,
            query=draw,
            size=n,
            source_includes=[fields.IMAGE_URL, LIVE.version, fields.AI_GENERATED],
        )
    check_complete(answer.body)
    return [item_of(hit) for hit in answer["hits"]["hits"]]


__all__ = ["Estimate", "estimate"]
