"""A/B analysis against scipy, by hand, and by simulation where the truth is known."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from ranking.capture import CapturedItem, Event, write_captures, write_events
from ranking.errors import InputError
from ranking.profile import Profile
from replay import ab
from replay.ab.table import detail_rows, paper_rows
from tests.unit.replay.captured import record


def users(rows: dict[str, list[Any]], **columns: list[Any]) -> ab.Users:
    """Users from purchases by variant, with other columns in the same order."""
    n = sum(map(len, rows.values()))
    table = {
        "user_id": [f"u{i}" for i in range(n)],
        "variant": [name for name, values in rows.items() for _ in values],
        "purchases": [value for values in rows.values() for value in values],
    }
    return ab.users_of(
        pa.table(table | columns), "test", needed=[name for name in columns if name == "revenue"]
    )


def test_t_by_hand() -> None:
    # control 0 1 2: mean 1, variance 1; additive 2 2 3 5: mean 3, variance 2
    found = ab.analyze(users({"control": [0, 1, 2], "additive": [2, 2, 3, 5]})).find("ATPU", "additive")
    t = 2 / math.sqrt(1 / 3 + 2 / 4)
    df = (1 / 3 + 2 / 4) ** 2 / ((1 / 3) ** 2 / 2 + (2 / 4) ** 2 / 3)
    assert (found.control, found.value, found.ratio) == (1.0, 3.0, 3.0)
    assert found.t == pytest.approx(t, rel=1e-14)
    assert found.df == pytest.approx(df, rel=1e-14)
    log_error = math.sqrt(1 / 3 / 1**2 + 2 / 4 / 3**2)
    reach = stats.t.ppf(0.975, df)
    assert found.ratio_low == pytest.approx(3 * math.exp(-reach * log_error), rel=1e-12)
    # shares of buyers: 2 of 3 against 4 of 4, variances 1/3 and 0
    bcr = ab.analyze(users({"control": [0, 1, 2], "additive": [2, 2, 3, 5]})).find("BCR", "additive")
    assert bcr.ratio == pytest.approx(1.5)
    assert bcr.t == pytest.approx((1 / 3) / math.sqrt(1 / 9), rel=1e-14)


@pytest.mark.parametrize("pooled", [False, True])
def test_t_and_interval_are_scipys(pooled: bool) -> None:
    rng = np.random.default_rng(1)
    arms = {"control": rng.poisson(0.4, 900), "additive": rng.poisson(0.45, 700)}
    made = users({name: list(values) for name, values in arms.items()})
    found = ab.analyze(made, pooled=pooled, split={"control": 9, "additive": 7})
    for metric, values in {"ATPU": arms, "BCR": {name: arm > 0 for name, arm in arms.items()}}.items():
        one, two = (values[name].astype(float) for name in ("additive", "control"))
        expected = stats.ttest_ind(one, two, equal_var=pooled)
        got = found.find(metric, "additive")
        assert got.t == pytest.approx(expected.statistic, rel=1e-12)
        assert got.p == pytest.approx(expected.pvalue, rel=1e-10)
        assert got.df == pytest.approx(expected.df, rel=1e-12)
        assert got.low == pytest.approx(expected.confidence_interval(0.95).low, rel=1e-10)
        assert got.high == pytest.approx(expected.confidence_interval(0.95).high, rel=1e-10)


def test_the_delta_method_by_hand() -> None:
    # y 1 2 3 over x 2 2 4: ratio 6/8; residuals y - .75 x = -.5 .5 0, over mean x 8/3
    arm = ab.ratio_arm(np.array([1.0, 2, 3]), np.array([2.0, 2, 4]))
    assert arm.value == 0.75
    assert arm.variance == pytest.approx((0.25 + 0.25) / 2 / (8 / 3) ** 2, rel=1e-14)


def test_the_delta_method_covers_a_ratio_whose_users_differ() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(1000):
        arms = []
        for _arm in range(2):
            rate, searches = rng.beta(2, 8, size=400), rng.geometric(0.2, size=400)
            arms.append(ab.ratio_arm(rng.binomial(searches, rate).astype(float), searches.astype(float)))
        found = ab.contrast(*arms)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0 <= found.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_the_interval_of_the_ratio_covers_the_ratio() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(1000):
        arms = [ab.mean_arm(rng.poisson(rate, size=500).astype(float)) for rate in (0.3, 0.36)]
        found = ab.contrast(*arms)
        assert found.ratio_low is not None
        assert found.ratio_high is not None
        covered += found.ratio_low <= 1.2 <= found.ratio_high
    assert 0.93 <= covered / 1000 <= 0.97


def test_cuped_is_the_regression_on_what_was_known_before() -> None:
    rng = np.random.default_rng(3)
    c = (rng.gamma(1, 2, size=500), rng.gamma(1, 2, size=600))
    y = (c[0] + rng.normal(size=500), c[1] + 0.3 + rng.normal(size=600))
    before, after, removed = ab.cuped_arms(y, c)
    # the difference equals the coefficient of the arm in a least-squares fit on arm and covariate
    arm = np.repeat([0.0, 1.0], [500, 600])
    fit = np.linalg.lstsq(
        np.column_stack([np.ones(1100), arm, np.concatenate(c)]), np.concatenate(y), rcond=None
    )
    assert after.value - before.value == pytest.approx(fit[0][1], rel=1e-10)
    assert removed == pytest.approx(0.8, abs=0.05), (
        "the covariate explains four of five parts of the variance"
    )


def test_cuped_covers_the_truth_and_users_without_a_past_move_nothing() -> None:
    rng = np.random.default_rng(8)
    covered, narrower = 0, 0
    for _ in range(1000):
        c = [rng.gamma(1, 1, size=200) for _ in range(2)]
        y = [rng.poisson(side + effect).astype(float) for side, effect in zip(c, (0.5, 0.8), strict=True)]
        for side in c:
            side[rng.random(200) < 0.2] = np.nan
        plain = ab.contrast(ab.mean_arm(y[0]), ab.mean_arm(y[1]))
        one, two, _removed = ab.cuped_arms((y[0], y[1]), (c[0], c[1]))
        found = ab.contrast(one, two)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.3 <= found.high
        narrower += found.error < plain.error
    assert 0.93 <= covered / 1000 <= 0.97
    assert narrower == 1000
    constant = ab.cuped_arms((y[0], y[1]), (np.full(200, np.nan), np.full(200, np.nan)))
    assert constant[2] == 0.0


def test_intervals_of_every_look_hold_where_daily_t_tests_do_not() -> None:
    """1,000 A/A tests of purchases, looked at after every 100 users: who ever sees an effect?"""
    rng = np.random.default_rng(4)
    runs, looks, step = 1000, 60, 50
    sums = [rng.poisson(0.3, size=(runs, looks * step)).astype(float) for _ in range(2)]
    wrong_always, wrong_t = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    for look in range(2, looks + 1):
        n = look * step
        arms = [(arm[:, :n].mean(axis=1), arm[:, :n].var(axis=1, ddof=1)) for arm in sums]
        delta, error = arms[1][0] - arms[0][0], np.sqrt((arms[0][1] + arms[1][1]) / n)
        for run in range(runs):
            if not wrong_always[run]:
                found = ab.always_valid(delta[run], error[run], 2 * n, planned=6000)
                assert found is not None
                wrong_always[run] = not found[0] <= 0 <= found[1]
        wrong_t |= np.abs(delta) > 1.96 * error
    assert wrong_always.mean() < 0.05
    assert wrong_t.mean() > 0.2


def test_the_always_valid_p_value_agrees_with_its_interval_and_with_msprt() -> None:
    for delta in (0.0, 0.01, 0.031, 0.032, 0.033, 0.05):
        found = ab.always_valid(delta, 0.01, 5000, planned=5000)
        assert found is not None
        low, high, p = found
        assert (p < 0.05) == (not low <= 0 <= high)
        assert p <= 1
    # mSPRT, normal mixture of variance tau2: sqrt(V / (V + tau2)) exp(z2 tau2 / (2 (V + tau2)))
    wanted = -2 * math.log(0.05)
    tau2 = 0.01**2 * 5000 * (wanted + math.log(wanted + 1)) / 5000
    v = 0.01**2
    likelihood_ratio = math.sqrt(v / (v + tau2)) * math.exp((0.05 / 0.01) ** 2 * tau2 / (2 * (v + tau2)))
    assert found[2] == pytest.approx(1 / likelihood_ratio, rel=1e-12)
    assert ab.always_valid(0.1, 0.0, 10) is None


def test_always_valid_intervals_are_wider_than_those_of_one_look() -> None:
    found = ab.always_valid(0.0, 1.0, 100_000)
    assert found is not None
    assert 2.5 < found[1] < 3.1


def test_a_sample_ratio_mismatch_by_hand() -> None:
    made = users({"control": [0, 1] * 500, "additive": [0, 1] * 600})
    found = ab.balances(made)[0]
    assert found.chi2 == pytest.approx(2 * 100**2 / 1100, rel=1e-12)
    assert found.p == pytest.approx(math.erfc(math.sqrt(found.chi2 / 2)), rel=1e-9)  # one degree of freedom
    assert found.mismatch
    assert "SAMPLE RATIO MISMATCH on all: additive 1200 (54.55% instead of 50.00%)" in found.says
    assert not ab.balances(made, {"control": 1000, "additive": 1200})[0].mismatch
    assert ab.analyze(made).mismatch
    with pytest.raises(InputError, match="the split names control"):
        ab.balances(made, {"control": 1})
    with pytest.raises(InputError, match="must be above 0"):
        ab.balances(made, {"control": 1, "additive": 0})


def test_a_mismatch_on_one_platform_is_found() -> None:
    platform = ["web"] * 700 + ["ios"] * 300 + ["web"] * 300 + ["ios"] * 700
    made = users({"control": [0, 1] * 500, "additive": [0, 1] * 500}, platform=platform)
    assert [one.mismatch for one in ab.balances(made)] == [False, True, True]


def test_days_needed_scale_with_the_square_of_the_effect() -> None:
    made = users(
        {"control": [0, 1] * 500, "additive": [0, 1] * 500}, first_seen=["2024-09-02", "2024-09-08"] * 1000
    )
    assert made.days == 7
    found = ab.analyze(made, effect=0.01).find("ATPU", "additive")
    assert found.detectable is not None
    error = math.sqrt(2 * made.columns["purchases"][:1000].var(ddof=1) / 1000)
    assert found.detectable == pytest.approx((1.9612 + 0.8418) * error / 0.5, rel=1e-3)
    assert found.days_needed == pytest.approx(7 * (found.detectable / 0.01) ** 2, rel=1e-12)


def test_adjustment_is_over_the_metrics_and_variants_of_a_platform() -> None:
    rng = np.random.default_rng(6)
    made = users({name: list(rng.poisson(0.5, 300)) for name in ("control", "additive", "multiplicative")})
    found = ab.analyze(made, adjustment="holm")
    p = sorted(one.p for one in found.results if one.p is not None)
    assert len(p) == 4  # two metrics, two variants
    assert min(one.p_adjusted for one in found.results if one.p_adjusted is not None) == min(1, 4 * p[0])


def test_the_table_is_laid_out_as_table_2_of_the_paper() -> None:
    made = ab.users_of(ab.simulate_users(60_000, seed=11), "simulated")
    rows = paper_rows(ab.analyze(made), "web")
    assert [row["Metric Name"] for row in rows[:4]] == [
        "BCR",
        "BCR (via search)",
        "ATPU",
        "ATPU (via search)",
    ]
    assert list(rows[0]) == [
        "Metric Name",
        "additive/control",
        "t-value (additive vs control)",
        "multiplicative/control",
        "t-value (multiplicative vs control)",
    ]
    assert all(row["additive/control"].rstrip("*").endswith("%") for row in rows)
    assert len(rows[0]["t-value (additive vs control)"].rpartition(".")[2]) == 4
    assert len(detail_rows(ab.analyze(made), "web")) == 2 * (4 * 2 + 2)


def test_simulated_users_have_the_effect_they_were_given() -> None:
    made = ab.users_of(ab.simulate_users(600_000, seed=2), "simulated")
    assert made.simulated
    found = ab.analyze(made)
    web = found.find("ATPU (via search)", "additive", "web", cuped=True)
    assert web.ratio_low is not None
    assert web.ratio_high is not None
    assert web.ratio_low < 1.07 < web.ratio_high
    assert web.significant
    assert web.variance_removed is not None
    # taste: variance 0.18; purchases: 0.21 + 0.7² 0.18; before: 0.84 + 2.8² 0.18; one in ten has no past
    expected = 0.9 * (0.7 * 2.8 * 0.18) ** 2 / ((0.21 + 0.49 * 0.18) * (0.84 + 7.84 * 0.18))
    assert web.variance_removed == pytest.approx(expected, abs=0.02)
    mobile = found.find("ATPU (via search)", "additive", "ios")
    assert mobile.ratio is not None
    assert mobile.ratio < 1
    nothing = ab.analyze(ab.users_of(ab.simulate_users(60_000, seed=3, lift=0), "simulated"))
    assert not any(one.significant for one in nothing.results)


BAD_ROWS = [
    ("a", "control", "web", "1", "0"),
    ("", "control", "web", "1", "0"),
    ("b", "", "web", "1", "0"),
    ("c", "additive", "web", "-1", "0"),
    ("d", "additive", "web", "many", "0"),
    ("e", "additive", "web", "", "0"),
    ("f", "additive", "web", "1", "2"),
    ("g", "control", "web", "1", "1"),
    ("g", "additive", "web", "1", "1"),
    ("h", "additive", "ios", "3", "1"),
    ("h", "additive", "ios", "3", "1"),
    ("i", "additive", "web", "2", "2"),
    ("j", "additive", "", "4", "2"),
]


def test_rows_that_cannot_be_used_are_left_out_with_their_line(tmp_path: Path) -> None:
    lines = ["user_id,variant,platform,purchases,purchases_via_search", *(",".join(row) for row in BAD_ROWS)]
    lines.insert(2, "too,few")
    (tmp_path / "users.csv").write_text("\n".join(lines) + "\n")
    made = ab.read_users(tmp_path / "users.csv")
    assert sorted(made.rejects, key=lambda one: one.row) == [
        ab.Reject(2, "2 columns instead of 5"),
        ab.Reject(3, "no user_id"),
        ab.Reject(4, "no variant"),
        ab.Reject(5, "purchases is below 0"),
        ab.Reject(6, "purchases is missing or not a number"),
        ab.Reject(7, "purchases is missing or not a number"),
        ab.Reject(8, "more purchases via search than in all"),
        ab.Reject(9, "the user is in more than one variant"),
        ab.Reject(10, "the user is in more than one variant"),
        ab.Reject(11, "the user has more than one row"),
        ab.Reject(12, "the user has more than one row"),
    ]
    assert made.counts() == {"additive": 2, "control": 1}
    assert made.columns["purchases"].tolist() == [4, 2, 1] or made.columns["purchases"].tolist() == [2, 4, 1]
    ab.write_rejects(tmp_path / "rejects.csv", made)
    assert (tmp_path / "rejects.csv").read_text().splitlines()[:2] == [
        "row,reason",
        "2,2 columns instead of 5",
    ]


def test_a_row_that_breaks_the_pattern_late_in_a_large_file_is_one_reject(tmp_path: Path) -> None:
    n = 120_000  # several blocks of the CSV reader: types are guessed from the first
    rows = [f"user-{i:09},{('control', 'x')[i % 2]},{i % 3},{i % 7}.5" for i in range(n)]
    rows[n - 5] = f"user-{n - 5:09},control,many,1"
    rows[n - 3] = "torn"
    rows[n - 1] = f"user-{n - 1:09},x,1,much"
    (tmp_path / "users.csv").write_text("\n".join(["user_id,variant,purchases,revenue", *rows]) + "\n")
    revenue = ab.parse_metric("revenue")
    made = ab.read_users(tmp_path / "users.csv", [revenue])
    assert made.n == n - 3
    assert sorted(made.rejects, key=lambda one: one.row) == [
        ab.Reject(n - 4, "purchases is missing or not a number"),
        ab.Reject(n - 2, "1 columns instead of 4"),
        ab.Reject(n, "revenue is missing or not a number"),
    ]
    assert ab.analyze(made, metrics=[revenue]).find("revenue", "x").t


def test_a_column_that_no_metric_reads_leaves_nobody_out(tmp_path: Path) -> None:
    table = pa.table(
        {"user_id": ["a", "b"], "variant": ["control", "x"], "purchases": [1, 2], "age": [None, 30.0]}
    )
    ab.write_users(tmp_path / "users.parquet", table)
    assert ab.read_users(tmp_path / "users.parquet").n == 2
    made = ab.read_users(tmp_path / "users.parquet", [ab.parse_metric("age")])
    assert made.reasons() == {"age is missing or not a number": 1}


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    table = ab.simulate_users(3000, seed=5)
    for name in ("users.csv", "users.parquet"):
        ab.write_users(tmp_path / name, table)
    one, two = (
        ab.analyze(ab.read_users(tmp_path / f"users.{kind}")).as_dict() for kind in ("csv", "parquet")
    )
    assert one | {"source": ""} == two | {"source": ""}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": ["a"], "purchases": [1]}, "lacks the columns variant"),
        ({"variant": ["control"]}, "lacks the columns user_id"),
        ({"user_id": ["a"], "variant": ["control"], "purchases": [[1]]}, "purchases does not hold numbers"),
        ({"user_id": ["a"], "variant": ["control"], "purchases": [-1]}, "no usable user, such as: row 1"),
        (
            {"user_id": ["a"], "variant": ["control"], "first_seen": ["tomorrow"]},
            "first_seen holds something that is no date",
        ),
        ({"user_id": ["a"], "variant": ["control"], "platform": ["all"]}, "a platform named 'all'"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(columns: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ab.users_of(pa.table(columns), "test")


@pytest.mark.parametrize(
    ("first_seen", "days"),
    [
        (["2024-09-02T23:00:00Z", "2024-09-03T01:00:00Z"], 2),
        (["2024-09-02T23:00:00+02:00", "2024-09-03T01:00:00+02:00"], 1),  # both on the 2nd in UTC
        (["2024-09-02 10:00:00", "2024-09-05 09:00:00"], 4),
        ([date(2024, 9, 2), date(2024, 9, 4)], 3),
        ([1_725_270_000_000, 1_725_270_000_000 + 86_400_000], 2),
        ([datetime(2024, 9, 2, tzinfo=UTC), None], 1),
        (["2024-09-02", None], 1),
    ],
)
def test_days_from_every_kind_of_date(first_seen: list[Any], days: float) -> None:
    table = pa.table({"user_id": [7, 8], "variant": ["control", "x"], "first_seen": first_seen})
    assert ab.users_of(table, "test").days == days


def test_dictionaries_and_small_numbers_are_read() -> None:
    table = pa.table(
        {
            "user_id": ["a", "b"],
            "variant": pa.array(["control", "x"]).dictionary_encode(),
            "purchases": pa.array([1, 3], pa.int8()),
        }
    )
    made = ab.users_of(table, "test")
    assert (made.variants, made.columns["purchases"].tolist()) == (("control", "x"), [1.0, 3.0])


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        ab.read_users(tmp_path / "none.parquet")
    (tmp_path / "users.parquet").write_text("no")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        ab.read_users(tmp_path / "users.parquet")
    (tmp_path / "users.csv").write_text("")
    with pytest.raises(InputError, match="not a readable CSV file"):
        ab.read_users(tmp_path / "users.csv")


def test_metrics_as_users_spell_them() -> None:
    made = users(
        {"control": [1, 0, 2], "additive": [0, 3, 1]},
        revenue=[10.0, 0.0, 5.0, 0.0, 90.0, 3.0],
        searches=[1, 2, 3, 4, 5, 6],
    )
    parsed = [
        ab.parse_metric(text)
        for text in ("revenue", "ARPU = revenue".replace(" = ", "="), "PPS=purchases/searches", "B=revenue>0")
    ]
    assert [metric.name for metric in parsed] == ["revenue", "ARPU", "PPS", "B"]
    found = ab.analyze(made, metrics=parsed)
    assert found.find("ARPU", "additive").ratio == pytest.approx(93 / 15)
    assert found.find("PPS", "additive").ratio == pytest.approx((4 / 15) / (3 / 6))
    assert found.find("B", "additive").ratio == 1.0
    with pytest.raises(InputError, match="is no metric"):
        ab.parse_metric("a+b")


def test_what_cannot_be_compared_is_one_sentence() -> None:
    made = users({"control": [1, 0], "additive": [0, 3]})
    with pytest.raises(InputError, match="no user is in variant 'baseline'"):
        ab.analyze(made, control="baseline")
    with pytest.raises(InputError, match="nothing to compare"):
        ab.analyze(users({"control": [1, 0]}))
    with pytest.raises(InputError, match="neither purchases nor clicks"):
        ab.usual(["revenue"])


def test_where_nothing_varies_there_is_no_t() -> None:
    found = ab.analyze(users({"control": [0, 0], "additive": [0, 0]})).find("ATPU", "additive")
    assert (found.t, found.p, found.ratio, found.always_low, found.detectable) == (None,) * 5


def test_a_ratio_without_a_denominator_is_undefined() -> None:
    made = users({"control": [1, 0], "additive": [0, 3]}, searches=[0, 0, 1, 2])
    found = ab.analyze(made, metrics=[ab.parse_metric("purchases/searches")])
    row = found.as_dict()["results"][0]
    assert (row["control"], row["delta"], row["t"], row["p"]) == (None, None, None, None)
    assert row["value"] == 1.0
    assert detail_rows(found, "all")[0]["change"] == ""


def test_users_of_ubi_events(tmp_path: Path) -> None:
    def search(user: str, arm: str | None, query_id: str) -> dict[str, Any]:
        attributes = {"platform": "web"} | ({} if arm is None else {"variant": arm})
        return {
            "query_id": query_id,
            "client_id": user,
            "user_query": "dress",
            "timestamp": "2024-09-02T10:00:00Z",
            "query_attributes": attributes,
        }

    def event(user: str, action: str, query_id: str | None) -> dict[str, Any]:
        return {"client_id": user, "action_name": action} | ({"query_id": query_id} if query_id else {})

    lines = [
        event("a", "purchase", "1"),  # before its search in the file: order does not matter
        search("a", "control", "1"),
        search("a", "control", "2"),
        event("a", "click", "1"),
        event("a", "purchase", None),
        search("b", "additive", "3"),
        event("b", "item_click", "3"),
        search("c", None, "4"),
        search("d", "control", "5"),
        search("d", "additive", "6"),
        event("nobody", "purchase", None),
        search("e", "additive", "7"),
        search("f", "control", "8"),
    ]
    text = "\n".join(json.dumps(line) for line in lines) + "\nnot json\n"
    (tmp_path / "ubi.jsonl").write_text(text)
    made = ab.read_users(tmp_path / "ubi.jsonl")
    assert made.counts() == {"additive": 2, "control": 2}
    assert made.columns["searches"].sum() == 5
    assert made.columns["purchases"].tolist() == [0, 0, 2, 0]
    assert made.columns["purchases_via_search"].tolist() == [0, 0, 1, 0]
    assert made.columns["clicks"].sum() == 2
    assert made.reasons() == {
        "the user is in more than one variant": 2,
        "a search without variant or arm or ab_variant": 1,
        "an event of nobody who searched in a variant": 1,
        "not a JSON object": 1,
    }
    assert "per user who searched" in made.note
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"holds no \.jsonl file"):
        ab.read_users(tmp_path / "other")


def test_users_of_a_capture_folder(tmp_path: Path) -> None:
    profiles = [Profile(name="control"), Profile(name="additive")]
    searches = [
        record(
            f"s{i}",
            "dress",
            [CapturedItem("a", rel=1.0, rank=1)],
            profile,
            user_id=None if i == 9 else f"u{i}",
        )
        for i, profile in enumerate(profiles * 5)
    ]
    write_captures(tmp_path, searches, profiles)
    write_events(tmp_path, [Event("s1", "a", "click", 1, 0, simulated=True), Event("s3", "a", "click", 1, 0)])
    made = ab.read_users(tmp_path)
    assert made.counts() == {"additive": 4, "control": 5}
    assert made.simulated
    found = ab.analyze(made).find("clicks per search", "additive", "web")
    assert (found.control, found.value) == (0.0, 0.5)
    assert made.reasons() == {"a search without a user": 1}
