"""Items through Kafka, scored on Triton, into a fresh index under deployed templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from demo.progress import Bar, Note
from index_templates import (
    apply_steps,
    desired_state,
    ensure_index,
    family_indices,
    plan_steps,
    read_live,
)
from marketplace.market import Marketplace
from ranking import fields
from ranking.clock import now_ms
from ranking.es import server_errors
from ranking.settings import get_settings

FAMILY = "rank-demo"  # index family, alias and topic of the demo; nothing else is touched


def fresh_index(es: Elasticsearch) -> None:
    """Templates applied, and an empty index behind the demo's alias."""
    wanted = desired_state(FAMILY)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    for name in family_indices(es, FAMILY):
        with server_errors(f"remove the last demo's index {name}"):
            es.options(ignore_status=404).indices.delete(index=name)
    ensure_index(es, FAMILY)


def ingest(market: Marketplace, *, photo_root: Path, say: Note, bar: Bar) -> tuple[int, str]:
    """Publish every item and consume until the topic is drained; how many, and the model's version."""
    from scorer.ingest import PhotoSource, publish, run_stream
    from scorer.serving import load_into, write_repository

    settings = get_settings()
    exported = write_repository(settings.state_dir / "triton" / "models", "compact")
    load_into(exported, settings.endpoint("Triton"))
    say(f"Triton serves {exported.model_version}")
    bootstrap = settings.endpoint("Kafka")
    topic = f"{FAMILY}-{now_ms()}"
    published = publish((item.message() for item in market.items), bootstrap, topic=topic)
    with bar("items scored and indexed", published) as advance:
        done = 0

        def progress(summary: Any) -> None:
            nonlocal done
            advance(summary.received - done)
            done = summary.received

        summary = run_stream(
            settings,
            photos=PhotoSource(root=photo_root),
            topic=topic,
            group=topic,
            index=FAMILY,
            until_empty=True,
            on_progress=progress,
            on_wait=lambda why: say(f"waiting: {why}"),
        )
    say(
        f"ingest: {summary.received} messages, {summary.scored} scored, {summary.unscored} without a photo, "
        f"{summary.dead_letters} dead letters, {summary.received / max(summary.seconds, 1e-9):.0f} items/s"
    )
    return published, exported.model_version


def count(es: Elasticsearch) -> tuple[int, int]:
    """Items in the index, and how many of them are scored."""
    with server_errors(f"count {FAMILY}"):
        es.indices.refresh(index=FAMILY)
        indexed = int(es.count(index=FAMILY)["count"])
        scored = int(es.count(index=FAMILY, query={"exists": {"field": fields.IMAGE_SCORE}})["count"])
    return indexed, scored
