"""The plugin's own tests, on Lucene's test framework, against the jars of each server."""

from __future__ import annotations

from threading import Event

import pytest

from ranking.errors import StackError
from stack import plugin
from stack.bundle import distribution
from tests.integration.conftest import missing
from tests.integration.plugin.conftest import VERSIONS

pytestmark = pytest.mark.engines


@pytest.mark.parametrize("version", VERSIONS)
def test_the_java_tests_pass(version: str) -> None:
    try:
        home = distribution(version, Event())
    except StackError as e:
        missing(str(e))
    made = plugin.build(home, tests=True)  # raises with the last lines of Maven where a test fails
    assert made.es_version == version
