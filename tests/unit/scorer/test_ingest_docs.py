"""docs/ingest.md says what there is: its commands, options, metrics and errors."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ranking.cli.ingest import app
from scorer.ingest.metrics import Metrics

PAGE = Path("docs/ingest.md").read_text()
COMMANDS = sorted(set(re.findall(r"^rank-cli ingest (.+)$", PAGE, re.MULTILINE)))


def help_of(*words):
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_has_the_options_that_it_is_shown_with(line):
    words = shlex.split(line)
    command = words[:2] if words[0] == "dlq" else words[:1]
    text = help_of(*command)
    for option in (word for word in words if word.startswith("--")):
        assert f"{option} " in text, option


def test_every_option_that_the_page_names_is_there():
    text = " ".join(
        help_of(*command) for command in (["stream"], ["publish"], ["dlq", "replay"], ["dlq", "drop"])
    )
    for option in set(re.findall(r"`(--[a-z-]+)", PAGE)):
        assert option in text, option


def test_every_metric_is_on_the_page_and_the_other_way_round():
    there = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in Metrics().registry.collect()
    }
    assert set(re.findall(r"rank_ingest_[a-z_]+[a-z]", PAGE)) == there
