"""Text files that are there whole or not at all, written line by line."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ranking.errors import InputError


@contextmanager
def atomic_text(path: Path) -> Iterator[TextIO]:
    """A file to write to; it appears under its name when all is written. Names ending in .gz are compressed.

    Raises:
        InputError: it cannot be written.
    """
    hidden = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hidden.open("wb") as raw:
            # neither name nor time inside: the same content gives the same bytes
            packed = gzip.GzipFile("", fileobj=raw, mode="wb", mtime=0) if path.suffix == ".gz" else raw
            with io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file:
                yield file
        hidden.replace(path)
    except OSError as e:
        raise InputError(f"{path} cannot be written: {e}") from e
    finally:
        hidden.unlink(missing_ok=True)


def json_line(row: Mapping[str, Any]) -> str:
    """One JSON line, nothing that is not JSON in it.

    Raises:
        ValueError: NaN or infinity.
    """
    return json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
