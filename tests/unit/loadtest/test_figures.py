"""Histograms, shapes, summaries and verdicts against numpy and figures by hand."""

import numpy as np
import pytest

pytest.importorskip("hdrh")

from loadtest import (
    Plan,
    Sample,
    cluster_target,
    judge,
    read_result,
    read_slo,
    summarise,
    throughput_at_slo,
    write_page,
    write_result,
)
from loadtest.histogram import RELATIVE_ERROR, merged, record
from loadtest.results import Result, summed_up
from loadtest.run import order
from loadtest.shapes import logged_arrivals, shape, shaped_arrivals
from ranking.errors import ConfigError, InputError
from ranking.settings import Settings


@pytest.mark.parametrize("percent", [50, 90, 99, 99.9, 100])
def test_a_percentile_is_numpys_within_the_stated_error(percent):
    seconds = np.random.default_rng(3).lognormal(-3, 1.5, 20_001)
    exact = np.percentile(seconds, percent, method="inverted_cdf") * 1000
    assert record(seconds).percentile_ms(percent) == pytest.approx(exact, rel=RELATIVE_ERROR, abs=0.001)


def test_histograms_add_up():
    a, b = [0.001, 0.002, 0.5], [0.002, 3.0]
    assert merged([record(a), record(b)]) == record(a + b)
    assert record([]).percentile_ms(50) is None


def test_logged_arrivals_keep_their_gaps_divided_by_the_factor():
    assert logged_arrivals([5000, 1000, 2000], 2) == [0.0, 0.5, 2.0]
    with pytest.raises(InputError, match="--speed-up"):
        logged_arrivals([1, 2], 0)


@pytest.mark.parametrize(
    ("name", "windows"),
    [  # (from, to, searches expected), by hand from the rate of 40/s over 10 s
        ("soak", [(0, 5, 200), (5, 10, 200)]),
        ("ramp", [(0, 5, 50), (5, 10, 150)]),
        ("spike", [(0, 4, 40), (4, 6, 80), (6, 10, 40)]),
        ("step", [(0, 2.5, 25), (2.5, 5, 50), (5, 7.5, 75), (7.5, 10, 100)]),
        ("knee", [(0, 1.25, 12.5), (8.75, 10, 100)]),
    ],
)
def test_a_shape_sends_the_integral_of_its_rate(name, windows):
    at = np.array(shaped_arrivals([0, 100, 200], shape(name, rate=40, seconds=10)))
    assert (np.diff(at) >= 0).all()
    for low, high, n in windows:
        assert ((at > low) & (at <= high)).sum() == pytest.approx(n, abs=1.5)


def test_bursts_of_the_log_stay_bursts():
    at = shaped_arrivals([0, 10, 20, 3000, 3010, 3020], shape("soak", rate=10, seconds=10))
    gaps = np.diff(at)
    assert (gaps < 0.01).mean() > 0.5
    assert gaps.max() > 0.4


def test_rounds_alternate_which_side_goes_first():
    assert [side[0] for _, side in order(3)] == list("bccbbc")


def sampled(latencies, errors=0):
    good = [Sample(i * 0.01, i * 0.01, i * 0.01 + one, "", 5) for i, one in enumerate(latencies)]
    return [*good, *(Sample(0, 0, 0.001, "HTTP 429", -1) for _ in range(errors))]


def made(contender=2.0, errors=0, rounds=6):
    rng = np.random.default_rng(1)
    done = []
    for number, side in order(rounds):
        factor = contender if side == "contender" else 1.0
        mood = rng.uniform(0.9, 1.1)
        seconds = np.linspace(0.010, 0.100, 200) * mood * factor
        server = {"rejected": errors, "queue_max": number}
        done.append(summed_up(side, number, sampled(seconds, errors if factor > 1 else 0), server=server))
    return Result(
        profiles={"baseline": "<b>control", "contender": "x"},
        workload={"mode": "open", "platforms": {"web": 3}},
        rounds=tuple(done),
    )


def test_the_interval_of_the_ratio_holds_the_true_one_and_equal_sides_show_no_difference():
    row = summarise(made(2.0)).row("latency", 50.0)
    assert row.ratio_low <= 2.0 <= row.ratio_high
    assert row.ratio_low > 1
    same = summarise(made(1.0)).row("latency", 50.0)
    assert same.ratio_low < 1 < same.ratio_high


def test_few_rounds_give_figures_without_intervals():
    row = summarise(made(2.0, rounds=2)).row("latency", 95.0)
    assert row.ratio is not None
    assert row.ratio_low is None


