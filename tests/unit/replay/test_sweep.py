"""Sweeps on logs whose best profile is known, because the (simulated) judgments were made with it."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from ranking.capture import CapturedItem, CaptureRecord, write_captures
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.errors import ConfigError, InputError
from ranking.profile import Profile, load_profile
from replay import Judgments, rank, read_log
from replay.judgments import write_judgments
from replay.log import CaptureLog
from replay.measures import measure
from replay.sweep import Bench, Goal, Range, Space, parse_constraint, parse_numbers, read_space, sweep
from replay.sweep.pareto import front
from replay.sweep.space import candidate
from replay.sweep.split import split_by_time

NOW = 1_795_000_000_000
BASELINE = Profile.model_validate(
    {"name": "base", "freshness": {"scale": "14d"}, "platforms": {"ios": {"image": {"missing": 0.5}}}, "k": 5}
)
BEST = {"web": 1.5, "ios": 0.5}
N = 60


def best(platform: str, weight: float | None = None) -> Profile:
    weight = BEST[platform] if weight is None else weight
    found = candidate(
        BASELINE.for_platform(platform),
        {"image.mode": "additive", "image.weight": weight, "freshness.scale": "30d"},
    )
    assert found is not None
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each search has its own query; its items are graded in the order of the platform's best profile."""
    path = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(11)
    records = []
    for i in range(N):
        platform = ("web", "ios")[i % 2]
        now_ms = NOW + (i * 7919 % N) * 3_600_000
        items = tuple(
            CapturedItem(
                item_id=f"i{i}-{j:02d}",
                rel=float(np.float32(rng.gamma(6, 0.3))),
                image_score=float(np.float32(rng.random())),
                created_ms=int(now_ms - rng.uniform(0, 40) * DAY_MS),
                ai_prob=float(np.float32(rng.random())),
            )
            for j in range(30)
        )
        profile = BASELINE.for_platform(platform)
        records.append(
            CaptureRecord(
                f"s{i}", f"q{i}", now_ms, "items", "base", profile.hash, 5, 30, 30, None, items, platform
            )
        )
    write_captures(path, records, [BASELINE.for_platform(p) for p in BEST])
    log = read_log(path)
    rows = []
    for platform, searches in log.groups("platform"):
        ranking = rank(log, best(platform))
        for i in searches:
            for place, p in enumerate(ranking.top(log, int(i), 5)):
                rows.append((str(log.searches["query"][i]), str(log.item_id[p]), float(5 - place)))
    write_judgments(path, rows, "simulated-planted")
    return path


@pytest.fixture(scope="module")
def log(folder: Path) -> CaptureLog:
    return read_log(folder)


@pytest.fixture(scope="module")
def judgments(folder: Path) -> Judgments | None:
    from replay.judgments import read_judgments

    return read_judgments(folder)


def goal(*constraints: str) -> Goal:
    return Goal(
        objective=measure("nDCG@5"),
        against=measure("image_score@5"),
        constraints=tuple(parse_constraint(text) for text in constraints),
        k=5,
    )


SPACE = Space(
    {
        "image.mode": ["additive", "multiplicative"],
        "image.weight": Range(0, 2, 0.5),
        "freshness.scale": ["14d", "30d"],
    }
)


def test_a_grid_finds_the_planted_profile_of_each_platform(
    log: CaptureLog, judgments: Judgments, tmp_path: Path
) -> None:
    found = sweep(log, BASELINE, SPACE, goal(), judgments, per_platform=True)
    assert {scope.name: scope.winner and scope.winner.point["image.weight"] for scope in found.scopes} == BEST
    for scope in found.scopes:
        assert scope.winner is not None
        assert scope.winner.means["nDCG@5"].value == pytest.approx(1.0, abs=1e-12)
        assert scope.winner.proven == scope.searches
        assert scope.left_out == 4  # multiplicative weights of 1.5 and 2
    for platform in BEST:
        assert found.winner.for_platform(platform).image == best(platform).image
        assert found.winner.for_platform(platform).freshness == best(platform).freshness
    held = found.comparison.difference("nDCG@5")
    assert held.contender == pytest.approx(1.0, abs=1e-12)
    assert held.low is not None
    assert held.low > 0
    assert found.comparison.proven == len(found.comparison.entered) == N - found.fitted
    assert found.comparison.simulated_judgments


def test_one_point_for_all_platforms_keeps_what_the_baseline_overrides_besides(
    log: CaptureLog, judgments: Judgments
) -> None:
    found = sweep(log, BASELINE, SPACE, goal(), judgments)
    (scope,) = found.scopes
    assert scope.winner is not None
    assert scope.winner.point["freshness.scale"] == "30d"
    assert found.winner.for_platform("ios").image.missing == 0.5
    assert found.winner.for_platform("web").image.missing == 0.0
    assert found.winner.for_platform("ios").image.weight == found.winner.image.weight
    # a trial's means are those of the slow way
    trial = scope.trials[7]
    part = split_by_time(log, 0.3).fit
    values = measure("nDCG@5").values(part, rank(part, trial.profile), judgments)
    assert trial.means["nDCG@5"].value == values.mean()


