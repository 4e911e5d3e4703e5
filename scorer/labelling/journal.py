"""The journal of a labelling run: every answer, raw, on disk before anything is made of it.

    FOLDER/answers.jsonl     one line per answer: key, kind, serp_id, model's raw answer, tokens, time
    FOLDER/asked.jsonl       one line per request about to be sent, and per request that was given up
    FOLDER/run.json          what the run is about; another model or prompt needs another folder

A key is the hash of what was asked. An answer that is in the journal is never asked for again, so a run that
was killed goes on where it was. What was sent and not answered when it was killed may have been billed for
nothing; `in_flight` counts those, and each is asked again under the same idempotency key.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ranking.errors import InputError
from ranking.whole_file import write_text


@dataclass(frozen=True, slots=True)
class Answer:
    """One paid answer."""

    key: str
    kind: str  # "label", "repair", "translate", "translate-repair"
    serp_id: str
    text: str | None  # of the message; None where there is none
    refusal: str | None
    finish: str  # why the model stopped: "stop", "length", "content_filter"
    tokens_in: int
    tokens_out: int
    at_ms: int  # epoch ms
    raw: Mapping[str, Any]  # the whole response


def key_of(*parts: Any) -> str:
    """The key of a request, from all that its answer depends on."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Journal:
    """An open journal; one process at a time.

    Raises:
        InputError: another process holds it, the folder was begun with something else, or it is damaged.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = (folder / ".lock").open("w")
        except OSError as e:
            raise InputError(f"cannot write into {folder}: {e.strerror}", hint="name another folder") from e
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            raise InputError(
                f"another run is labelling into {folder}", hint="wait for it, or name another folder"
            ) from None
        try:
            _check_about(folder / "run.json", about)
            self._answers = _read_answers(folder / "answers.jsonl")
            asked: set[str] = set()
            for row in _rows(folder / "asked.jsonl"):
                (asked.discard if row.get("given_up") else asked.add)(row["key"])
            self.in_flight = len(asked - self._answers.keys())
            self._lock = threading.Lock()
            self._file = (folder / "answers.jsonl").open("ab")
            self._asked = (folder / "asked.jsonl").open("ab")
        except BaseException:
            self._lock_file.close()
            raise

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def answers(self) -> list[Answer]:
        """Every answer, in the order they came."""
        with self._lock:
            return list(self._answers.values())

    def get(self, key: str) -> Answer | None:
        """The answer to a request, if it was ever given."""
        with self._lock:
            return self._answers.get(key)

    def asking(self, key: str) -> None:
        """Note that a request goes out."""
        self._append(self._asked, {"key": key, "at_ms": time.time_ns() // 1_000_000})

    def given_up(self, key: str) -> None:
        """Note that a request failed for good in this run."""
        self._append(self._asked, {"key": key, "given_up": True})

    def put(self, answer: Answer) -> None:
        """Keep an answer; it is on disk when this returns."""
        row = {name: getattr(answer, name) for name in Answer.__slots__}
        self._append(self._file, row)
        with self._lock:
            self._answers[answer.key] = replace(answer, raw={})  # on disk; too much to hold for many pages

    def close(self) -> None:
        """Let go of the folder."""
        for file in (self._file, self._asked, self._lock_file):
            file.close()

    def _append(self, file: Any, row: Mapping[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def _check_about(path: Path, about: Mapping[str, Any]) -> None:
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        write_text(path, [json.dumps(about, indent=2, ensure_ascii=False) + "\n"])
        return
    except (OSError, ValueError, RecursionError) as e:
        raise InputError(f"{path} cannot be read: {e}", hint="name another folder") from e
    for name in about:
        if not isinstance(before, dict) or before.get(name) != about[name]:
            old = before.get(name) if isinstance(before, dict) else None
            raise InputError(
                f"{path.parent} was begun with {name} {old!r}, not {about[name]!r}",
                hint="name another folder for another kind of run",
            )


def _read_answers(path: Path) -> dict[str, Answer]:
    found = {}
    for row in _rows(path):
        try:
            answer = Answer(**row)
        except TypeError as e:
            raise InputError(f"{path} holds a line of another kind: {e}", hint="move it away") from None
        found[answer.key] = replace(answer, raw={})
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal; a last one that was cut off by a kill is taken off the file."""
    try:
        file = path.open("rb+")
    except FileNotFoundError:
        return
    with file:
        whole = 0
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                row = json.loads(line)
                row["key"]
            except (ValueError, TypeError, KeyError, RecursionError) as e:
                words = f"{path} line {number} is damaged: {e}"
                raise InputError(words, hint="move the file away") from None
            yield row
        file.truncate(whole)


__all__ = ["Answer", "Journal", "key_of"]
