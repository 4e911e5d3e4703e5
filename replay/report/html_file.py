"""What every HTML file of ours has: assets inside, a policy that lets nothing else in, written whole."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from importlib import resources
from pathlib import Path


def asset(name: str) -> str:
    """A template, style or script beside this module."""
    return (resources.files("replay.report") / name).read_text(encoding="utf-8")


def policy(script: str | None = None) -> str:
    """The content security policy of a file with this one script, or with none."""
    parts = ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"]
    if script is not None:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        parts.append(f"script-src 'sha256-{digest}'")
    return "; ".join([*parts, "base-uri 'none'", "form-action 'none'"])


def write_atomically(out: Path, text: str) -> Path:
    """Write a file that is never seen half done; its folder is made where missing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=out.parent, prefix=f".{out.name}.", delete=False
    ) as hidden:
        path = Path(hidden.name)
        try:
            hidden.write(text)
            hidden.close()
            path.chmod(0o644)
            return path.replace(out)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