@pytest.mark.parametrize("per_platform", [False, True])
def test_a_search_comes_near_the_planted_profile(
    log: CaptureLog, judgments: Judgments, per_platform: bool
) -> None:
    space = Space(
        {"image.mode": ["additive"], "image.weight": Range(0, 4), "freshness.scale": ["14d", "30d"]}
    )
    found = sweep(log, BASELINE, space, goal(), judgments, per_platform=per_platform, trials=48, seed=3)
    if per_platform:
        for scope in found.scopes:
            assert scope.winner is not None
            assert scope.winner.point["freshness.scale"] == "30d"
            assert abs(scope.winner.point["image.weight"] - BEST[scope.name]) < 0.25
    assert found.comparison.difference("nDCG@5").delta > 0


def test_a_search_goes_on_from_its_file_and_refuses_another_question(
    log: CaptureLog, judgments: Judgments, tmp_path: Path
) -> None:
    space, path = Space({"image.mode": ["additive"], "image.weight": Range(0, 4)}), tmp_path / "trials.log"
    first = sweep(log, BASELINE, space, goal(), judgments, trials=6, storage=path)
    again = sweep(log, BASELINE, space, goal(), judgments, trials=5, storage=path)
    assert [len(sweep_.scopes[0].trials) for sweep_ in (first, again)] == [6, 11]
    assert [t.means for t in again.scopes[0].trials[:6]] == [t.means for t in first.scopes[0].trials]
    with pytest.raises(InputError, match="holds a search for something else"):
        sweep(log, BASELINE, space, goal("age@5 not higher"), judgments, trials=2, storage=path)


@pytest.mark.parametrize("trials", [None, 30])
def test_a_candidate_that_breaks_a_constraint_never_wins(
    log: CaptureLog, judgments: Judgments, trials: int | None
) -> None:
    rules = ("image_score@5 <= 0.55", "freshness@5 not lower", "ai_share@5 <= 0.6")
    found = sweep(log, BASELINE, SPACE, goal(*rules), judgments, per_platform=True, trials=trials)
    for scope in found.scopes:
        broken = [trial for trial in scope.trials if not trial.feasible]
        assert broken
        for trial in scope.trials:
            means = trial.means
            assert trial.feasible == (
                means["image_score@5"].value <= 0.55
                and means["freshness@5"].value >= means["freshness@5"].baseline
                and means["ai_share@5"].value <= 0.6
            )
        winner = scope.winner
        if winner is not None:
            assert winner.feasible
            feasible = [trial for trial in scope.trials if trial.feasible]
            assert winner.means["nDCG@5"].gain == max(trial.means["nDCG@5"].gain for trial in feasible)
        assert not any(on for on, trial in zip(scope.on_front, scope.trials, strict=True) if trial.broken)
    assert set(found.kept) == set(rules)


def test_nothing_wins_where_nothing_keeps_the_constraints(log: CaptureLog, judgments: Judgments) -> None:
    found = sweep(log, BASELINE, SPACE, goal("image_score@5 >= 2"), judgments)
    assert (found.found, found.scopes[0].winner) == (False, None)
    assert found.comparison.difference("nDCG@5").delta == 0.0
    assert found.winner.for_platform("ios").image == BASELINE.for_platform("ios").image


def test_the_later_searches_are_held_out(log: CaptureLog) -> None:
    split = split_by_time(log, 0.25)
    assert len(split.fit) + len(split.held_out) == N
    assert len(split.held_out) == 15
    assert split.fit.searches["now_ms"].max() < split.at_ms == split.held_out.searches["now_ms"].min()


def test_searches_of_one_clock_cannot_be_split(log: CaptureLog) -> None:
    same = log.pick(np.zeros(4, dtype=np.int64))
    with pytest.raises(InputError, match="cannot be split by time"):
        split_by_time(same, 0.3)
    with pytest.raises(InputError, match="between 0 and 1"):
        split_by_time(log, 1.0)


def test_the_front_is_that_of_comparing_every_pair() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, y = rng.integers(0, 6, (2, 20)).astype(float)
        x[rng.random(20) < 0.1] = np.nan
        wanted = [
            not (np.isnan(a) or np.isnan(b))
            and not any(c >= a and d >= b and (c > a or d > b) for c, d in zip(x, y, strict=True))
            for a, b in zip(x, y, strict=True)
        ]
        assert front(x, y).tolist() == wanted


