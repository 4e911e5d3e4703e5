"""Guarded roll-outs, the statistics: intervals by hand and by brute force, and how often they are wrong.

RANK_ROLLOUT_RUNS (10 by default) simulated roll-outs of each kind; docs/rollout.md has the figures of 1,000.
"""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from scipy import special, stats

from monitoring.rollout.evidence import Finding, judge
from monitoring.rollout.intervals import (
    EVERYTHING,
    cautious,
    difference,
    quantile,
    quantile_interval,
    reach,
    relative_change,
)
from monitoring.rollout.observed import Observed, Side
from monitoring.rollout.rules import Rules, parse_rules
from monitoring.rollout.sample_ratio import STRENGTH, mismatch_p
from monitoring.rollout.simulate import Effect, looks, simulate_searches
from replay.ab.contrast import Arm

RUNS = int(os.environ.get("RANK_ROLLOUT_RUNS", "10"))


class TestIntervals:
    def test_a_ratio_to_a_control_that_is_known_exactly_is_the_canarys_own_interval(self) -> None:
        control, canary = Arm(100, 2.0, 0.0), Arm(100, 3.0, 4.0)  # standard error 0.2
        assert relative_change(control, canary, 3.0) == pytest.approx((2.4 / 2 - 1, 3.6 / 2 - 1))
        assert difference(control, canary, 3.0) == pytest.approx((0.4, 1.6))

    def test_at_each_end_of_a_ratio_canary_minus_r_control_just_touches_zero(self) -> None:
        control, canary, wide = Arm(400, 0.20, 0.16), Arm(100, 0.17, 0.14), 3.5
        for end in relative_change(control, canary, wide):
            r = 1 + end
            far = wide * math.sqrt(canary.error**2 + (r * control.error) ** 2)
            assert abs(canary.value - r * control.value) == pytest.approx(far)

    def test_a_control_not_told_apart_from_zero_bounds_nothing(self) -> None:
        assert relative_change(Arm(100, 0.01, 0.01), Arm(100, 0.5, 0.1), 3.0) == EVERYTHING

    def test_a_canary_of_whom_nobody_bought_yet_is_no_surer_than_the_control(self) -> None:
        control, canary = Arm(20_000, 0.01, 0.0099), Arm(200, 0.0, 0.0)
        wide = reach(20_200, planned=20_000, alpha=0.002)
        assert difference(control, canary, wide)[1] < 0  # taken at its word it would be far worse
        assert difference(control, cautious(control, canary), wide)[1] > 0

    @pytest.mark.parametrize(("share", "expected"), [(0.5, 5.0), (0.95, 10.0), (0.9, 9.0), (0.01, 1.0)])
    def test_the_quantile_is_the_smallest_value_with_that_share(self, share: float, expected: float) -> None:
        assert quantile(np.arange(10.0, 0, -1), share) == expected

    @pytest.mark.parametrize("users", [40, 400, 4000])
    def test_the_quantiles_interval_is_that_of_every_value_tried(self, users: int) -> None:
        rng = np.random.default_rng(users)
        owner = np.repeat(np.arange(users), 1 + rng.poisson(2, users))
        values = np.ceil(20 * np.exp(rng.normal(0, 0.3, users)[owner] + rng.normal(0, 0.5, len(owner))))
        wide, share = 4.0, 0.9
        kept = []
        searches = np.bincount(owner, minlength=users)
        for x in np.unique(values):
            below = np.bincount(owner, weights=values <= x, minlength=users)
            f = below.sum() / searches.sum()
            error = math.sqrt(np.var((below - f * searches) / searches.mean(), ddof=1) / users)
            far = wide * max(error, math.sqrt(share * (1 - share) / len(values)))
            kept.append((x, f + far >= share, f - far >= share))
        low = next(x for x, reaches, _ in kept if reaches)
        high = next((x for x, _, surely in kept if surely), math.inf)
        assert quantile_interval(values, owner, users, share, wide) == (low, high)
        assert low <= quantile(values, share) <= high

    def test_a_quantile_is_covered_at_every_look_together(self) -> None:
        """Log-normal times, ten looks: of 30 runs, 1.5 are expected to miss at the very most."""
        true, missed = math.exp(0.5 * stats.norm.ppf(0.95)), 0
        for run in range(30):
            rng = np.random.default_rng([7, run])
            values = np.exp(rng.normal(0, 0.5, 3000))
            owner = np.arange(3000)
            ends = [
                quantile_interval(values[:n], owner[:n], n, 0.95, reach(n, planned=3000, alpha=0.05))
                for n in range(300, 3001, 300)
            ]
            missed += not all(low <= true <= high for low, high in ends)
        assert missed <= 2


