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
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from ranking.beam import RUNNERS, check_options, check_runner, require_beam, worker_failed, worker_processes
from ranking.capture import read_profiles
from ranking.errors import InputError, RankError
from ranking.profile import Profile
from replay.batches import Part, list_parts
from replay.evaluation import Evaluation, Question, assemble, evaluate_part
from replay.judgments import Judgments, read_judgments
from replay.parity import Failure, Parity


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
    check_runner(runner, others=["local"])
    check_options(options)
    beam = require_beam("--runner local")
    from apache_beam.options.pipeline_options import PipelineOptions

    from replay.order import n_threads

    parts, judgments = list_parts(folder), read_judgments(folder, question.judged_by)
    flags = ["--default_sdk_harness_log_level=ERROR", *options]
    engine: Any = RUNNERS[runner]
    if runner == "direct":
        flags.append(f"--direct_num_workers={workers or n_threads()}")
        engine = worker_processes()
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
            raise worker_failed(e) from e
        return assemble(question, [_read(out, i) for i in range(len(parts))], judgments)


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
