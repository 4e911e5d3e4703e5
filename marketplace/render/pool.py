"""Rendering many photos at once, and not again what is already there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from marketplace.render.photo import PhotoSpec, render_jpeg
from ranking.errors import InputError

IN_PROCESS: Final = 24  # fewer photos than this are not worth starting processes for
_ROOT: Final = Path(__file__).resolve().parents[2]


def write_photo(spec: PhotoSpec, path: Path) -> None:
    """Render one photo into a file. A reader never sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(render_jpeg(spec))
    part.replace(path)


def render_all(
    jobs: Mapping[Path, PhotoSpec],
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Render each photo that is not there yet.

    Args:
        jobs: specification by path of the file to write.
        processes: how many at once; None: one for each core this process may use.
        progress: called with (photos there, photos wanted).

    Returns:
        How many were rendered.

    Raises:
        InputError: a folder cannot be written to, or a renderer process failed.
    """
    try:
        for folder in {path.parent for path in jobs}:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InputError(f"photos cannot be written: {e}") from e
    todo = [(path, spec) for path, spec in jobs.items() if not path.exists()]
    n_there = len(jobs) - len(todo)
    n = min(processes or len(os.sched_getaffinity(0)), max(1, len(todo) // IN_PROCESS))
    lock = threading.Lock()

    def done() -> None:
        nonlocal n_there
        with lock:
            n_there += 1
            if progress is not None:
                progress(n_there, len(jobs))

    if n == 1:
        for path, spec in todo:
            try:
                write_photo(spec, path)
            except OSError as e:
                raise InputError(f"{path}: photo cannot be written: {e}") from e
            done()
        return len(todo)
    failures: list[str] = []
    threads = [threading.Thread(target=_run, args=(todo[i::n], done, failures)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise InputError(f"photos were not rendered: {failures[0]}")
    return len(todo)


def _run(jobs: list[tuple[Path, PhotoSpec]], done: Callable[[], None], failures: list[str]) -> None:
    """Feed one renderer process its share and count its dots."""
    with tempfile.TemporaryFile("w+") as lines, tempfile.TemporaryFile("w+") as complaints:
        for path, spec in jobs:
            lines.write(json.dumps({"path": str(path), "spec": asdict(spec)}) + "\n")
        lines.seek(0)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])}
        with subprocess.Popen(
            [sys.executable, "-m", "marketplace.render"],
            stdin=lines, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for _ in process.stdout:
                done()
        if process.returncode != 0:
            complaints.seek(0)
            last = (complaints.read().strip().splitlines() or [f"exit status {process.returncode}"])[-1]
            failures.append(last)
