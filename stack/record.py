"""`stack.json`: which engines run for this checkout, and where.

`ranking.settings` reads the three addresses at its top level, and where the CA and the credentials of a
secure cluster lie; `engines` is ours. No secret is in it. Written under a
temporary name and renamed, so that a reader never meets half a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ranking.errors import ConfigError
from ranking.settings import ENGINE_KEYS
from stack.process import Process
from stack.progress import note

ADDRESS_KEYS = {title.lower(): key for title, key in ENGINE_KEYS.items()}
LOGIN_KEYS = ("ca_certs", "credentials")  # options that a client needs, as `elasticsearch_ca_certs`


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One engine that we started."""

    address: str
    log: str
    version: str | None = None
    pid: int | None = None  # None for a container
    began: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)  # what it was started with
    docker: bool = False

    @property
    def process(self) -> Process:
        """The process this entry speaks of."""
        return Process(self.pid or 0, self.began)


class Record:
    """The record of one state folder. Safe to use from several threads."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir.resolve() / "stack.json"
        self._lock = threading.Lock()

    def entries(self) -> dict[str, Entry]:
        """Every engine in the record, by name.

        Raises:
            ConfigError: the file is not one that we wrote.
        """
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return {}
        try:
            data = json.loads(text)
            if data["state_dir"] != str(self.path.parent):
                return {}  # a copy of another checkout's record, whose engines are not ours to stop
            return {name: Entry(**raw) for name, raw in data["engines"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
            raise ConfigError(
                self.path, [f"cannot be read: {e}"], hint="delete it and run `rank-cli stack up` again"
            ) from e

    def get(self, engine: str) -> Entry | None:
        """The entry of one engine."""
        return self.entries().get(engine)

    def put(self, engine: str, entry: Entry) -> None:
        """Add or replace the entry of one engine."""
        with self._lock:
            self._write({**self.entries(), engine: entry})

    def remove(self, engine: str) -> None:
        """Forget one engine."""
        with self._lock:
            entries = self.entries()
            if entries.pop(engine, None) is not None:
                self._write(entries)

    def _write(self, entries: dict[str, Entry]) -> None:
        data: dict[str, Any] = {ADDRESS_KEYS[name]: entry.address for name, entry in entries.items()}
        for name, entry in entries.items():
            data |= {f"{name}_{key}": entry.options[key] for key in LOGIN_KEYS if key in entry.options}
        data["state_dir"] = str(self.path.parent)
        data["engines"] = {name: asdict(entry) for name, entry in entries.items()}
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(data, indent=2) + "\n")
        temporary.replace(self.path)


@contextlib.contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock file `path` while the body runs; say `busy` once if another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(busy)
            fcntl.flock(f, fcntl.LOCK_EX)
        yield
