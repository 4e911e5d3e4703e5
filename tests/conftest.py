"""How `pytest -n` shares the tests out: those on the local stack's engines stay in one process, in order.

Some of these kill an engine, and some count what an engine did. The others need none, or start servers of
their own, and run beside them.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

# Of tests/integration, what runs beside the local stack: folders, and modules, of which two share a server.
BESIDE = {
    "model": "model",
    "plugin": "plugin",
    "report": "report",
    "simulated": "simulated",
    "test_docs_site.py": "docs",
    "test_es8.py": "es8",
    "test_export.py": "triton",
    "test_labelling_process.py": "labelling",
    "test_loadtest_calibration.py": "calibration",
    "test_replay_beam.py": "beam",
    "test_roles.py": "secure",
    "test_secure.py": "secure",
    "test_serving.py": "triton",
    "test_serving_servers.py": "triton",
    "test_stack.py": "stack",
    "test_statistics_docs.py": "docs",
}


def group(test: str) -> str:
    """The tests that one process takes as a whole, by the id of one of them."""
    _, folder, name, *_ = PurePosixPath(test.partition("::")[0]).parts
    if folder in ("unit", "fuzz"):
        return "units"  # those of the local stack want ports of their own
    return BESIDE.get(name, "engines") if folder == "integration" else "engines"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whole groups, the one with the most tests first; xdist's own marks of groups are lost on pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return ByGroup(config, log)