class TestSampleRatio:
    def test_two_users_of_the_canary_by_hand(self) -> None:
        # (a / S * (a + 1) / (S + 1)) / share**2 with a = S / 2
        factor = (0.5 * (STRENGTH / 2 + 1) / (STRENGTH + 1)) / 0.25
        assert mismatch_p(2, 0, 0.5) == pytest.approx(1 / factor)
        assert mismatch_p(1, 0, 0.5) == 1.0

    @pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
    def test_the_factor_is_one_on_average_whatever_the_number_of_users(self, share: float) -> None:
        """What makes it a martingale, so that p may be looked at after every user."""
        a, b = STRENGTH * share, STRENGTH * (1 - share)
        n = 300
        k = np.arange(n + 1)
        log_factor = special.betaln(a + k, b + n - k) - special.betaln(a, b)
        log_factor -= k * math.log(share) + (n - k) * math.log1p(-share)
        assert float(np.exp(stats.binom.logpmf(k, n, share) + log_factor).sum()) == pytest.approx(1.0)
        for some in (0, 7, 150, 300):
            expected = math.exp(-max(log_factor[some], 0.0))
            assert mismatch_p(some, n - some, share) == pytest.approx(expected)

    def test_a_tenth_lost_of_half_is_seen_and_an_even_split_is_not(self) -> None:
        assert mismatch_p(4500, 5000, 0.5) < 1e-3
        assert mismatch_p(4950, 5000, 0.5) == 1.0


def side(n: int, **columns: np.ndarray) -> Side:
    ones = {name: np.ones(n) for name in ("searches", "asked", "shown", "shown@10")}
    nothing = {name: np.zeros(n) for name in ("empty", "failures", "purchases", "rr", "clicks@10")}
    return Side(n, {**ones, **nothing, "scored": np.ones(n), **columns}, np.full(n, 20.0), np.arange(n))


def seen(
    control: Side, canary: Side, *, failures: int | None = 0, clicks: int = 1, bought: int = 1
) -> Observed:
    n = control.n + canary.n
    return Observed(0, 1, control, canary, n, clicks, bought, failures)


def rules(name: str, margin: str, **more: object) -> Rules:
    return parse_rules({"min_users": 100, "guardrails": {name: {"margin": margin}}, **more}, "rules.yaml")


def only(rules_: Rules, observed: Observed, share: float = 0.5) -> Finding:
    (found,) = judge(rules_, observed, share=share, n_steps=1).findings
    return found


class TestVerdicts:
    def test_an_arm_without_any_score_is_breached_although_nothing_varies(self) -> None:
        found = only(rules("score_coverage", "1pp"), seen(side(200), side(200, scored=np.zeros(200))))
        assert (found.verdict, found.control, found.canary, found.change) == ("breached", 1.0, 0.0, -1.0)

    def test_equal_arms_hold_an_absolute_margin(self) -> None:
        found = only(rules("error_rate", "0.2pp"), seen(side(200), side(200)))
        assert (found.verdict, found.low, found.high) == ("holds", 0.0, 0.0)

    def test_too_few_users_decide_nothing(self) -> None:
        found = only(rules("score_coverage", "1pp"), seen(side(99), side(99, scored=np.zeros(99))))
        assert found.verdict == "open"

    @pytest.mark.parametrize(
        ("name", "unknown"),
        [("BCR", {"bought": 0}), ("CTR@10", {"clicks": 0}), ("error_rate", {"failures": None})],
    )
    def test_what_the_log_cannot_say_has_no_data(self, name: str, unknown: dict[str, int | None]) -> None:
        margin = "1pp" if name == "error_rate" else "5%"
        assert only(rules(name, margin), seen(side(200), side(200), **unknown)).verdict == "no data"  # type: ignore[arg-type]

    def test_harm_of_less_is_better_is_growth(self) -> None:
        rng = np.random.default_rng(1)
        many = (rng.random(5000) < 0.10).astype(float)
        few = (rng.random(5000) < 0.02).astype(float)
        found = only(rules("zero_result_rate", "1pp"), seen(side(5000, empty=few), side(5000, empty=many)))
        assert (found.verdict, found.less_is_better) == ("breached", True)
        better = only(rules("zero_result_rate", "1pp"), seen(side(5000, empty=many), side(5000, empty=few)))
        assert better.verdict == "holds"

    def test_a_loss_of_users_is_a_mismatch(self) -> None:
        found = judge(rules("RR", "5%"), seen(side(5000), side(4400)), share=0.5, n_steps=1)
        assert found.mismatch
        assert not judge(rules("RR", "5%"), seen(side(5000), side(4970)), share=0.5, n_steps=1).mismatch


def test_a_harmless_canary_is_hardly_ever_rolled_back_and_a_harmful_one_is() -> None:
    """Margins of 0: a harmless canary is just as bad as is tolerated. Simulated users, 12 looks."""
    tight = parse_rules({"guardrails": {"CTR@10": {"margin": "0%"}, "took_p95": {"margin": "0%"}}}, "r")
    breached = {"harmless": 0, "harmful": 0}
    for run in range(RUNS):
        for kind, effect in (("harmless", Effect()), ("harmful", Effect(clicks=0.6))):
            rng = np.random.default_rng([11, run])
            drawn = simulate_searches(rng, rng.random(4000) < 0.3, 24, effect)
            found = (judge(tight, now, share=0.3, n_steps=1) for _, now in looks(drawn, 24, every=2))
            breached[kind] += any(one.breached for one in found)
    assert breached["harmless"] <= max(1, round(0.05 * RUNS))
    assert breached["harmful"] >= 0.95 * RUNS
