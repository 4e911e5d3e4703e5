"""`rank-cli replay run` on a capture made by hand: measures, segments, tests, as a user spells them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ranking.capture import CapturedItem
from ranking.cli import full_app
from ranking.errors import InputError
from ranking.profile import find_profile
from replay.judgments import write_judgments
from tests.unit.replay.captured import log_of, record

run = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("captures")
    rng = np.random.default_rng(1)
    control = find_profile("control")
    served = [control.for_platform(platform) for platform in ("web", "ios")]

    def items() -> list[CapturedItem]:
        return [
            CapturedItem(
                f"i{j:02}",
                rel=float(np.float32(rng.random() * 10)),
                image_score=float(np.float32(rng.random())),
                category=("shoes", "bags")[j % 2],
            )
            for j in range(20)
        ]

    records = [
        record(
            f"s{i}", f"q{i % 12}", items(), served[i % 2], platform=("web", "ios")[i % 2], user_id=f"u{i % 7}"
        )
        for i in range(40)
    ]
    log_of(path, records, *served)
    grades = [(f"q{q}", f"i{j:02}", float(rng.integers(0, 4))) for q in range(12) for j in range(20)]
    write_judgments(path, grades, "simulated-people")
    return path


def data(folder: Path, *words: str) -> dict[str, Any]:
    done = run.invoke(
        full_app(), ["replay", "run", str(folder), "--contender", "additive", *words, "--format", "json"]
    )
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)["comparisons"][0]
    return found


def test_the_usual_measures_by_platform(folder: Path) -> None:
    found = data(folder, "--k", "5")
    assert [row["measure"] for row in found["differences"][::3]][:2] == ["nDCG@5", "image_score@5"]
    assert {(row["dimension"], row["segment"]) for row in found["differences"]} == {
        ("all", "all"),
        ("platform", "ios"),
        ("platform", "web"),
    }
    assert {row["measure"] for row in found["agreements"]} == {"overlap@5", "RBO@5"}


@pytest.mark.parametrize("test", ["clustered", "t", "wilcoxon", "randomization", "bca"])
def test_chosen_measures_tests_and_segments(folder: Path, test: str) -> None:
    words = ("--measures", "MRR@10, P(rel=2)@5,entropy@10", "--by", "all", "--test", test, "--adjust", "holm")
    found = data(folder, *words)
    assert list(dict.fromkeys(row["measure"] for row in found["differences"])) == [
        "RR@10",
        "P(rel=2)@5",
        "entropy@10",
    ]
    assert {row["dimension"] for row in found["differences"]} == {"all", "platform", "category", "frequency"}
    assert (found["test"], found["adjustment"], found["clusters"]) == (test, "holm", "query")
    assert all(row["p"] >= row["p_raw"] for row in found["differences"] if row["p"] is not None)


def test_what_is_undefined_is_null(folder: Path) -> None:
    rows = data(folder, "--measures", "price@10")["differences"]  # no item has a price
    assert [(row["n"], row["baseline"], row["p"]) for row in rows] == [(0, None, None)] * 3


def test_the_same_seed_draws_the_same(folder: Path) -> None:
    assert data(folder, "--test", "bca") == data(folder, "--test", "bca")


def test_the_table_says_what_it_rests_on(folder: Path) -> None:
    words = ["--contender", "additive", "--effect", "1%", "--cluster", "user"]
    done = run.invoke(full_app(), ["replay", "run", str(folder), *words])
    assert done.exit_code == 0
    text = " ".join(done.stdout.split())
    assert "(simulated judgments); test clustered by user, p adjusted by bh" in text
    assert "days needed" in text
    assert "RBO@10" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--measures", "nDGC@10"), "no measure 'nDGC'"),
        (("--by", "seller"), "no dimension 'seller'"),
        (("--test", "anova"), "no test 'anova'"),
        (("--adjust", "tukey"), "no adjustment 'tukey'"),
        (("--cluster", "session"), "clustered by 'session'"),
        (("--effect", "some"), "is no relative change"),
        (("--measures", "entropy(field='seller_id')@10"), "does not hold the field 'seller_id'"),
    ],
)
def test_a_wrong_option_is_one_sentence(folder: Path, words: tuple[str, ...], message: str) -> None:
    done = run.invoke(full_app(), ["replay", "run", str(folder), *words])
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
