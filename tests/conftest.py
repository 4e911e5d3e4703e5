"""How `pytest -n` shares the tests out: those on the local stack's engines stay in one process, in order.

Some of these kill an engine, and each has the engines' whole speed in its figures. The others need none, or
start servers of their own, and run beside them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Of tests/integration, what runs beside the local stack: folders, and modules, of which two share a server.
BESIDE = {
    "model": "model",
    "plugin": "plugin",
    "report": "report",
    "simulated": "simulated",
    "test_docs_site.py": "docs",
    "test_es8.py": "es8",
    "test_labelling_process.py": "labelling",
    "test_roles.py": "secure",
    "test_secure.py": "secure",
    "test_statistics_docs.py": "docs",
}


def group(path: Path) -> str:
    """The tests that a process takes as one, by the path of their module."""
    folder, name = path.relative_to(TESTS).parts[:2]
    if folder in ("unit", "fuzz"):
        return "units"  # the local stack's unit tests want ports of their own: one process
    return BESIDE.get(name, "engines") if folder == "integration" else "engines"


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item.path)))
