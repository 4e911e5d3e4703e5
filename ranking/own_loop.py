"""Runs a coroutine to its end, in a notebook too, where the thread has a loop already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_end(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `asyncio.run(work())` gives; in a thread of its own where this one runs a loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    with ThreadPoolExecutor(1, thread_name_prefix="loop") as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


__all__ = ["run_to_end"]
