"""Prompts: Jinja files, `NAME-vN.md`, shipped or one's own. A changed text is another prompt, by its hash.

zero_shot   says what to look at, in the order of X-IQE's stages (fidelity, what is shown, appeal), and leaves
            the scale to the model
guided      the same, with what each step of the scale stands for

Sources of the method, not of the words: X-IQE (Chen et al. 2023) for the staged chain of thought; Adevinta's
comparison of generic and guided prompts.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from ranking.errors import InputError

_ENVIRONMENT = jinja2.Environment(
    autoescape=False, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
)
_NAME = re.compile(r"(?P<name>.+)-v(?P<number>\d+)\.md")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt."""

    name: str  # such as guided-v1
    text: str

    @property
    def hash(self) -> str:
        """Of the text: what an answer is an answer to."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def render(self, **values: Any) -> str:
        """The words for one request.

        Raises:
            InputError: the text asks for a value that there is none of.
        """
        try:
            return _ENVIRONMENT.from_string(self.text).render(**values).strip()
        except jinja2.TemplateError as e:
            raise InputError(
                f"the prompt {self.name} cannot be filled in: {e}",
                hint=f"it may use {', '.join(sorted(values))}",
            ) from e


def find_prompt(name: str) -> Prompt:
    """A shipped prompt by name (its newest version) or by name and version, or a file.

    Raises:
        InputError: there is none.
    """
    folder = resources.files("scorer.labelling") / "prompts"
    shipped = {entry.name: entry for entry in folder.iterdir() if _NAME.fullmatch(entry.name)}
    if f"{name}.md" in shipped:
        return Prompt(name, shipped[f"{name}.md"].read_text(encoding="utf-8"))
    versions = [found for entry in shipped if (found := _NAME.fullmatch(entry)) and found["name"] == name]
    if versions:
        newest = max(versions, key=lambda found: int(found["number"])).string
        return Prompt(newest.removesuffix(".md"), shipped[newest].read_text(encoding="utf-8"))
    path = Path(name)
    try:
        return Prompt(path.stem, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        names = ", ".join(sorted(entry.removesuffix(".md") for entry in shipped))
        raise InputError(f"no prompt {name!r}", hint=f"give a file, or one of {names}") from None


__all__ = ["Prompt", "find_prompt"]
