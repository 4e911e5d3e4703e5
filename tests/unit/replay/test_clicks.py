"""Click models on simulated clicks of known truth, against brute force, and by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from ranking.capture import Event, write_events
from ranking.errors import InputError
from ranking.explore import SwapPairs
from replay import read_log
from replay.clicks import (
    Impressions,
    Pages,
    exam_probs,
    fit_cascade,
    fit_coec,
    fit_dbn,
    fit_examination,
    fit_position_based,
    grades_from_clicks,
    read_exam_probs,
    read_pages,
    write_exam_probs,
)
from replay.clicks.dbn import expected
from replay.clicks.examination import by_pair
from replay.judgments import read_judgments, write_judgments
from tests.unit.replay.world import explored

EXAM = np.array([1.0, 0.6, 0.45, 0.3, 0.25])


def pages_of(pair: np.ndarray, clicks: np.ndarray, user: np.ndarray | None = None) -> Pages:
    n_pairs = int(pair.max()) + 1
    return Pages(
        shown=pair,
        clicks=np.asarray(clicks, dtype=bool),
        pair=pair,
        pairs=[("q", f"i{j}") for j in range(n_pairs)],
        platform=np.array(["web"] * len(pair), dtype=object),
        user=np.arange(len(pair)) if user is None else user,
        simulated=True,
        n_clicks=int(np.sum(clicks)),
        n_stray=0,
    )


def orders(n: int, n_pairs: int, depth: int, rng: np.random.Generator) -> np.ndarray:
    return np.argsort(rng.random((n, n_pairs)), axis=1)[:, :depth]


def position_based(n: int, seed: int, *, users: int = 200, n_pairs: int = 30) -> tuple[Pages, np.ndarray]:
    rng = np.random.default_rng(seed)
    attract = rng.uniform(0.05, 0.6, n_pairs)
    pair = orders(n, n_pairs, 5, rng)
    user = rng.integers(0, users, n)
    return pages_of(pair, rng.random(pair.shape) < EXAM * attract[pair], user), attract


def test_examination_and_attraction_come_back_within_their_error() -> None:
    pages, attract = position_based(20_000, 1)
    cells, fitted, rows = exam_probs(pages, "web", np.random.default_rng(2), n_resamples=60)
    for row, truth in zip(rows[1:], EXAM[1:], strict=True):
        assert row.exam_prob is not None
        assert row.low is not None
        assert row.high is not None
        error = (row.high - row.low) / 3.92
        assert abs(row.exam_prob - truth) < 4 * error
        assert error < 0.03
    clicks, examined = by_pair(cells, fitted)
    error = np.sqrt(attract / examined)
    assert np.abs((clicks / examined - attract) / error).max() < 4.5
    assert np.sqrt((((clicks / examined - attract) / error) ** 2).mean()) < 1.3


@pytest.mark.parametrize("n_pairs", [30, 1_500], ids=["seen often", "seen a few times"])
def test_intervals_of_examination_hold_the_truth_as_often_as_they_say(n_pairs: int) -> None:
    """With 1,500 pairs in 1,500 searches of five, a pair is seen five times and clicked once or twice."""
    hits, values = [], []
    for seed in range(12):
        pages, _ = position_based(1_500, 100 + seed, n_pairs=n_pairs)
        _, fitted, rows = exam_probs(pages, "web", np.random.default_rng(seed), n_resamples=50)
        hits += [row.low <= truth <= row.high for row, truth in zip(rows[1:], EXAM[1:], strict=True)]  # type: ignore[operator]
        values.append(fitted)
    assert np.mean(hits) >= 0.85  # 48 intervals of 95 %, four of a log
    error = np.std(values, axis=0)[1:] / np.sqrt(12)
    assert np.abs(np.mean(values, axis=0)[1:] - EXAM[1:]).max() < 3.5 * error.max() + 0.01


def test_the_joint_maximum_puts_rarely_seen_pairs_examination_too_high() -> None:
    """Why `pbm` does not fit attraction and examination together."""
    pages, _ = position_based(1_500, 7, n_pairs=1_500)
    cells = Impressions(pages).count()
    joint, conditional = fit_position_based(cells).exam_prob, fit_examination(cells)
    assert np.abs(conditional - EXAM).max() < 0.1
    assert np.abs(joint - EXAM).max() > 1.5 * np.abs(conditional - EXAM).max()


def test_examination_is_the_maximum_of_the_conditional_likelihood() -> None:
    pages, _ = position_based(300, 4, n_pairs=60)
    cells = Impressions(pages).count()

    def loss(free: np.ndarray) -> float:
        weight = cells.seen * np.exp(np.append(0.0, free))[cells.rank]
        share = weight / np.bincount(cells.pair, weights=weight, minlength=60)[cells.pair]
        return -float((cells.clicked * np.log(share)).sum())

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8})
    np.testing.assert_allclose(np.log(fit_examination(cells)[1:]), best.x, atol=1e-4)


def test_two_ranks_by_hand() -> None:
    """One pair, twice as often at rank 1: 6 clicks of 20 there, 2 of 10 at rank 2: (2 / 10) / (6 / 20)."""
    pair = np.array([[0, 1]] * 20 + [[1, 0]] * 10)
    clicks = np.zeros((30, 2), dtype=bool)
    clicks[:6, 0] = clicks[20:22, 1] = True
    np.testing.assert_allclose(fit_examination(Impressions(pages_of(pair, clicks)).count()), [1.0, 2 / 3])


def test_the_fixed_point_of_em_is_the_maximum_of_the_likelihood() -> None:
    pages, _ = position_based(400, 3)
    cells = Impressions(pages).count()
    fitted = fit_position_based(cells, tolerance=1e-8, iterations=20_000)

    def loss(x: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-x))
        p = np.append(1.0, p[:4])[cells.rank] * p[4:][cells.pair]
        p = np.clip(p, 1e-12, 1 - 1e-12)
        return -float((cells.clicked * np.log(p) + (cells.seen - cells.clicked) * np.log1p(-p)).sum())

    best = minimize(loss, np.zeros(4 + 30), method="L-BFGS-B", options={"maxiter": 5000, "maxfun": 10**6})
    assert fitted.log_likelihood == pytest.approx(-best.fun, abs=1e-3)
    np.testing.assert_allclose(fitted.exam_prob[1:], 1 / (1 + np.exp(-best.x[:4])), atol=5e-3)


def test_a_rank_whose_items_never_moved_has_no_examination() -> None:
    pair = np.array([[0, 1, 2], [1, 0, 2]] * 50)
    clicks = np.random.default_rng(0).random(pair.shape) < 0.5
    pages = pages_of(pair, clicks)
    assert np.isnan(fit_position_based(Impressions(pages).count()).exam_prob).tolist() == [False, False, True]
    assert np.isnan(fit_examination(Impressions(pages).count())).tolist() == [False, False, True]
    _, _, rows = exam_probs(pages, "web", np.random.default_rng(0), n_resamples=20)
    assert (rows[2].exam_prob, rows[2].low, rows[2].impressions) == (None, None, 100)


def test_cascade_counts_down_to_the_first_click() -> None:
    pair = np.array([[0, 1, 2], [0, 1, 2], [2, 1, 0]])
    clicks = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]])
    fitted = fit_cascade(pages_of(pair, clicks))
    np.testing.assert_allclose(fitted.examined, [2, 2, 2])  # 0 and 1 twice; 2 in the second and the third
    np.testing.assert_allclose(fitted.attract_prob, [0, 1 / 2, 1 / 2])
    assert fitted.later_clicks == 1


def test_coec_divides_by_the_click_rates_of_the_ranks() -> None:
    pair = np.array([[0, 1], [0, 1], [1, 0], [1, -1]])
    clicks = np.array([[1, 0], [0, 1], [1, 0], [0, 0]])
    fitted = fit_coec(pages_of(pair, clicks))
    np.testing.assert_allclose(fitted.click_rate, [1 / 2, 1 / 3])
    np.testing.assert_allclose(fitted.expected, [1 / 2 + 1 / 2 + 1 / 3, 1 / 3 + 1 / 3 + 1 / 2 + 1 / 2])
    np.testing.assert_allclose(fitted.ratio, [1 / (4 / 3), 2 / (5 / 3)])


def brute_force(
    pair: np.ndarray, clicks: np.ndarray, a: np.ndarray, s: np.ndarray, go_on: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Likelihood, P(examined) and P(satisfied) of one visit, over every hidden state."""
    total, examined, satisfied = 0.0, np.zeros(len(pair)), np.zeros(len(pair))
    for sat, cont in itertools.product(itertools.product((0, 1), repeat=len(pair)), repeat=2):
        p, looking, e = 1.0, True, np.zeros(len(pair))
        for r, d in enumerate(pair):
            if not looking:
                p *= 0.0 if clicks[r] or sat[r] or cont[r] else 1.0
                continue
            e[r] = 1
            p *= a[d] if clicks[r] else 1 - a[d]
            p *= (s[d] if sat[r] else 1 - s[d]) if clicks[r] else (0.0 if sat[r] else 1.0)
            if sat[r]:
                p *= 0.0 if cont[r] else 1.0
                looking = False
            elif r == len(pair) - 1:
                p *= 0.0 if cont[r] else 1.0
            else:
                p *= go_on if cont[r] else 1 - go_on
                looking = bool(cont[r])
        total += p
        examined += p * e
        satisfied += p * np.array(sat)
    return total, examined / total, satisfied / total


