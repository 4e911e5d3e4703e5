"""A coroutine is run to its end with and without a loop in this thread."""

import asyncio
import threading

import pytest

from ranking.own_loop import run_to_end


async def where() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


def test_without_a_loop_it_runs_here():
    assert run_to_end(where) == threading.current_thread().name


def test_beside_a_loop_as_in_a_notebook_it_runs_in_a_thread_of_its_own():
    async def notebook() -> str:
        return run_to_end(where)

    assert asyncio.run(notebook()).startswith("loop")


def test_its_error_comes_out():
    async def fails() -> None:
        raise ValueError("no")

    async def notebook() -> None:
        run_to_end(fails)

    with pytest.raises(ValueError, match="no"):
        asyncio.run(notebook())
