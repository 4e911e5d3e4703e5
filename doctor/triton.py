"""Triton: the model is ready, scores a photo, and is the model whose scores the index holds."""

from __future__ import annotations

import time

from doctor.finding import Result, not_checked, ok, warning
from doctor.options import Context
from ranking import fields
from ranking.es import server_errors


def reach(context: Context) -> Result:
    """Address and model; raises where nothing answers, or the server has no such model."""
    url = context.settings.endpoint("Triton")
    context.scorer.check()
    return ok(f"{url} has {context.scorer.model_name} {context.scorer.model_version}")


def photo(context: Context) -> Result:
    """One black photo, scored."""
    began = time.monotonic()
    version = context.scorer.probe()
    return ok(f"{version} scored a photo in {(time.monotonic() - began) * 1000:.0f} ms")


def model(context: Context) -> Result:
    """The server's model beside that of most scores in the index."""
    served, family = context.scorer.model_version, context.family
    with server_errors(f"count in {family}"):
        found = context.es.options(ignore_status=404).search(
            index=family, size=0, aggs={"v": {"terms": {"field": fields.IMAGE_SCORE_VERSION, "size": 1}}}
        )
    buckets = found.get("aggregations", {}).get("v", {}).get("buckets", [])
    if not buckets:
        return not_checked(f"{family} holds no score")
    held = buckets[0]["key"]
    if held != served:
        return warning(
            f"Triton serves {served}, most scores in {family} are of {held}: they do not compare",
            f"rank-cli ingest backfill --index {family} --into next (docs/backfill.md)",
        )
    return ok(f"most scores in {family} are of {served} too")