def test_the_command_writes_a_profile_that_loads_as_what_won(folder: Path, tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(yaml.safe_dump(BASELINE.model_dump(mode="json", exclude_defaults=True)))
    out, picture = tmp_path / "profiles" / "won.yaml", tmp_path / "front.html"
    command = ["replay", "sweep", str(folder), "--baseline", str(base), "--weights", "0:2:0.5", "--k", "5"]
    command += ["--modes", "additive,multiplicative", "--scales", "14d,30d", "--objective", "nDCG@5"]
    command += ["--per-platform", "--write", str(out), "--picture", str(picture)]
    result = CliRunner().invoke(full_app(), [*command, "--format", "json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["held_out_proven_share"] == 1.0
    assert told["held_out"]["simulated_judgments"] is True
    content = yaml.safe_load(out.read_text())
    assert content["extends"] == "../base.yaml"
    assert content["name"] == "base-swept"
    won = load_profile(out)
    for platform in BEST:
        assert won.for_platform(platform).image == best(platform).image
        assert won.for_platform(platform).freshness == best(platform).freshness
    html = picture.read_text()
    assert html.count("<svg") == 2
    assert "http" not in html
    assert "simulated" in html
    table = CliRunner().invoke(full_app(), command)
    assert table.exit_code == 0
    assert "winner" in table.stdout


class TestRefused:
    def test_a_measure_that_needs_judgments_without_any(self, log: CaptureLog) -> None:
        with pytest.raises(InputError, match="needs judgments"):
            sweep(log, BASELINE, SPACE, goal(), None)

    def test_a_factor_that_the_log_does_not_hold(self, log: CaptureLog, judgments: Judgments) -> None:
        factor = {"type": "rule", "field": "seller", "any_of": ["a"], "weight": 1.0}
        baseline = Profile.model_validate({"name": "f", "factors": [factor]})
        with pytest.raises(InputError, match="seller, which the log does not hold"):
            sweep(log, baseline, Space({"factors.0.weight": [1.0, 2.0]}), goal(), judgments)

    def test_a_factor_that_the_baseline_has_not(self, log: CaptureLog, judgments: Judgments) -> None:
        with pytest.raises(InputError, match=r"factors\.0\.weight leads nowhere"):
            sweep(log, BASELINE, Space({"factors.0.weight": [1.0]}), goal(), judgments)

    def test_a_space_of_nothing_valid(self, log: CaptureLog, judgments: Judgments) -> None:
        with pytest.raises(InputError, match="no point of the space"):
            sweep(log, BASELINE, Space({"image.weight": [-1.0]}), goal(), judgments)

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({}, "nothing to sweep"),
            ({"k": [1]}, "cannot be swept"),
            ({"base_query.type": ["x"]}, "cannot be swept"),
        ],
    )
    def test_keys_that_are_no_part_of_the_formula(self, keys: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            Space(keys)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "text", ["", "nDCG@10", "nDCG@10 = 3", "nDCG@10 <= x", "nDCG@10 <= inf", "a not lower"]
    )
    def test_words_that_are_no_constraint(self, text: str) -> None:
        with pytest.raises(InputError):
            parse_constraint(text)

    @pytest.mark.parametrize("text", ["a", "0:1:0", "2:1:1", "0:1:2:3", "1,,2", "0:nan:1"])
    def test_words_that_are_no_numbers(self, text: str) -> None:
        with pytest.raises(InputError, match="--weights"):
            parse_numbers(text, "--weights")

    @pytest.mark.parametrize(
        "text",
        [
            "- a",
            "image.weight: {from: 1}",
            "image.weight: 3",
            "a: [1]",
            "image.weight: {low: a, high: 2}",
            "{",
        ],
    )
    def test_a_file_that_is_no_space(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "space.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"space\.yaml"):
            read_space(tmp_path / "space.yaml")

    def test_a_measure_that_is_better_neither_way_is_no_goal(self) -> None:
        with pytest.raises(InputError, match="better neither higher nor lower"):
            Goal(objective=measure("price@10"), against=measure("age@10"))

    def test_a_measure_without_a_cutoff(self, log: CaptureLog, judgments: Judgments) -> None:
        with pytest.raises(InputError, match="AP has no cutoff"):
            Bench(log, BASELINE, [measure("AP")], judgments, 5)


def test_a_space_from_a_file_has_every_combination(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "image.weight: {low: 0, high: 0.3, step: 0.1}\n"
        "image.transform: [identity, {type: power, exponent: 2}]"
    )
    points = list(read_space(path).grid())
    transforms = ["identity", {"type": "power", "exponent": 2}]
    assert points == [
        {"image.weight": weight, "image.transform": transform}
        for weight, transform in product([0.0, 0.1, 0.2, 0.3], transforms)
    ]
    profile = candidate(BASELINE, points[1])
    assert profile is not None
    assert profile.image.transform.type == "power"
