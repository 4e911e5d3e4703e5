"""The parts of a report's HTML file, and writing it whole."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ranking.html_file import base_style, policy
from ranking.whole_file import write_text


def asset(name: str) -> str:
    """A template, style or script beside this module; `base.css` is that of all files."""
    if name == "base.css":
        return base_style()
    return (resources.files("replay.report") / name).read_text(encoding="utf-8")


def write_atomically(out: Path, text: str) -> Path:
    """Write a file that is never seen half done; its folder is made where missing.

    Raises:
        InputError: it cannot be written; an earlier file stays as it was.
    """
    return write_text(out, [text])


__all__ = ["asset", "policy", "write_atomically"]