def test_an_error_is_counted_and_does_not_flatter_the_percentiles():
    without, with_errors = summarise(made(2.0)), summarise(made(2.0, errors=50))
    assert with_errors.row("latency", 50.0) == without.row("latency", 50.0)
    side = with_errors.sides["contender"]
    assert (side.errors, side.n_errors, side.n) == ({"HTTP 429": 300}, 300, 1500)
    assert side.error_rate == 0.2
    assert (side.server["rejected"], side.server["queue_max"]) == (300, 5)


def test_a_slo_is_judged_limit_by_limit(tmp_path):
    path = tmp_path / "slo.yaml"
    path.write_text(
        "latency_ms: {p50: 60, p99: 500}\nmax_error_rate: 0\nmax_ratio: {p95: 2.5}\nmax_rejections: 0\n"
    )
    checks = judge(read_slo(path), summarise(made(2.0)))
    assert {check.what: check.holds for check in checks} == {
        "latency_ms p50": False,  # 2 × 55 ms, give or take the mood
        "latency_ms p99": True,
        "latency ratio p95": True,
        "error rate": True,
        "rejections": True,
    }


def test_what_was_not_measured_does_not_hold(tmp_path):
    path = tmp_path / "slo.yaml"
    path.write_text("max_rejections: 0\n")
    unseen = made()
    blind = Result(
        profiles=unseen.profiles,
        workload=unseen.workload,
        rounds=tuple(summed_up(one.side, one.number, sampled([0.01])) for one in unseen.rounds),
    )
    (check,) = judge(read_slo(path), summarise(blind))
    assert (check.found, check.holds) == (None, False)


def test_a_wrong_slo_names_every_wrong_key_at_once(tmp_path):
    path = tmp_path / "slo.yaml"
    path.write_text("latency_ms: {p98: 1}\nmax_error_rate: 7\nlatncy: 3\n")
    with pytest.raises(ConfigError) as caught:
        read_slo(path)
    assert len(caught.value.problems) == 3
    assert {problem.partition(":")[0] for problem in caught.value.problems} == {
        "latency_ms.p98",
        "max_error_rate",
        "latncy",
    }


def test_throughput_at_slo_is_the_last_step_below_the_first_that_breaks_it(tmp_path):
    plan = shape("step", rate=40, seconds=8)  # 10, 20, 30 and 40 searches/s, 2 s each
    samples = [
        Sample(at, at, at + (0.5 if 4 < at < 6 else 0.01), "", 1)
        for at in np.concatenate(
            [s + np.linspace(0.01, 1.9, n) for s, n in ((0, 20), (2, 40), (4, 60), (6, 80))]
        )
    ]
    rounds = tuple(summed_up(side, 0, samples, plan=plan) for side in ("baseline", "contender"))
    result = Result(profiles={"baseline": "a", "contender": "b"}, workload={}, rounds=rounds)
    path = tmp_path / "slo.yaml"
    path.write_text("latency_ms: {p99: 100}\n")
    assert throughput_at_slo(read_slo(path), result)["contender"] == pytest.approx(20)


def test_a_result_is_read_back_as_written_and_a_broken_one_is_refused(tmp_path):
    result = made()
    assert summarise(read_result(write_result(result, tmp_path / "r.json"))) == summarise(result)
    (tmp_path / "bad.json").write_text('{"format": 1, "rounds": 3}')
    with pytest.raises(InputError, match="not a load test's result"):
        read_result(tmp_path / "bad.json")


def test_the_page_lets_nothing_in(tmp_path):
    result = made()
    text = write_page(result, summarise(result), tmp_path / "r.html").read_text()
    assert "default-src &#39;none&#39;" in text
    assert "<b>control" not in text


@pytest.mark.parametrize("url", ["http://search.example:9200", "http://10.0.0.1:9200"])
def test_only_loopback_is_loaded_unless_told(url):
    with pytest.raises(InputError, match="another machine"):
        cluster_target(Settings(ELASTICSEARCH_URL=url))
    assert cluster_target(Settings(ELASTICSEARCH_URL=url), allow_remote=True).url == url


def test_a_login_in_the_address_goes_into_a_header_alone():
    target = cluster_target(Settings(ELASTICSEARCH_URL="http://me:p%40ss@127.0.0.1:9200"))
    assert target.url == "http://127.0.0.1:9200"
    assert target.headers["Authorization"] == "Basic bWU6cEBzcw=="


def test_an_open_plan_without_a_search_is_refused():
    with pytest.raises(InputError, match="sends no search"):
        Plan(shape="soak", rate=0.1, seconds=1).arrivals([])