def test_dbn_posteriors_are_those_of_all_hidden_states() -> None:
    rng = np.random.default_rng(4)
    a, s = rng.uniform(0.2, 0.8, 4), rng.uniform(0.2, 0.8, 4)
    pair = orders(12, 4, 4, rng)
    clicks = rng.random(pair.shape) < 0.35
    clicks[0], clicks[1] = False, [0, 0, 0, 1]
    pair[2, 3], clicks[2, 3] = -1, False  # a page of three
    found = expected(pages_of(pair, clicks), a, s, 0.7)
    total = 0.0
    for i in range(len(pair)):
        shown = pair[i][pair[i] >= 0]
        p, examined, satisfied = brute_force(shown, clicks[i], a, s, 0.7)
        total += np.log(p)
        np.testing.assert_allclose(found.examined[i, : len(shown)], examined, atol=1e-12)
        np.testing.assert_allclose(found.satisfied[i, : len(shown)], satisfied, atol=1e-12)
    assert found.log_likelihood == pytest.approx(total, abs=1e-9)


def test_dbn_parameters_come_back() -> None:
    rng = np.random.default_rng(5)
    a, s, go_on = rng.uniform(0.2, 0.6, 12), rng.uniform(0.1, 0.7, 12), 0.8
    pair = orders(20_000, 12, 5, rng)
    clicks = np.zeros(pair.shape, dtype=bool)
    looking = np.ones(len(pair), dtype=bool)
    for r in range(5):
        clicks[:, r] = looking & (rng.random(len(pair)) < a[pair[:, r]])
        done = clicks[:, r] & (rng.random(len(pair)) < s[pair[:, r]])
        looking &= ~done & (rng.random(len(pair)) < go_on)
    fitted = fit_dbn(pages_of(pair, clicks))
    assert fitted.continue_prob == pytest.approx(go_on, abs=0.03)
    np.testing.assert_allclose(fitted.attract_prob, a, atol=0.04)
    np.testing.assert_allclose(fitted.satisfy_prob, s, atol=0.08)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swap")
    explored(folder, SwapPairs(0.5, 6), n=1500)
    return folder


