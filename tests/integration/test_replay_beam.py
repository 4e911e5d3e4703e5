"""The evaluation on Beam's DirectRunner with several worker processes: the local figures, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ranking.capture import CapturedItem, CaptureRecord, write_captures
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.profile import builtin_profiles
from replay.evaluation import Question, evaluate
from replay.judgments import write_judgments
from replay.pipeline import evaluate_with_beam

NOW = 1_795_000_000_000
PROFILES = builtin_profiles()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    served = PROFILES["control"]
    grades = []
    for part in range(5):
        records = []
        for i in range(part * 20, part * 20 + 20):
            items = tuple(
                CapturedItem(
                    item_id=f"i{j:03d}",
                    rel=1.0 + (i * 31 + j * 17) % 23 / 7,
                    image_score=None if j % 9 == 0 else (j * 37 % 100) / 100,
                    created_ms=NOW - (j * 13 % 60) * DAY_MS,
                    category=("dress", "hat")[j % 2],
                )
                for j in range(i % 40)
            )
            grades += [(f"q{i % 11}", item.item_id, float(j % 4)) for j, item in enumerate(items[::2])]
            records.append(
                CaptureRecord(
                    f"s{i}",
                    f"q{i % 11}",
                    NOW + i,
                    "items",
                    served.name,
                    served.hash,
                    10,
                    40,
                    40,
                    1.0,
                    items,
                    ("web", "ios", None)[i % 3],
                )
            )
        write_captures(tmp_path, records, [served])
    write_judgments(tmp_path, grades, "simulated-test")
    return tmp_path


def test_beam_gives_what_the_local_evaluation_gives(folder: Path) -> None:
    question = Question(
        baseline=PROFILES["control"],
        contenders=(PROFILES["additive"], PROFILES["multiplicative"]),
        categories=True,
    )
    local = evaluate(folder, question)
    beam = evaluate_with_beam(folder, question, workers=3)
    assert beam.parity == local.parity
    assert beam.table.column_names == local.table.column_names
    for name in local.table.column_names:
        mine, theirs = (one.table[name].combine_chunks() for one in (beam, local))
        if mine.type == theirs.type and "dictionary" in str(mine.type):
            assert mine.to_pylist() == theirs.to_pylist(), name
        else:
            assert mine.to_numpy().tobytes() == theirs.to_numpy().tobytes(), name
    dimensions = ("platform", "category", "frequency")
    figures = [
        json.dumps([found.as_dict() for found in one.compare(dimensions=dimensions)]) for one in (beam, local)
    ]
    assert figures[0] == figures[1]


def test_a_worker_that_refuses_is_heard(folder: Path) -> None:
    question = Question(
        baseline=PROFILES["control"],
        contenders=(PROFILES["additive"],),
        measures=("exposure(field='seller',value='x')@5",),
    )
    with pytest.raises(InputError, match="does not hold the field 'seller'"):
        evaluate_with_beam(folder, question, workers=2)
    with pytest.raises(InputError, match="there is no runner 'hadoop'"):
        evaluate_with_beam(folder, question, runner="hadoop")


def test_the_command_prints_the_same_from_beam(folder: Path) -> None:
    command = ["replay", "run", str(folder), "--contender", "additive", "--format", "json"]
    whole = CliRunner().invoke(full_app(), command)
    beam = CliRunner().invoke(full_app(), [*command, "--runner", "direct", "--workers", "2"])
    assert (whole.exit_code, beam.exit_code) == (0, 0)
    assert beam.stdout == whole.stdout
