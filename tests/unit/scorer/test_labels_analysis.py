"""Clicked against not clicked: scipy and brute force as twins, and pages by hand."""

from __future__ import annotations

import json
import os
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from ranking.cli import full_app
from ranking.errors import InputError
from scorer.labels import JudgedPage, read_files
from scorer.labels.analysis import analyze_scores, analyze_words, sentiment, write_page
from scorer.labels.analysis.page import steps

LABELS = Path(os.environ.get("RANK_SHARED", "../shared")) / "labels"


def page(scores, clicked, adjectives=(), serp_id="s", simulated=False):
    scores = np.atleast_2d(np.asarray(scores, dtype=float))
    images = tuple(f"{i}.jpg" for i in range(scores.shape[1]))
    judges = tuple("abc"[: len(scores)])
    return JudgedPage(serp_id, "hat", images, judges, scores, adjectives, clicked, "", simulated)


def clicked_pages(n, pull, seed=0):
    """Pages whose click goes to photo i with a chance that grows with its score, by `pull`."""
    rng = np.random.default_rng(seed)
    pages = []
    for i in range(n):
        scores = rng.permutation(np.arange(1, 9))
        chance = np.exp(pull * scores)
        pages.append(page(scores, int(rng.choice(8, p=chance / chance.sum())), serp_id=str(i)))
    return pages


def test_scores_are_stretched_on_each_page_and_worked_by_hand():
    told = analyze_scores([page([2, 4, 6], 2), page([5, 9, 5], 0)], n_resamples=10)
    assert sorted(told.clicked) == [0.0, 1.0]
    assert sorted(told.not_clicked) == [0.0, 0.0, 0.5, 1.0]
    assert (told.median_clicked, told.median_not_clicked) == (0.5, 0.25)
    assert told.mean_difference.value == pytest.approx(0.5 - 0.375)
    # clicked 1 beats 0, 0.5, 0 and ties 1: 3.5; clicked 0 ties two: 1; of 8
    assert told.superiority.value == pytest.approx(4.5 / 8)
    # within pages: 2 of 2, and 0 wins with one tie of 2
    assert told.within_pages.value == pytest.approx(2.5 / 4)


def test_tests_are_those_of_scipy_and_superiority_that_of_brute_force():
    told = analyze_scores(clicked_pages(80, 0.3), n_resamples=50)
    a, b = told.clicked, told.not_clicked
    assert told.ks_p == stats.ks_2samp(a, b).pvalue
    assert told.mann_whitney_p == stats.mannwhitneyu(a, b).pvalue
    brute = np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b))
    assert told.superiority.value == pytest.approx(brute)
    assert told.rank_biserial == pytest.approx(2 * brute - 1)


def test_an_attraction_is_found_and_none_is_not():
    pulled, free = analyze_scores(clicked_pages(200, 0.4)), analyze_scores(clicked_pages(200, 0.0))
    assert pulled.within_pages.low > 0.5
    assert pulled.ks_p < 0.001
    assert "higher than" in pulled.verdict
    assert free.within_pages.low < 0.5 < free.within_pages.high
    assert "No difference" in free.verdict


def test_an_interval_of_superiority_is_as_wide_as_the_page_bootstrap_by_hand():
    pages = clicked_pages(40, 0.2)
    told = analyze_scores(pages, n_resamples=800)
    rng = np.random.default_rng(7)
    of = [(p.normalised[p.clicked], np.delete(p.normalised, p.clicked)) for p in pages]
    drawn = []
    for _ in range(400):
        some = [of[i] for i in rng.integers(0, 40, 40)]
        a, b = np.array([x for x, _ in some]), np.concatenate([y for _, y in some])
        drawn.append(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)))
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert told.superiority.low == pytest.approx(low, abs=0.02)
    assert told.superiority.high == pytest.approx(high, abs=0.02)


def test_pages_that_say_nothing_are_counted():
    pages = [page([1, 2], None), page([3, 3], 0), page([1, np.nan, 4], 1), page([1, 2], 1)]
    told = analyze_scores(pages, n_resamples=5)
    assert told.left_out == {"no click": 1, "all scores equal": 1, "clicked photo unscored": 1}
    assert told.n_pages == 1
    with pytest.raises(InputError, match="no page has a clicked photo to compare"):
        analyze_scores(pages[:2])


@pytest.mark.parametrize(
    ("phrase", "sign"),
    [("clear", 1), ("Well-Lit", 1), ("cluttered background", -1), ("busy background", -1), ("washed out", -1),
     ("dim", -1), ("sharp", 1), ("not sharp", -1), ("badly lit", 0), ("beautiful", 1), ("terrible", -1),
     ("xyzzy", 0), ("", 0), ("clean but cluttered", -1), ("soft", 0)],
)  # fmt: skip
def test_sentiment_of_what_is_said_of_photos(phrase, sign):
    assert np.sign(sentiment(phrase)) == sign


def test_slightly_halves():
    assert sentiment("slightly-wrinkled") == sentiment("wrinkled") / 2 == -0.5


