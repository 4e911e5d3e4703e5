"""The words of a report follow its figures."""

from types import SimpleNamespace

import numpy as np
import pytest

from ranking.profile import Profile
from replay.checks import Check
from replay.compare import Difference
from replay.report import summary_markdown
from replay.report.words import clock_suffix, date_range, listed, profile_label, signed, verdict

DAY = 86_400_000


def row(measure, segment, delta, p):
    return Difference(
        measure=measure,
        segment=segment,
        n=10,
        n_queries=5,
        baseline=0.5,
        contender=0.5 + delta,
        delta=delta,
        low=delta - 0.01,
        high=delta + 0.01,
        p=p,
        dimension="all" if segment == "all" else {"hat": "category"}.get(segment, "platform"),
    )


def comparison(*rows, entered=(1.0, 0.0)):
    def difference(measure, segment="all"):
        for one in rows:
            if (one.measure, one.segment) == (measure, segment):
                return one
        raise KeyError(measure)

    return SimpleNamespace(k=10, differences=list(rows), entered=np.array(entered), difference=difference)


PHOTOS = row("image_score@10", "all", 0.1, 0.001)
OLDER = row("age@10", "all", 0.4, 0.001)
SAME_AGE = row("age@10", "all", 0.4, 0.2)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [PHOTOS, OLDER, row("nDCG@10", "all", 0.02, 0.001)],
            "Better-scored photos and older items on the first page; nDCG@10 rises.",
        ),
        (
            [PHOTOS, SAME_AGE, row("nDCG@10", "all", 0.02, 0.3)],
            "Better-scored photos on the first page; no clear change in nDCG@10.",
        ),
        (
            [
                PHOTOS,
                SAME_AGE,
                row("nDCG@10", "all", 0.02, 0.001),
                row("nDCG@10", "android", 0.01, 0.4),
                row("nDCG@10", "ios", -0.03, 0.01),
                row("nDCG@10", "web", 0.03, 0.001),
                row("nDCG@10", "hat", 0.09, 0.001),
            ],
            "Better-scored photos on the first page; nDCG@10 rises on web, falls on ios, no clear change on "
            "android.",
        ),
        (
            [row("image_score@10", "all", -0.1, 0.001), row("age@10", "all", -1.0, 0.001)],
            "Worse-scored photos and fresher items on the first page; nothing is judged, so whether buyers "
            "gain is open.",
        ),
        (
            [row("image_score@10", "all", 0.1, None), row("nDCG@10", "all", 0.1, None)],
            "No clear change in photos or age on the first page; too few queries to tell whether nDCG@10 "
            "changes.",
        ),
    ],
)
def test_the_verdict_calls_only_significant_differences_changes(rows, sentence):
    assert verdict(comparison(*rows)) == sentence


def test_equal_pages_are_called_equal():
    same = comparison(row("nDCG@10", "all", 0.0, 1.0), entered=(0.0, 0.0))
    assert verdict(same) == "The first 10 items are the same in every search; at most their order changes."


@pytest.mark.parametrize(
    ("value", "text"), [(0.0214, "+0.021"), (-0.4, "−0.400"), (0.0001, "0.000"), (-0.0001, "0.000")]
)
def test_signed_numbers_have_a_true_minus_and_no_signed_zero(value, text):
    assert signed(value, 3) == text


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (0, 3_600_000, "1 Jan 1970"),
        (0, 13 * DAY, "1–14 Jan 1970"),
        (0, 45 * DAY, "1 Jan – 15 Feb 1970"),
        (0, 400 * DAY, "1 Jan 1970 – 5 Feb 1971"),
    ],
)
def test_date_ranges_say_nothing_twice(first, last, text):
    assert date_range(first, last) == text


@pytest.mark.parametrize(
    ("name", "image", "label"),
    [
        ("control", {}, "control"),
        ("additive", {"mode": "additive", "weight": 3}, "additive w 3"),
        ("photos", {"mode": "multiplicative", "weight": 0.5}, "photos (multiplicative w 0.5)"),
    ],
)
def test_labels_name_profile_mode_and_weight(name, image, label):
    assert profile_label(Profile.model_validate({"name": name, "image": image})) == label


def test_a_moved_clock_is_part_of_the_label():
    assert [clock_suffix(ms) for ms in (0, 7 * DAY, -DAY // 2)] == ["", ", clock +7d", ", clock −12h"]


def test_lists_read_as_english():
    assert [listed(list(names)) for names in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]


def test_the_summary_says_loudly_where_scores_are_not_exact():
    side = SimpleNamespace(profile=Profile.model_validate({"name": "control"}), clock_shift_ms=0)
    pair = comparison(PHOTOS, row("image_score@10", "web", 0.1, 0.2))
    pair.baseline = pair.contender = side
    pair.measures = [SimpleNamespace(name="image_score@10", unit="")]
    pair.proven, pair.simulated_judgments = 1, True
    log = type("Log", (), {"searches": {"now_ms": np.array([0, DAY])}, "__len__": lambda self: 2})()
    parity = SimpleNamespace(
        holds=False, bit_equal=99, scores=100, identical_topk=1, searches=2, unknown_profile=0, imported=0
    )
    checks = [check("position holes", "ok", "fine"), check("a|b", "failed", "\u202eevil](x) <img>\nline")]
    text = summary_markdown(log, [pair], parity, simulated_clicks=True, checks=checks, link="a b/r.html")
    assert "**NOT EXACT** 99 of 100 scores" in text
    assert "| image_score@10 | +0.100 [+0.090, +0.110] \\* | +0.100 [+0.090, +0.110] |" in text
    assert "exact to 10 on 1 of 2 searches" in text
    assert "clicks are simulated" in text
    assert "judgments are simulated" in text
    assert r"- **log check failed**, a\|b:  evil\]\(x\) &lt;img&gt; line" in text
    assert "position holes" not in text
    assert "[The report](a%20b/r.html)" in text


def check(name, verdict, says):
    return Check(name, verdict, 1, 2, says)


def test_checks_that_all_pass_are_one_line():
    side = SimpleNamespace(profile=Profile.model_validate({"name": "control"}), clock_shift_ms=0)
    pair = comparison(PHOTOS)
    pair.baseline = pair.contender = side
    pair.measures, pair.proven, pair.simulated_judgments = [], 2, False
    log = type("Log", (), {"searches": {"now_ms": np.array([0, DAY])}, "__len__": lambda self: 2})()
    parity = SimpleNamespace(
        holds=True, bit_equal=9, scores=9, identical_topk=2, searches=2, unknown_profile=0, imported=0
    )
    text = summary_markdown(log, [pair], parity, checks=[check("gaps", "ok", "none")] * 3)
    assert "All 3 log checks passed." in text
    assert "simulated" not in text
    assert "NOT EXACT" not in text
