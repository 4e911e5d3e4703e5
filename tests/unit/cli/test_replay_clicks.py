"""`replay judge`, `offpolicy` and `interleave` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from ranking.cli import full_app
from ranking.errors import InputError
from ranking.explore import SwapPairs
from replay.judgments import read_judgments
from tests.unit.replay.world import BASE, BOOSTED, by_arms, explored, interleaved


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(full_app(), ["replay", *map(str, words)])


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swap")
    explored(folder, SwapPairs(0.5, 6), n=700)
    return folder


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("profiles")
    paths = {}
    for profile in (BASE, BOOSTED):
        paths[profile.name] = folder / f"{profile.name}.yaml"
        paths[profile.name].write_text(yaml.safe_dump(profile.model_dump(mode="json", exclude_defaults=True)))
    return paths


def test_judge_writes_grades_and_examination_and_calls_them_simulated(swapped: Path, tmp_path: Path) -> None:
    done = run("judge", swapped, "--to", tmp_path, "--resamples", "20", "--format", "json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["simulated"] is True
    assert result["source"] == "simulated-clicks-pbm"
    read = read_judgments(tmp_path)
    assert read is not None
    assert sum(map(len, read.by_query.values())) == result["grades"]
    assert {row["rank"] for row in result["exam_prob"]} == {1, 2, 3, 4, 5, 6}
    assert Path(result["propensities"]).is_file()
    said = run("judge", swapped, "--to", tmp_path, "--resamples", "20")
    assert "simulated clicks" in said.stdout
    assert "simulated clicks of 150 users" in said.stderr


def test_judge_refuses_what_it_cannot_do(swapped: Path, tmp_path: Path) -> None:
    ratings = tmp_path / "r.csv"
    ratings.write_text("query,docid,rating\nquery 0,x,3\n")
    assert run("judge", swapped, "--model", "ubm").exit_code == 2
    both = run("judge", swapped, "--from-ratings", ratings, "--from-labels", ratings)
    assert both.exit_code == 2
    few = run("judge", swapped, "--min-examined", "1e6", "--to", tmp_path, "--resamples", "20")
    assert isinstance(few.exception, InputError)
    assert not (tmp_path / "judgments").exists()  # nothing half-written


def test_judge_takes_ratings(swapped: Path, tmp_path: Path) -> None:
    ratings = tmp_path / "people.csv"
    ratings.write_text("query,docid,rating,rater\nquery 0,x,3,a\nquery 0,x,1,b\nelsewhere,y,2,a\n")
    words = ("judge", swapped, "--from-ratings", ratings, "--to", tmp_path, "--format", "json")
    result = json.loads(run(*words).stdout)
    assert (result["source"], result["grades"], result["ratings"]) == ("ratings-people", 2, 3)
    assert (result["queries"], result["queries_in_log"]) == (2, 1)
    assert result["mean_disagreement"] == 2.0


def test_offpolicy_estimates_and_exits_2_without_support(swapped: Path, profiles: dict[str, Path]) -> None:
    quick = ("--k", "6", "--resamples", "50", "--format", "json")
    own = run("offpolicy", swapped, "--target", profiles["control"], *quick)
    assert own.exit_code == 0, own.output
    (found,) = json.loads(own.stdout)["evaluations"]
    assert found["simulated"] is True
    assert {row["name"] for row in found["estimates"]} >= {
        "IPS",
        "SNIPS",
        "RIPS",
        "IIPS",
        "DM",
        "DR",
        "cascade DR",
    }
    assert all(row["low"] <= row["value"] <= row["high"] for row in found["estimates"])
    far = run("offpolicy", swapped, "--target", profiles["boosted"], "--k", "6", "--resamples", "50")
    assert far.exit_code == 2
    assert "the logger cannot show" in far.stderr
    assert "assumed by IPS" in far.stderr
    assert "simulated clicks" in far.stdout


def test_offpolicy_refuses_a_deterministic_log_until_told(tmp_path: Path, profiles: dict[str, Path]) -> None:
    by_arms(tmp_path, n=300, profiles=(BASE,))
    words: tuple[str | Path, ...] = ("offpolicy", tmp_path, "--target", profiles["boosted"], "--k", "6")
    refused = run(*words)
    assert isinstance(refused.exception, InputError)
    assert "deterministic" in str(refused.exception)
    assert isinstance(run(*words, "--logger", "none").exception, InputError)
    exam = tmp_path / "exam.json"
    rows = [
        {"platform": p, "rank": r, "exam_prob": round(r**-0.7, 6)}
        for p in ("web", "ios")
        for r in range(1, 7)
    ]
    exam.write_text(json.dumps({"kind": "exam_prob", "source": "a book", "rows": rows}))
    unsaid = run(*words, "--logger", "none", "--exam-probs", exam)
    assert unsaid.exit_code == 2
    assert "--trust-exam-probs" in unsaid.output
    unsaid = run(*words, "--propensities", exam)
    assert unsaid.exit_code == 2
    assert "--pages-were-drawn" in unsaid.output
    told = run(*words, "--logger", "none", "--exam-probs", exam, "--trust-exam-probs", "--resamples", "50")
    assert told.exit_code == 0, told.output
    assert "exam DR" in told.stdout
    assert "a book" in told.stderr


def test_interleave_analyses_and_plans(tmp_path: Path, swapped: Path, profiles: dict[str, Path]) -> None:
    interleaved(tmp_path, n=300)
    done = run("interleave", tmp_path, "--resamples", "50")
    assert done.exit_code == 0, done.output
    assert "simulated clicks" in done.stdout
    assert "replay gives the page that was drafted from in 300 of 300" in done.stderr
    sides = ("--baseline", profiles["control"], "--contender", profiles["boosted"])
    words = ("--power", "--k", "6", "--repetitions", "4", "--format", "json")
    plan = run("interleave", swapped, *sides, *words)
    assert plan.exit_code == 0, plan.output
    (found,) = json.loads(plan.stdout)["experiments"]
    assert found["simulated"] is True
    assert found["searches_needed"] is None or found["searches_needed"] > 10
    assert run("interleave", swapped, "--power").exit_code == 2
