"""The pages on export, attributes and similar items, run as a reader would; a cluster is in integration."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from ranking.cli import full_app
from scorer.similar.finetune import Epoch, Finetuned
from tests.unit.scorer.photo_zoo import scene

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("export.md", "attributes.md", "similar.md")
ASKS_A_CLUSTER = ("similar ITEM_ID", "scorer embed", "connect()")


def blocks(page, kind):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, flags=re.M | re.S)


def lines(page):
    for block in blocks(page, "sh"):
        yield from block.splitlines()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("front.jpg", "back.jpg", "photos/train/dress/a.jpg", "photos/validation/dress/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        scene(200, 260).save(tmp_path / name)
    Image.new("RGB", (60, 80), (200, 40, 40)).save(tmp_path / "photos/train/dress/c.jpg")
    monkeypatch.chdir(tmp_path)
    epochs = (Epoch(0, None, 0.1, 0.1, 0.1, 1.0), Epoch(1, 3.0, 0.2, 0.2, 0.2, 1.0))
    done = Finetuned(tmp_path / "runs", 1, epochs, None, None, ())  # the run itself takes minutes
    monkeypatch.setattr("scorer.similar.finetune.finetune", lambda *_, **__: done)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_every_snippet_runs(page, folder):
    ran = 0
    for line in lines(page):
        program, *words = shlex.split(line, comments=True)
        assert program == "rank-cli"
        if any(text in line for text in ASKS_A_CLUSTER):
            command = get_command(full_app())
            while hasattr(command, "commands"):
                command = command.commands[words.pop(0)]
            command.make_parser(command.make_context("x", list(words), resilient_parsing=True)).parse_args(
                words
            )
            continue
        done = CliRunner().invoke(full_app(), words)
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception}"
        ran += 1
    for text in blocks(page, "python"):
        code = compile(text, page, "exec")  # that of a cluster is run by tests/integration/test_similar.py
        if not any(word in text for word in ASKS_A_CLUSTER):
            exec(code, {})
    assert ran >= 3
