"""What is imported, written aside and moved into the capture folder at the end: all of it, or nothing.

Memory stays constant but for 16 bytes of digest per search and event, by which a row that is already there
is known: importing a file twice changes nothing.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ranking.capture import CaptureRecord, Event, part_files, write_captures, write_events
from ranking.errors import InputError
from ranking.profile import Profile
from replay.importing.records import Grade
from replay.judgments import SCHEMA as JUDGMENT_SCHEMA

_BATCH = 2_000  # searches in memory
_BATCH_SMALL = 20_000  # events or judgments in memory


class Staging:
    """One import on its way into a capture folder."""

    def __init__(self, folder: Path, source: str) -> None:
        self.folder, self._source = folder, source
        self._aside = folder / f".import-{uuid.uuid4().hex}"
        self._searches: list[CaptureRecord] = []
        self._events: list[Event] = []
        self._grades: list[Grade] = []
        self._profiles: dict[str, Profile] = {}
        self._grade_file: pq.ParquetWriter | None = None
        self._grade_hash = hashlib.blake2b(digest_size=6)  # names the file: another import is another file
        self._known = _digests(_stored(folder, "searches", ("search_id",)))
        self._known_events = _digests(_stored(folder, "events", ("search_id", "item_id", "action", "at_ms")))

    def add_search(self, record: CaptureRecord) -> bool:
        """Keep a search; False where its id is already there."""
        key = _digest((record.search_id,))
        if key in self._known:
            return False
        self._known.add(key)
        self._searches.append(record)
        if len(self._searches) >= _BATCH:
            self._write_searches()
        return True

    def add_event(self, event: Event) -> bool:
        """Keep an event; False where the same one is already there."""
        key = _digest((event.search_id, event.item_id, event.action, event.at_ms))
        if key in self._known_events:
            return False
        self._known_events.add(key)
        self._events.append(event)
        if len(self._events) >= _BATCH_SMALL:
            self._write_events()
        return True

    def add_grade(self, grade: Grade) -> None:
        """Keep a judgment; the last one of a query and item counts."""
        self._grade_hash.update(repr(grade).encode())
        self._grades.append(grade)
        if len(self._grades) >= _BATCH_SMALL:
            self._write_grades()

    def add_profile(self, profile: Profile) -> None:
        """Keep a profile."""
        self._profiles[profile.hash] = profile

    def commit(self) -> None:
        """Write the rest and move everything into place.

        Raises:
            InputError: the folder cannot be written, or an extra field is of two kinds.
        """
        self._write_searches()
        self._write_events()
        self._write_grades()
        try:
            if self._grade_file is not None:
                self._grade_file.close()
                self._grade_file = None
                written = self._grade_path
                written.replace(written.with_name(f"{self._source}-{self._grade_hash.hexdigest()}.parquet"))
            for path in sorted(self._aside.rglob("*")):
                if path.is_file():
                    target = self.folder / path.relative_to(self._aside)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
        except OSError as e:
            raise InputError(f"{self.folder} cannot be written: {e}") from e
        self.abort()

    def abort(self) -> None:
        """Remove what is still aside."""
        if self._grade_file is not None:
            self._grade_file.close()
            self._grade_file = None
        shutil.rmtree(self._aside, ignore_errors=True)

    def _write_searches(self) -> None:
        if self._searches or self._profiles:
            self._guarded(lambda: write_captures(self._aside, self._searches, self._profiles.values()))
        self._searches, self._profiles = [], {}

    def _write_events(self) -> None:
        if self._events:
            self._guarded(lambda: write_events(self._aside, self._events))
        self._events = []

    def _write_grades(self) -> None:
        if not self._grades:
            return
        rows = [
            {"query": one.query, "item_id": one.item_id, "grade": one.grade, "source": self._source}
            for one in self._grades
        ]
        self._guarded(lambda: self._append_grades(pa.Table.from_pylist(rows, JUDGMENT_SCHEMA)))
        self._grades = []

    def _append_grades(self, table: pa.Table) -> None:
        if self._grade_file is None:
            self._grade_path.parent.mkdir(parents=True, exist_ok=True)
            self._grade_file = pq.ParquetWriter(self._grade_path, JUDGMENT_SCHEMA, compression="zstd")
        self._grade_file.write_table(table)

    @property
    def _grade_path(self) -> Path:
        return self._aside / "judgments" / f"{self._source}.parquet"

    def _guarded(self, write: Callable[[], object]) -> None:
        try:
            write()
        except (OSError, pa.ArrowException) as e:
            raise InputError(f"{self.folder} cannot be written: {e}") from e


def _stored(folder: Path, kind: str, columns: tuple[str, ...]) -> Iterable[tuple[object, ...]]:
    for path in part_files(folder, kind):
        try:
            for batch in pq.ParquetFile(path).iter_batches(columns=list(columns)):
                yield from zip(*(batch[name].to_pylist() for name in columns), strict=True)
        except (pa.ArrowException, OSError, KeyError) as e:
            raise InputError(f"{path} is not a readable capture file: {e}", hint="move it away") from e


def _digests(keys: Iterable[tuple[object, ...]]) -> set[bytes]:
    return {_digest(key) for key in keys}


def _digest(key: tuple[object, ...]) -> bytes:
    return hashlib.blake2b(repr(key).encode(), digest_size=16).digest()
