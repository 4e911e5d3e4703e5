"""`python -m scorer.pipeline`: the streaming pipeline over Pub/Sub, on any Beam runner.

Flags that are not named here go to Beam: --project, --region, --temp_location, --sdk_container_image ...
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ranking.beam import check_options, new_pipeline, require_beam
from ranking.errors import InputError, RankError

EXAMPLE = """example:
  python -m scorer.pipeline --subscription projects/P/subscriptions/items --index items \\
    --dead-letters projects/P/topics/items.dlq --runner DataflowRunner \\
    --project P --region asia-northeast1 --temp_location gs://B/tmp --sdk_container_image IMAGE

Workers log in with what is in their own environment (ELASTICSEARCH_URL, ELASTICSEARCH_API_KEY, TRITON_URL):
no secret is a flag. docs/backfill.md says how to give it to them.
"""


def parser() -> argparse.ArgumentParser:
    """The flags of this program; the rest is Beam's."""
    found = argparse.ArgumentParser(
        prog="python -m scorer.pipeline",
        description="Item messages on Pub/Sub become scored documents in Elasticsearch.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument(
        "--subscription", required=True, help="projects/PROJECT/subscriptions/NAME of the item messages"
    )
    found.add_argument(
        "--dead-letters",
        required=True,
        metavar="TOPIC",
        help="projects/PROJECT/topics/NAME for messages that cannot be used, with the reason",
    )
    found.add_argument("--index", help="index or alias; RANK_INDEX, or items, by default")
    found.add_argument("--photos-root", type=Path, help="photos in files are read below this folder only")
    found.add_argument("--allow-private-hosts", action="store_true", help="download from private addresses")
    found.add_argument("--model", help="score in the workers, without Triton: compact, or a scorer folder")
    found.add_argument("--triton", help="host:port of gRPC; TRITON_URL by default")
    found.add_argument("--batch", type=int, default=64, help="messages worked on at a time (default 64)")
    found.add_argument(
        "--batch-s", type=float, default=1.0, help="seconds that a batch waits to be full (default 1)"
    )
    found.add_argument("--keys", type=int, default=64, help="batches at work at a time, at most (default 64)")
    found.add_argument(
        "--wait-s", type=float, default=60.0, help="seconds to wait for an engine that is gone (default 60)"
    )
    return found


def run(arguments: Sequence[str]) -> None:
    """Build the pipeline and run it until it is cancelled or drained.

    Raises:
        InputError: a flag is wrong, or Beam is not installed.
    """
    known, options = parser().parse_known_args(arguments)
    check_options([option for option in options if option.startswith("--")])
    require_beam("")
    from apache_beam.io.gcp.pubsub import ReadFromPubSub, WriteToPubSub

    from ranking.settings import get_settings
    from scorer.backfill.scoring import ScorerSpec
    from scorer.ingest.photos import PhotoSource
    from scorer.pipeline.steps import PipelineSettings, ingest
    from scorer.serving.client import ONLINE

    settings = PipelineSettings(
        index=known.index or get_settings().index,
        scorer=ScorerSpec(triton=known.triton, model=known.model, wait_s=known.wait_s, priority=ONLINE),
        photos=PhotoSource(root=known.photos_root, allow_private_hosts=known.allow_private_hosts),
        batch=known.batch,
        batch_s=known.batch_s,
        keys=known.keys,
        wait_s=known.wait_s,
    )
    try:
        read = ReadFromPubSub(subscription=known.subscription, with_attributes=True)
        write = WriteToPubSub(known.dead_letters)
    except ValueError as e:
        raise InputError(
            f"Pub/Sub: {e}", hint="write projects/PROJECT/subscriptions/NAME and projects/PROJECT/topics/NAME"
        ) from e
    _require_pubsub()
    with new_pipeline([*options, "--streaming"]) as pipeline:
        letters = ingest(pipeline | "messages" >> read, settings, source=known.subscription)
        _ = letters | "dead letters" >> write


def _require_pubsub() -> None:
    try:
        importlib.import_module("google.cloud.pubsub")
    except ImportError as e:
        hint = "pip install 'apache-beam[gcp]'"
        raise InputError("Pub/Sub needs Google's client library", hint=hint) from e


def main() -> None:
    """Entry point: exit 0 drained, 1 error."""
    try:
        run(sys.argv[1:])
    except RankError as e:
        if os.environ.get("RANK_DEBUG"):
            raise
        print(f"error: {e}" + (f"\nhint: {e.hint}" if e.hint else ""), file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
