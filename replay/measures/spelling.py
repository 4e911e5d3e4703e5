"""How a measure is spelled: `nDCG@10`, `P(rel=2)@5`, `image_score@10`; the spelling of `ir_measures`.

A name, parameters by name in round brackets, a cutoff after `@`. `Spelling.canonical` leaves defaults out, as
`str()` of an `ir_measures` measure does.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ranking.errors import InputError


@dataclass(frozen=True, slots=True)
class Spelling:
    """A measure taken apart."""

    family: str  # as written, such as NDCG
    params: Mapping[str, Any]
    cutoff: int | None

    def canonical(self, family: str, defaults: Mapping[str, Any]) -> str:
        """The spelling under the family's own name, without parameters that are at their default."""
        parts = [
            f"{name}={_written(value)}"
            for name, value in self.params.items()
            if name not in defaults or defaults[name] != value
        ]
        at = "" if self.cutoff is None else f"@{self.cutoff}"
        return f"{family}({','.join(parts)}){at}" if parts else f"{family}{at}"


def parse(text: str) -> Spelling:
    """Take a spelling apart.

    Raises:
        InputError: it is no such spelling; says where.
    """
    try:
        node: ast.expr = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _refused(text) from None
    cutoff = None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        cutoff, node = _value(node.right, text), node.left
        if not isinstance(cutoff, int) or isinstance(cutoff, bool) or cutoff < 1:
            raise InputError(f"the cutoff of measure {text!r} is not a whole number of 1 or more")
    params = {}
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg is None:
                raise _refused(text)
            params[keyword.arg] = _value(keyword.value, text)
        if node.args:
            raise InputError(
                f"parameters of measure {text!r} need names", hint="for example P(rel=2)@5 or RBP(p=0.9)@10"
            )
        node = node.func
    if not isinstance(node, ast.Name):
        raise _refused(text)
    return Spelling(node.id, params, cutoff)


def split(text: str) -> list[str]:
    """The measures of a list separated by commas; commas in brackets separate parameters."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "({") - (char in ")}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _value(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _refused(text) from None


def _refused(text: str) -> InputError:
    return InputError(
        f"{text!r} is not the spelling of a measure", hint="for example nDCG@10, P(rel=2)@5 or image_score@10"
    )


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{item}" for key, item in sorted(value.items())) + "}"
    return repr(value)
