"""Rows of a file one by one, in constant memory: lines, JSON lines, CSV; plain or gzip.

What cannot be read as a row comes out as a `Row` with a reason, so that the rest of the file goes on.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ranking.errors import InputError
from ranking.rows import RowError, parse_object

Kind = Literal["json", "text", "csv"]
MOST_LINE = 16_000_000  # bytes; a few kilobytes of gzip can be one endless line
_MAX_CSV_LINES = 50  # lines that one quoted field may run over; a stray quote ends there


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file."""

    path: Path
    line: int  # 1-based
    text: str
    data: dict[str, Any] = field(default_factory=dict)  # of JSON and CSV rows
    reason: str | None = None  # why it is no row


def read_rows(path: Path, kind: Kind) -> Iterator[Row]:
    """The rows of a file; blank lines are left out.

    Raises:
        InputError: the file cannot be read.
    """
    parse: Callable[[Path], Iterator[Row]] = {"json": _json_rows, "text": _text_rows, "csv": _csv_rows}[kind]
    try:
        yield from parse(path)
    except (OSError, EOFError, zlib.error) as e:
        raise InputError(f"{path} cannot be read: {e}") from e


def _text_rows(path: Path) -> Iterator[Row]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, raw in enumerate(_lines(file), start=1):
            if len(raw) > MOST_LINE:
                shown = raw[:200].decode(errors="replace")
                yield Row(path, number, shown, reason=f"longer than {MOST_LINE // 1_000_000} MB")
                continue
            line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            line = line.rstrip(b"\r\n")
            try:
                text = line.decode()
            except UnicodeDecodeError as e:
                yield Row(path, number, line.decode(errors="replace"), reason=f"not UTF-8: {e.reason}")
                continue
            if text.strip():
                yield Row(path, number, text)


def _lines(file: Any) -> Iterator[bytes]:
    """Lines; of one that is too long only its beginning, `MOST_LINE` bytes and one more, is kept."""
    while raw := file.readline(MOST_LINE + 1):
        yield raw
        while len(raw) > MOST_LINE and not raw.endswith(b"\n"):
            raw = file.readline(MOST_LINE + 1)


def _json_rows(path: Path) -> Iterator[Row]:
    for row in _text_rows(path):
        if row.reason is not None:
            yield row
            continue
        try:
            yield Row(path, row.line, row.text, parse_object(row.text))
        except RowError as e:
            yield Row(path, row.line, row.text, reason=str(e))


def _csv_rows(path: Path) -> Iterator[Row]:
    """Rows by header, names in lower case; a quoted field may run over several lines."""
    header: list[str] | None = None
    for row, fields in _csv_records(_text_rows(path)):
        if fields is None:
            yield row
        elif header is None:
            header = [name.strip().lower() for name in fields]
        elif len(fields) > len(header):
            yield Row(path, row.line, row.text, reason=f"{len(fields)} fields under {len(header)} headings")
        else:
            yield Row(path, row.line, row.text, dict(zip(header, fields, strict=False)))


def _csv_records(rows: Iterator[Row]) -> Iterator[tuple[Row, list[str] | None]]:
    """Each record with its fields. A line that opens a quote takes in those after it, until it closes.

    Where it never does, or closes where none may, the line alone is refused and the next begins anew.
    """
    waiting: deque[Row] = deque()
    while True:
        if not waiting:
            following = next(rows, None)
            if following is None:
                return
            waiting.append(following)
        start = waiting.popleft()
        if start.reason is not None:
            yield start, None
            continue
        taken, text = 0, start.text
        while True:
            fields, problem = _split(text)
            if fields is not None or problem != "open":
                break
            if taken == len(waiting):
                following = next(rows, None) if taken < _MAX_CSV_LINES else None
                if following is None or following.reason is not None:
                    waiting.extend([following] if following is not None else [])
                    break
                waiting.append(following)
            text += "\n" + waiting[taken].text
            taken += 1
        if fields is None:
            said = "a quote is never closed" if problem == "open" else problem
            yield Row(start.path, start.line, start.text, reason=f"not CSV: {said}"), None
            continue
        for _ in range(taken):
            waiting.popleft()
        yield Row(start.path, start.line, text), fields


def _split(text: str) -> tuple[list[str] | None, str]:
    """The fields of one record, or why there are none: "open" where a quote is still open."""
    try:
        found = list(csv.reader([text], strict=True))
    except csv.Error as e:
        return None, "open" if "unexpected end" in str(e) else str(e)
    return (found[0], "") if found else ([], "")
