"""A file that is never seen half written: a hidden one beside it takes its place when it is complete."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ranking.errors import InputError


def write_text(out: Path, parts: Iterable[str]) -> Path:
    """Write a text file, part by part; its folder is made where missing. Returns `out`.

    Raises:
        InputError: it cannot be written; an earlier file stays as it was.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=out.parent, prefix=f".{out.name}.", delete=False
        ) as hidden:
            path = Path(hidden.name)
            try:
                hidden.writelines(parts)
                hidden.close()
                path.chmod(0o644)
                return path.replace(out)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    except OSError as e:
        raise InputError(f"cannot write {out}: {e.strerror or e}", hint="name another file") from e


def write_json_lines(out: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object a line; how many.

    Raises:
        InputError: as `write_text`.
    """
    n = 0

    def lines() -> Iterable[str]:
        nonlocal n
        for row in rows:
            n += 1
            yield json.dumps(row, ensure_ascii=False) + "\n"

    write_text(out, lines())
    return n


__all__ = ["write_json_lines", "write_text"]
