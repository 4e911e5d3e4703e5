"""Histograms, shapes, shares, summaries and verdicts against numpy and figures by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("hdrh")

from loadtest import (
    Load,
    Plan,
    Sample,
    broker_address,
    cluster_target,
    judge,
    read_result,
    read_slo,
    read_steps,
    summarise,
    throughput_at_slo,
    triton_addresses,
    write_page,
    write_result,
)
from loadtest.histogram import RELATIVE_ERROR, merged, record
from loadtest.photos import photo_files
from loadtest.plan import order
from loadtest.results import SIDES, Result, summed_up
from loadtest.sender import share, spread
from loadtest.shapes import logged_arrivals, random_arrivals, shape, shaped_arrivals
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
    assert [side[0] for _, side in order(3, SIDES)] == list("bccbbc")
    assert order(2, ["contender"]) == [(0, "contender"), (1, "contender")]


def test_independent_arrivals_are_a_poisson_process():
    counts = []
    for seed in range(200):
        at = np.array(random_arrivals(shape("step", rate=40, seconds=8), np.random.default_rng(seed)))
        assert (np.diff(at) > 0).all()
        counts.append(np.histogram(at, bins=[0, 2, 4, 6, 8])[0])
    mean, variance = np.mean(counts, axis=0), np.var(counts, axis=0)
    np.testing.assert_allclose(mean, [20, 40, 60, 80], rtol=0.05)
    np.testing.assert_allclose(variance / mean, 1.0, atol=0.45)  # of a Poisson count: its mean


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.floats(0, 60), max_size=40), st.integers(1, 7), st.integers(1, 9))
def test_processes_share_an_open_load_without_counting_anything_twice(processes, at, n_items, connections):
    n = len(at)
    load = Load(
        kind="publish",
        items=tuple(range(n_items)),
        at=tuple(sorted(at)),
        names=tuple(f"i{i}" for i in range(n)),
        looked_for=tuple(i % 2 == 0 for i in range(n)),
        connections=connections,
    )
    parts = [part for number in range(processes) if (part := share(load, number, processes)) is not None]
    sent = [
        one
        for part in parts
        for one in zip(part.at, spread(part.items, len(part.at)), part.names, part.looked_for, strict=True)
    ]
    whole = zip(load.at, spread(load.items, n), load.names, load.looked_for, strict=True)
    assert sorted(sent) == sorted(whole)
    assert all(part.at == tuple(sorted(part.at)) for part in parts)
    assert sum(part.connections for part in parts) <= max(connections, processes)


def test_processes_share_the_users_of_a_closed_load():
    load = Load(kind="search", mode="closed", items=tuple(range(10)), users=5, seconds=3)
    parts = [share(load, number, 3) for number in range(3)]
    assert [part.users for part in parts] == [2, 2, 1]
    assert [part.items[0] for part in parts] == [0, 3, 6], "not all of them the same searches at a time"
    assert share(replace(load, users=1), 2, 3) is None


def test_percentiles_of_two_processes_are_those_of_all_their_requests_and_no_average():
    fast, slow = np.full(90, 0.010), np.full(10, 0.500)
    together = summed_up("contender", 0, [*sampled(fast), *sampled(slow)])
    assert together.latency == merged([record(fast), record(slow)])
    assert together.latency.percentile_ms(50) == pytest.approx(10, rel=RELATIVE_ERROR)  # an average says 255
    assert together.latency.percentile_ms(95) == pytest.approx(500, rel=RELATIVE_ERROR)


def sampled(latencies, errors=0):
    good = [Sample(i * 0.01, i * 0.01, i * 0.01 + one, "", 5) for i, one in enumerate(latencies)]
    return [*good, *(Sample(0, 0, 0.001, "HTTP 429", -1) for _ in range(errors))]


def made(contender=2.0, errors=0, rounds=6):
    rng = np.random.default_rng(1)
    done = []
    for number, side in order(rounds, SIDES):
        factor = contender if side == "contender" else 1.0
        mood = rng.uniform(0.9, 1.1)
        seconds = np.linspace(0.010, 0.100, 200) * mood * factor
        server = {"rejected": errors, "queue_max": number}
        done.append(summed_up(side, number, sampled(seconds, errors if factor > 1 else 0), server=server))
    return Result(
        labels={"baseline": "<b>control", "contender": "x"},
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
    side = with_errors.figures["search"]["contender"]
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
        labels=unseen.labels,
        workload=unseen.workload,
        rounds=tuple(summed_up(one.side, one.number, sampled([0.01])) for one in unseen.rounds),
    )
    (check,) = judge(read_slo(path), summarise(blind))
    assert (check.found, check.holds) == (None, False)


def test_a_wrong_slo_names_every_wrong_key_at_once(tmp_path):
    path = tmp_path / "slo.yaml"
    path.write_text("latency_ms: {p98: 1}\nmax_error_rate: 7\nlatncy: 3\nscore: {max_ratio: {p50: 2}}\n")
    with pytest.raises(ConfigError) as caught:
        read_slo(path)
    assert len(caught.value.problems) == 4
    assert {problem.partition(":")[0] for problem in caught.value.problems} == {
        "latency_ms.p98",
        "max_error_rate",
        "latncy",
        "score.max_ratio",
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
    result = Result(labels={"baseline": "a", "contender": "b"}, workload={"mode": "open"}, rounds=rounds)
    path = tmp_path / "slo.yaml"
    path.write_text("latency_ms: {p99: 100}\n")
    slo = read_slo(path)
    assert throughput_at_slo(slo, result)["search"]["contender"] == pytest.approx(20)
    steps = [one for one in read_steps(result, slo) if one.side == "contender"]
    assert [(one.rate, one.n, one.holds) for one in steps] == [
        (10, 20, True),
        (20, 40, True),
        (30, 60, False),
        (40, 80, True),
    ]
    text = write_page(result, summarise(result), tmp_path / "r.html", steps=steps).read_text()
    assert "Latency at p99 by rate" in text
    assert {one.holds for one in read_steps(result)} == {None}


def published(plan, *, slow_after):
    """Messages that the brokers take in 5 ms, and items that are found 1 s later, 9 s beyond a moment."""
    at = np.linspace(0.05, 7.95, 80)
    acked = [Sample(t, t, t + 0.005, "", -1) for t in at]
    found = [Sample(t, t, t + (9 if t > slow_after else 1), "", -1) for t in at]
    rounds = [
        summed_up("contender", 0, samples, kind=kind, plan=plan)
        for kind, samples in (("publish", acked), ("searchable", found))
    ]
    return Result(labels={"contender": "messages"}, workload={"mode": "open"}, rounds=tuple(rounds))


def test_a_step_of_messages_holds_where_the_searches_for_them_hold_too(tmp_path):
    result = published(shape("step", rate=10, seconds=8), slow_after=4)
    path = tmp_path / "slo.yaml"
    path.write_text("publish: {latency_ms: {p99: 20}}\n")
    assert throughput_at_slo(read_slo(path), result) == {"publish": {"contender": pytest.approx(10)}}
    path.write_text("publish: {latency_ms: {p99: 20}}\nsearchable: {latency_ms: {p99: 2000}}\n")
    assert list(throughput_at_slo(read_slo(path), result)) == ["publish"]
    assert throughput_at_slo(read_slo(path), result)["publish"]["contender"] == pytest.approx(10)
    result = published(shape("step", rate=10, seconds=8), slow_after=0)
    assert throughput_at_slo(read_slo(path), result) == {"publish": {"contender": None}}


def test_one_side_alone_has_figures_and_no_ratio(tmp_path):
    result = published(shape("soak", rate=10, seconds=8), slow_after=8)
    summary = summarise(result)
    assert {row.kind for row in summary.rows} == {"publish", "searchable"}
    assert {(row.baseline, row.ratio) for row in summary.rows} == {(None, None)}
    assert summary.row("latency", 50.0, "searchable").contender == pytest.approx(1000, rel=RELATIVE_ERROR)
    path = tmp_path / "slo.yaml"
    path.write_text("latency_ms: {p99: 10}\npublish: {latency_ms: {p99: 20}, max_error_rate: 0}\n")
    checks = judge(read_slo(path), summary)
    assert [(check.what, check.holds) for check in checks] == [
        ("publish latency_ms p99", True),
        ("publish error rate", True),
    ]
    text = write_page(result, summary, tmp_path / "r.html", checks=checks).read_text()
    assert "until a search finds them" in text
    assert summarise(read_result(write_result(result, tmp_path / "r.json"))) == summary


def test_a_slo_without_a_limit_on_what_was_sent_judges_nothing_and_says_so(tmp_path):
    path = tmp_path / "slo.yaml"
    path.write_text("latency_ms: {p99: 10}\n")
    with pytest.raises(InputError, match="no limit on what was sent: publish, searchable"):
        judge(read_slo(path), summarise(published(shape("soak", rate=10, seconds=8), slow_after=8)))


def test_a_result_is_read_back_as_written_and_a_broken_one_is_refused(tmp_path):
    result = made()
    assert summarise(read_result(write_result(result, tmp_path / "r.json"))) == summarise(result)
    (tmp_path / "bad.json").write_text('{"format": 2, "rounds": 3}')
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


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("127.0.0.1:9092", True),
        ("localhost:9092,127.0.0.1:9093", True),
        ("[::1]:9092", True),
        ("127.0.0.1:9092,kafka.example:9092", False),
        ("10.0.0.7:9092", False),
    ],
)
def test_brokers_and_tritons_are_loaded_on_loopback_alone_unless_told(address, near):
    settings = Settings(KAFKA_BOOTSTRAP=address, TRITON_URL=address)
    for find in (broker_address, triton_addresses):
        if not near:
            with pytest.raises(InputError, match="another machine"):
                find(settings)
        assert find(settings, allow_remote=True)
    assert triton_addresses(settings, allow_remote=True) == tuple(address.split(","))


def test_a_folder_without_photos_is_refused_and_many_photos_are_thinned_evenly(tmp_path):
    with pytest.raises(InputError, match="has no photos"):
        photo_files(tmp_path)
    for i in range(10):
        (tmp_path / f"{i}.JPG").touch()
    assert [path.name for path in photo_files(tmp_path, 5)] == ["0.JPG", "2.JPG", "4.JPG", "6.JPG", "8.JPG"]


def test_a_login_in_the_address_goes_into_a_header_alone():
    target = cluster_target(Settings(ELASTICSEARCH_URL="http://me:p%40ss@127.0.0.1:9200"))
    assert target.url == "http://127.0.0.1:9200"
    assert target.headers["Authorization"] == "Basic bWU6cEBzcw=="


def test_an_open_plan_without_a_search_is_refused():
    for arrivals in (lambda plan: plan.logged([0]), Plan.random):
        with pytest.raises(InputError, match="sends nothing"):
            arrivals(Plan(shape="soak", rate=0.1, seconds=1))
