"""Which tests run beside those on the local stack's engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import BESIDE, group

INTEGRATION = Path(__file__).parents[1] / "integration"


def test_what_runs_beside_the_engines_is_there() -> None:
    assert [name for name in BESIDE if not (INTEGRATION / name).exists()] == []


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("tests/unit/stack/test_local.py::test_a[tests/faults::b]", "units"),
        ("tests/integration/plugin/test_query.py::TestA::test_b", "plugin"),
        ("tests/integration/test_secure.py::test_a", "secure"),
        ("tests/integration/test_demo.py::test_a", "engines"),
        ("tests/faults/test_faults.py::test_a", "engines"),
    ],
)
def test_a_test_is_where_its_servers_are(test: str, expected: str) -> None:
    assert group(test) == expected
