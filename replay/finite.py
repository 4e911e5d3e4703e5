"""JSON has no NaN: what is undefined becomes null."""

from __future__ import annotations

import math
from typing import Any


def finite(data: Any) -> Any:
    """The same dicts and lists, with None for every float that is not a finite number."""
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
