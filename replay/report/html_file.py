"""What every HTML file of ours has: assets inside, a policy that lets nothing else in, written whole."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from importlib import resources
from pathlib import Path

from ranking.errors import InputError


def asset(name: str) -> str:
    """A template, style or script beside this module."""
    return (resources.files("replay.report") / name).read_text(encoding="utf-8")


def policy(script: str | None = None, style: str | None = None) -> str:
    """The content security policy of a file with this script and style; without a style, any inline one."""
    parts = ["default-src 'none'", "img-src data:"]
    parts.append("style-src " + ("'unsafe-inline'" if style is None else _hash(style)))
    if script is not None:
        parts += [f"script-src {_hash(script)}", "require-trusted-types-for 'script'", "trusted-types 'none'"]
    return "; ".join([*parts, "base-uri 'none'", "form-action 'none'"])


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def write_atomically(out: Path, text: str) -> Path:
    """Write a file that is never seen half done; its folder is made where missing.

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
                hidden.write(text)
                hidden.close()
                path.chmod(0o644)
                return path.replace(out)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    except OSError as e:
        raise InputError(f"cannot write {out}: {e.strerror or e}", hint="name another file") from e
