"""mkdocs hook: links of a page to files outside docs/ become the file's path, as code.

The pages are read in the repository too, where such links lead to the code. The site holds no code; where
`repo_url` is set in mkdocs.yml, they lead there.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """The page with its links out of docs/ rewritten; code blocks stay as they are."""
    at = PurePosixPath(page.file.src_uri).parent
    docs = Path(config["docs_dir"])
    parts = _FENCE.split(markdown)
    return "".join(
        part if part.startswith("```") else rewrite(part, at, docs, config.get("repo_url")) for part in parts
    )


def rewrite(markdown: str, at: PurePosixPath, docs: Path, repo_url: str | None) -> str:
    """Links out of `docs`, or to what the site leaves out (Python, JSON), as code or to the repository.

    Args:
        markdown: text of a page, without code blocks.
        at: the page's folder, relative to `docs`.
        docs: the folder of the pages.
        repo_url: where the code can be seen; None shows the path alone.
    """

    def one(found: re.Match[str]) -> str:
        target = found["target"]
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        inside = normpath(str(at / target))
        if not inside.startswith("..") and (not inside.endswith(".py")) and not (docs / inside).is_dir():
            return found[0]
        path = normpath(f"{docs.name}/{inside}")
        if repo_url:
            return f"[{found['text']}]({repo_url.rstrip('/')}/blob/main/{path})"
        text = found["text"].strip("`")
        return f"`{path}`" if text in path else f"{found['text']} (`{path}`)"

    return _LINK.sub(one, markdown)
