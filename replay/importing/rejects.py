"""The rows that could not be used: a JSON line each, with file, line, reason and the row itself."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TextIO

from replay.importing.lines import Row

_MAX_ROW = 10_000  # characters of a row that are kept


class Rejects:
    """A file that appears when the import ends, and only if there is something in it."""

    def __init__(self, path: Path) -> None:
        self.path, self._hidden = path, path.with_name(f".{path.name}.partial")
        self._file: TextIO | None = None
        self.reasons: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """Rows so far."""
        return sum(self.reasons.values())

    def add(self, row: Row, reason: str) -> None:
        """Keep one row."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._hidden.open("w", encoding="utf-8")
        self.reasons[reason] += 1
        entry = {"file": str(row.path), "line": row.line, "reason": reason, "row": row.text[:_MAX_ROW]}
        self._file.write(json.dumps(entry) + "\n")

    def commit(self) -> Path | None:
        """Show the file; None where no row was refused."""
        if self._file is None:
            return None
        self._file.close()
        self._hidden.replace(self.path)
        return self.path

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            self._file.close()
            self._hidden.unlink(missing_ok=True)