@pytest.mark.parametrize("model", ["pbm", "pbm-em", "cascade", "dbn", "coec"])
def test_grades_order_items_as_buyers_do_and_are_called_simulated(
    folder: Path, model: str, tmp_path: Path
) -> None:
    from tests.unit.replay.world import a_world

    world = a_world()
    pages = read_pages(read_log(folder), folder)
    grades = grades_from_clicks(pages, model, np.random.default_rng(0), n_resamples=20)  # type: ignore[arg-type]
    assert grades.source == f"simulated-clicks-{model}"
    values = np.array([grade for _, _, grade in grades.rows])
    assert values.min() >= 0
    assert values.max() == 4
    truth = np.array([world.attract[query, item] for query, item, _ in grades.rows])
    assert np.corrcoef(values, truth)[0, 1] > {"coec": 0.4}.get(model, 0.55)
    write_judgments(tmp_path, grades.rows, grades.source)
    read = read_judgments(tmp_path)
    assert read is not None
    assert read.simulated


def test_clicks_on_what_was_not_shown_are_counted_and_left_out(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    log = read_log(copy)
    before = read_pages(log, copy)
    shown = str(log.item_id[before.shown[0, 0]])
    search = str(log.searches["search_id"][0])
    at = int(log.searches["now_ms"][0])
    stray = [
        Event("no such search", shown, "click", 1, at),
        Event(search, "no such item", "click", 1, at),
        Event(search, shown, "purchase", 1, at),
        Event(search, shown, "click", 1, at),
        Event(search, shown, "click", 1, at + 5),
    ]
    write_events(copy, stray)
    after = read_pages(log, copy)
    assert (after.n_stray, after.n_clicks) == (2, before.n_clicks + 2)
    assert after.clicks.sum() - before.clicks.sum() == (0 if before.clicks[0, 0] else 1)
    with pytest.raises(InputError, match="no dwell events"):
        read_pages(log, copy, action="dwell")


def test_examination_is_written_and_read_again(folder: Path, tmp_path: Path) -> None:
    pages = read_pages(read_log(folder), folder)
    mine = pages.where(pages.platform == "web")
    _, _, rows = exam_probs(mine, "web", np.random.default_rng(0), n_resamples=20)
    path = write_exam_probs(tmp_path, rows, "simulated-clicks-pbm", simulated=True)
    read = read_exam_probs(path)
    assert read.simulated
    np.testing.assert_allclose(read.by_platform["web"], [row.exam_prob for row in rows])
    table = read.table(np.array(["web", "ios"], dtype=object), 8)
    assert np.isnan(table[0]).tolist() == [False] * 6 + [True] * 2
    assert np.isnan(table[1]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "is not a file of exam_prob"),
        ('{"kind": "other", "rows": []}', "holds 'other'"),
        ('{"kind": "exam_prob", "rows": [{"platform": "web", "rank": 0, "exam_prob": 1}]}', "no rank from 1"),
        (
            '{"kind": "exam_prob", "rows": [{"platform": "web", "rank": 1, "exam_prob": 0}]}',
            "not a number above 0",
        ),
    ],
)
def test_a_broken_file_of_examination_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "exam.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_exam_probs(path)
