"""Elasticsearch 8.19 with its client; and what a client of version 9 is told by such a server."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from ranking.settings import get_settings
from tests import es8
from tests.integration.conftest import missing

pytestmark = pytest.mark.engines


def test_scores_templates_and_boosts_are_the_same_on_8_19_with_its_client(tmp_path: Path) -> None:
    try:
        interpreter = es8.python(get_settings().state_dir.resolve() / "es8" / "venv")
    except subprocess.CalledProcessError as e:
        missing(f"the client of 8.19 cannot be installed: {e}")
    with es8.server(interpreter, tmp_path) as env:
        assert es8.run_tests(interpreter, env, es8.files(es8.QUICK)) == 0
        if version("elasticsearch").startswith("8."):
            return
        ours = [sys.executable, *es8.RANK_CLI, "search", "x"]
        done = subprocess.run(ours, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    sentence, hint = done.stderr.splitlines()
    assert f"this server does not speak to client {version('elasticsearch')}" in sentence
    assert hint.startswith("hint: pip install 'elasticsearch>=8.19,<9'")
