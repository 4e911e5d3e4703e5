"""What every HTML file of ours has: one look, and a policy that lets nothing from elsewhere in."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources


def base_style() -> str:
    """The style sheet that all files share: colours, letters, tables, light and dark."""
    return (resources.files("ranking") / "base.css").read_text(encoding="utf-8")


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


__all__ = ["base_style", "policy"]
