"""How `pytest -n` shares tests out: a file stays whole, and the local stack's files stay together."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Module fixtures are made once, and two tests never want the same port at once."""
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group("stack" if folder == "stack" else str(item.path)))