def test_words_of_each_side_by_hand():
    pages = [
        page([1, 2], 1, ((("dark", "folded"), ("clear", "folded", "clear")),), serp_id="1"),
        page([1, 2, 3], 0, ((("clear",), ("dark",), ("folded",)),), serp_id="2"),
        page([1, 2], None, ((("never",), ("counted",)),), serp_id="3"),
    ]
    told = analyze_words(pages, top=10)
    by_word = {word.word: word for word in told.words}
    assert (by_word["clear"].n_clicked, by_word["clear"].n_not_clicked) == (2, 0)
    assert (by_word["folded"].share_clicked, by_word["folded"].share_not_clicked) == (1 / 2, 2 / 3)
    assert [word.word for word in told.unique_clicked] == ["clear"]
    assert [word.word for word in told.unique_not_clicked] == ["dark"]
    assert by_word["clear"].log_odds > 0 > by_word["dark"].log_odds
    assert by_word["clear"].log_odds == pytest.approx(np.log((2.5 / 0.5) / (0.5 / 3.5)))
    assert told.sentiment_not_clicked["negative"] == pytest.approx(2 / 4)
    assert analyze_words([page([1, 2], 1)]) is None


def test_on_real_labels_kind_words_go_with_high_scores():
    """Sentiment is not fitted to scores, so that it orders them says that it hears what judges meant."""
    if not LABELS.is_dir():
        if os.environ.get("CI"):
            pytest.fail("no labels")
        pytest.skip(f"no {LABELS}; set RANK_SHARED")
    found = read_files([LABELS / "train.jsonl", LABELS / "validation.jsonl"])
    by_sign = {-1: [], 0: [], 1: []}
    said, known = 0, 0
    for one in found.pages:
        scores = one.normalised
        for judged in one.adjectives:
            for score, words in zip(scores, judged, strict=True):
                for word in words:
                    by_sign[int(np.sign(sentiment(word)))].append(score)
                    said, known = said + 1, known + (sentiment(word) != 0)
    means = {sign: float(np.mean(values)) for sign, values in by_sign.items()}
    assert means[-1] < means[0] < means[1]
    assert means[1] - means[-1] > 0.2
    assert known / said > 0.75


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_is_whole_in_itself_and_what_labels_say_stays_text(tmp_path):
    nasty = "<script>alert(1)</script>"
    pages = [
        page([1, 2], 1, (((nasty,), ("clear", "light")),), serp_id=str(i), simulated=True) for i in range(6)
    ]
    scores = analyze_scores(pages, n_resamples=20)
    path = write_page(scores, analyze_words(pages), "my <labels>", tmp_path / "a" / "page.html")
    text = path.read_text()
    parser = Tags()
    parser.feed(text)
    assert "script" not in parser.tags
    assert parser.links == []
    assert {"svg", "rect", "polyline", "table"} <= set(parser.tags)
    assert "default-src 'none'" in unescape(text)
    assert "simulated clicks" in text
    assert nasty not in text


def test_a_cumulative_line_goes_from_nothing_to_all():
    points = [tuple(map(float, point.split(","))) for point in steps(np.array([0.0, 0.5, 0.5, 1.0])).split()]
    assert points[0][1] > points[-1][1]  # y grows downwards
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    middle = [y for x, y in points if x == pytest.approx((points[0][0] + points[-1][0]) / 2)]
    assert (middle[-1] - points[0][1]) / (points[-1][1] - points[0][1]) == pytest.approx(0.75, abs=0.01)


def test_the_command_prints_figures_and_json(tmp_path):
    rows = [
        {"serp_id": str(i), "images": ["a", "b", "c"], "scores": [2, 9, 4], "clicked": 1, "simulated": True,
         "adjectives": [["dark"], ["clear"], ["plain"]]}
        for i in range(9)
    ] + [{"serp_id": "x", "images": ["a"], "scores": [1]}]  # fmt: skip
    path, html = tmp_path / "labels.jsonl", tmp_path / "page.html"
    path.write_text("\n".join(map(json.dumps, rows)))
    done = CliRunner().invoke(full_app(), ["scorer", "analyze", str(path), "--format", "json"])
    rows = [row | {"images": [f"{i}{name}" for name in row["images"]]} for i, row in enumerate(rows)]
    path.write_text("\n".join(map(json.dumps, rows)))
    done = CliRunner().invoke(full_app(), ["scorer", "analyze", str(path), "--format", "json"])
    told = json.loads(done.stdout)
    assert told["skipped"] == {"one photo": 1}
    assert (told["scores"]["n_pages"], told["scores"]["mean_clicked"]) == (9, 1.0)
    assert told["adjectives"]["unique_clicked"][0]["word"] == "clear"
    done = CliRunner().invoke(full_app(), ["scorer", "analyze", str(path), "--html", str(html)])
    assert "simulated clicks" in done.stdout
    assert html.is_file()
    assert "better one in 100.0 % of pairs" in done.stderr
