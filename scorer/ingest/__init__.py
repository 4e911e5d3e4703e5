"""From item messages on Kafka to scored documents in Elasticsearch."""

from __future__ import annotations

from ranking.item_message import ItemMessage, parse_message
from scorer.ingest.dead_letters import dead_letter_topic
from scorer.ingest.dlq import read_dead_letters
from scorer.ingest.photos import PhotoSource
from scorer.ingest.publisher import publish, read_jsonl
from scorer.ingest.run import run_stream, stop_on_signals
from scorer.ingest.stream import IngestSummary

__all__ = [
    "IngestSummary",
    "ItemMessage",
    "PhotoSource",
    "dead_letter_topic",
    "parse_message",
    "publish",
    "read_dead_letters",
    "read_jsonl",
    "run_stream",
    "stop_on_signals",
]
