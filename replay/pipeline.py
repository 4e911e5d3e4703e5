"""The evaluation of `replay.evaluation` as an Apache Beam pipeline over the Parquet partitions.

The same function works on the same parts; only who calls it differs. Each worker leaves its part's table in a
folder that all workers share, named by the part's place, and the tables are put together in that order: the
figures are those of a local run, bit for bit, whatever the runner and however many workers.

Workers read the capture folder themselves, so folder and scratch must be reachable from all of them (a local
disk for the DirectRunner, a mounted file system for a cluster), and rank-toolkit[ingest] installed there.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from ranking.capture import read_profiles
from ranking.errors import InputError, RankError
from ranking.profile import Profile
from replay.batches import Part, list_parts
from replay.evaluation import Evaluation, Question, assemble, evaluate_part
from replay.judgments import Judgments, read_judgments
from replay.parity import Failure, Parity

RUNNERS = {
    "direct": "DirectRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
    "dataflow": "DataflowRunner",
    "portable": "PortableRunner",
    "prism": "PrismRunner",
}


def evaluate_with_beam(
    folder: Path,
    question: Question,
    *,
    runner: str = "direct",
    workers: int = 0,
    options: Sequence[str] = (),
    scratch: Path | None = None,
) -> Evaluation:
    """Evaluate a capture folder on a Beam runner.

    Args:
        folder: captures, and judgments where there are any.
        question: what is asked.
        runner: direct, flink, spark, dataflow, portable or prism.
        workers: processes of the direct runner; 0 for one per core.
        options: flags of Beam and of the runner, such as `--flink_master=host:8081`.
        scratch: folder for the parts' tables, shared by all workers; a temporary one by default.

    Raises:
        InputError: the folder cannot be replayed, there is no such runner, or Beam is not installed.
    """
    if runner not in RUNNERS:
        raise InputError(f"there is no runner {runner!r}", hint=f"there are local, {', '.join(RUNNERS)}")
    logging.getLogger().setLevel(logging.ERROR)  # Beam says at import what is not installed, and more later
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as e:
        raise InputError(
            "a Beam runner needs Apache Beam", hint="pip install 'rank-toolkit[ingest]', or --runner local"
        ) from e
    from replay.order import n_threads

    parts, judgments = list_parts(folder), read_judgments(folder, question.judged_by)
    flags = ["--default_sdk_harness_log_level=ERROR", *options]
    engine: Any = RUNNERS[runner]
    if runner == "direct":
        flags.append(f"--direct_num_workers={workers or n_threads()}")
        engine = _processes()
    with tempfile.TemporaryDirectory(dir=scratch, prefix="replay-") as temporary:
        out = Path(temporary)
        try:
            with beam.Pipeline(engine, PipelineOptions(flags)) as pipeline:
                _ = (
                    pipeline
                    | "parts" >> beam.Create(list(enumerate(parts)))
                    | "one worker each" >> beam.Reshuffle()
                    | "evaluate" >> beam.Map(_work, folder=folder, question=question, out=out)
                )
        except RuntimeError as e:  # arrives as text: the worker's traceback, its last line the sentence
            said = [line.strip() for line in str(e).splitlines() if line.strip()]
            raise RankError(f"a worker failed: {said[-1] if said else e}") from e
        return assemble(question, [_read(out, i) for i in range(len(parts))], judgments)


def _processes() -> Any:
    """The DirectRunner that starts worker processes, whose chatter goes nowhere.

    Named by its class: the name DirectRunner may mean one that fetches a binary, or that works on one thread.
    """
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    command = f"{shlex.quote(sys.executable)} -m apache_beam.runners.worker.sdk_worker_main 2>{os.devnull}"
    return FnApiRunner(default_environment=SubprocessSDKEnvironment.from_command_string(command))


def _work(numbered: tuple[int, Part], folder: Path, question: Question, out: Path) -> int:
    """On a worker: evaluate one part and leave the result beside the others; again has no effect."""
    i, part = numbered
    try:
        profiles, judgments = _context(folder, question.judged_by)
        table, parity = evaluate_part(part, question, profiles, copy.copy(judgments))  # threads share these
    except RankError as e:  # the same on any worker: told to whoever asked, and not tried again
        (out / f"{i}.error").write_text(json.dumps({"message": str(e), "hint": e.hint}))
        return 0
    hidden = out / f".{i}.{os.getpid()}"
    found = {} if parity is None else {b"parity": json.dumps(asdict(parity)).encode()}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **found})
    _write(table.unify_dictionaries(), hidden)
    hidden.replace(out / f"{i}.arrow")
    return part.n_searches


@lru_cache(maxsize=2)
def _context(folder: Path, judged_by: str | None) -> tuple[dict[str, Profile], Judgments | None]:
    """What every part needs, read once by each worker."""
    return read_profiles(folder), read_judgments(folder, judged_by)


def _write(table: Any, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read(out: Path, i: int) -> tuple[Any, Parity | None]:
    refused = out / f"{i}.error"
    if refused.exists():
        said = json.loads(refused.read_text())
        raise InputError(said["message"], hint=said["hint"])
    path = out / f"{i}.arrow"
    if not path.exists():
        raise RankError(f"part {i} left no result: workers and this process do not share {out}")
    with pa.OSFile(str(path), "rb") as source:
        table = pa.ipc.open_file(source).read_all()
    metadata = dict(table.schema.metadata or {})
    raw = metadata.pop(b"parity", None)
    parity = None
    if raw is not None:
        data = json.loads(raw)
        parity = Parity(**{**data, "failures": [Failure(**failure) for failure in data["failures"]]})
    return table.replace_schema_metadata(metadata), parity
