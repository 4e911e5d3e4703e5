"""What every HTML file of ours has: one look, and a policy that lets nothing from elsewhere in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any


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


def render_page(
    package: str,
    *,
    inline_styles: bool = True,
    filters: Mapping[str, Callable[..., Any]] | None = None,
    lstrip_blocks: bool = False,
    **values: Any,
) -> str:
    """The `page.html` of a package, with its `page.css` behind the shared style; no script runs in it.

    The page sets `title` and includes `page_head.html`.

    Args:
        package: that holds both, such as `replay.ab`.
        inline_styles: whether elements have `style` attributes; without them only this very style is let in.
        filters: of the template.
        lstrip_blocks: as in Jinja.
        values: what the template shows.
    """
    import jinja2

    def source(name: str) -> str:
        return (resources.files(package if name == "page.html" else "ranking") / name).read_text("utf-8")

    style = base_style() + (resources.files(package) / "page.css").read_text(encoding="utf-8")
    pages = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=lstrip_blocks,
    )
    pages.filters |= filters or {}
    allowed = policy(style=None if inline_styles else style)
    return pages.get_template("page.html").render(policy=allowed, style=style, **values)


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


__all__ = ["base_style", "policy", "render_page"]
