"""Rules and alerts, on series by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from monitoring.alerts import judge
from monitoring.days import days_until
from monitoring.rules import default_rules, parse_rules, read_rules
from monitoring.series import History
from ranking.errors import ConfigError

LAST = "2026-11-20"


def history(values: Sequence[float | None], searches: Sequence[int] | int = 500, **fixed: Any) -> History:
    """CTR of the days up to LAST, on web."""
    days = days_until(LAST, len(values))
    counts = [searches] * len(days) if isinstance(searches, int) else searches
    return History(
        {
            "kind": "traffic",
            "day": day,
            "platform": platform,
            "profile": "all",
            "k": 10,
            "simulated": False,
            "searches": n,
            "ctr_at_k": value,
            **fixed,
        }
        for day, value, n in zip(days, values, counts, strict=True)
        for platform in ("all", "web")
    )


def alerts(rule: str, past: History) -> list[tuple[str, str, float]]:
    rules = parse_rules(f"rules:\n  - {{name: r, metric: ctr_at_k, {rule}}}", "rules.yaml")
    return [(one.platform, one.since, one.limit) for one in judge(rules, past, LAST).alerts]


def test_thresholds_hold_for_so_many_days() -> None:
    past = history([0.10, 0.04, 0.10, 0.04, 0.04])
    assert alerts("below: 0.05", past) == [("all", "2026-11-19", 0.05)]
    assert alerts("below: 0.05, for: 2", past) == [("all", "2026-11-19", 0.05)]
    assert alerts("below: 0.05, for: 3", past) == []
    assert alerts("below: 0.04", past) == []  # equal is not below
    assert alerts("above: 0.03, over: platform", past) == [("web", "2026-11-16", 0.03)]


def test_a_relative_change_is_against_the_median_of_the_days_before() -> None:
    past = history([0.10, 0.12, 0.11, 0.10, 0.08])  # the median of four is 0.105
    assert alerts("falls: 20%", past) == [("all", LAST, pytest.approx(0.105))]
    assert alerts("falls: 25%", past) == []
    assert alerts("rises: 5%", past) == []
    assert alerts("moves: 0.2", past) == [("all", LAST, pytest.approx(0.105))]
    assert alerts("falls: 20%, window: 3", past) == [("all", LAST, pytest.approx(0.11))]


def test_a_change_of_level_is_an_alert_for_a_week() -> None:
    wave = [0.10, 0.11, 0.105, 0.098, 0.102] * 6
    found = alerts("change_point: true", history([*wave[:24], *[v - 0.05 for v in wave[:6]]]))
    assert [where for where, _, _ in found] == ["all"]
    assert found[0][1] in ("2026-11-14", "2026-11-15", "2026-11-16")  # the 15th, within a day
    assert alerts("change_point: true", history([*wave[:15], *[v - 0.05 for v in wave[:15]]])) == []


def test_a_thin_day_is_not_judged_and_breaks_no_streak() -> None:
    rules = parse_rules("rules: [{name: r, metric: ctr_at_k, below: 0.05, for: 2}]", "rules.yaml")
    last_is_thin = judge(rules, history([0.04, 0.04, 0.04], [500, 500, 99]), LAST)
    assert last_is_thin.alerts == ()
    assert last_is_thin.notes == ("all searches: 99 searches, fewer than 100: not judged",)
    middle_is_thin = judge(rules, history([0.04, 0.99, 0.04], [500, 99, 500]), LAST)
    assert [one.since for one in middle_is_thin.alerts] == ["2026-11-18"]
    short = judge(parse_rules("rules: [{name: r, metric: ctr_at_k, falls: 9%}]", ""), history([1, 0.1]), LAST)
    assert short.notes == ("r: 2 days are too few to judge",)


def test_an_alert_keeps_its_id_while_it_lasts() -> None:
    rules = parse_rules("rules: [{name: r, metric: ctr_at_k, below: 0.05}]", "rules.yaml")
    past = history([0.10, 0.04, 0.04])
    (yesterday,), (today,) = (judge(rules, past, day).alerts for day in ("2026-11-19", LAST))
    assert yesterday.alert_id == today.alert_id
    assert yesterday.day != today.day
    (again,) = judge(rules, history([0.04, 0.10, 0.04]), LAST).alerts
    assert again.alert_id != today.alert_id


def test_a_share_that_is_not_all_is_not_shown_as_all() -> None:
    rules = parse_rules("rules: [{name: r, metric: score_parity, below: 1}]", "rules.yaml")
    (found,) = judge(rules, history([0.1], score_parity=0.9999999), LAST).alerts
    assert found.sentence == "all searches: Served scores as computed is 99.999 %, below 100.0 %"


def test_days_of_another_k_are_left_out() -> None:
    other = {"kind": "traffic", "platform": "all", "profile": "all", "simulated": False, "searches": 500}
    rows = [{**other, "day": day, "k": k, "ctr_at_k": 0.1} for day, k in (("2026-11-19", 20), (LAST, 10))]
    found = History(rows)
    assert (found.k, found.days, found.other_k) == (10, [LAST], ["2026-11-19"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: [{name: a, metric: ctr, below: 1}]", "rule 'a': there is no metric 'ctr'; did you mean bcr"),
        ("rules: [{name: a, metric: bcr}]", "it has none"),
        ("rules: [{name: a, metric: bcr, below: 1, above: 2}]", "it has above and below"),
        ("rules: [{name: a, metric: bcr, falls: lots%}]", "write 15% or 0.15"),
        ("rules: [{name: a, metric: bcr, falls: -3}]", "greater than 0"),
        ("rules: [{name: a, metric: bcr, below: .nan}]", "finite"),
        ("rules: [{name: a, metric: bcr, below: 1, when: now}]", "rule 'a': when"),
        ("rules: [{metric: bcr, below: 1}]", "rule 1: name"),
        ("rules: [{name: a, metric: bcr, change_point: true, for: 2}]", "leave `for` out"),
        ("rules: [{name: a, metric: index_coverage, below: 1, over: platform}]", "leave `over` out"),
        (
            "rules: [{name: a, metric: bcr, below: 1}, {name: a, metric: bcr, below: 2}]",
            "two rules are named 'a'",
        ),
        ("rules: []", "at least 1"),
        ("alerts: []", "has the key `rules`"),
        ("rules: [", "not YAML"),
        ("[" * 1100, "more than 50 levels deep"),
    ],
)
def test_a_wrong_file_of_rules_says_where(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_rules(text, "rules.yaml")
    assert problem in str(refused.value)


def test_the_rules_of_the_toolkit_are_good_and_a_missing_file_is_said(tmp_path: Path) -> None:
    assert len(default_rules().rules) == 12
    with pytest.raises(ConfigError, match="no such file"):
        read_rules(tmp_path / "none.yaml")
