"""The report in a real browser: it runs clean, shows photos, and ranks as the replay ranks."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ranking.capture import CapturedItem, CaptureRecord, write_captures
from ranking.explain import candidates
from ranking.formula import final_scores, rank_order
from ranking.profile import Profile
from replay.compare import compare_rankings
from replay.engine import rank
from replay.judgments import Judgments
from replay.log import read_log
from replay.parity import ulp_distance, verify
from replay.report import ItemCard, build_report

NOW = 1_800_000_000_000
DAY = 86_400_000
N_SEARCHES, N_ITEMS, N_CANDIDATES = 24, 90, 60
EVIL = '</script><img src=x onerror="window.hacked=1">'
FRESH = {"curve": "gauss", "scale": "14d", "offset": "1d", "decay": 0.5}
CONTROL = Profile.model_validate({"name": "control", "freshness": FRESH, "k": 50, "window": 60})
ADDITIVE = Profile.model_validate(
    {
        "name": "additive",
        "freshness": FRESH,
        "k": 50,
        "window": 60,
        "image": {"mode": "additive", "weight": 3.0},
        "platforms": {"ios": {"image": {"weight": 1.5}}},
    }
)
LINEAR = Profile.model_validate(
    {
        "name": "multiplicative",
        "freshness": {"curve": "linear", "scale": "20d", "offset": "12h", "decay": 0.3},
        "k": 50,
        "window": 60,
        "execution": "script_score",
        "image": {"mode": "multiplicative", "weight": 0.7, "missing": 0.2},
    }
)
EXP = Profile.model_validate(
    {
        "name": "exp",
        "freshness": {"curve": "exp", "scale": "20d", "offset": "12h", "decay": 0.3, "missing": 0.7},
        "k": 50,
        "window": 60,
        "image": {
            "mode": "multiplicative",
            "weight": 0.7,
            "missing": 0.2,
            "transform": {"type": "sigmoid", "steepness": 6},
        },
        "factors": [
            {"type": "rule", "field": "price", "gte": 2000, "weight": 1.3},
            {"type": "category", "weights": {"dress": 1.2}, "default": 0.9},
        ],
    }
)


def missing(reason):
    if os.environ.get("CI"):
        pytest.fail(f"not allowed to be missing in CI: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        missing("no Chromium: install it with `apt-get install chromium`")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("no playwright: pip install 'rank-toolkit[dev]'")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


def draw_photo(path, rng):
    photo = Image.new("RGB", (240, 320), tuple(int(v) for v in rng.integers(60, 240, 3)))
    draw = ImageDraw.Draw(photo)
    draw.rectangle((60, 70, 180, 260), fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
    photo.save(path, quality=80)


def make_record(n, rng):
    """One search served under CONTROL; some candidates tie, lack an image score, or lack a date."""
    picked = rng.permutation(N_ITEMS)[:N_CANDIDATES]
    items = []
    for at, item in enumerate(picked):
        rel = np.float32(rng.gamma(4.0, 2.0))
        image = None if rng.random() < 0.05 else float(np.float32(rng.random()))
        created = None if rng.random() < 0.05 else NOW - n * 3_600_000 - int(rng.exponential(9 * DAY))
        if at and rng.random() < 0.1:  # a tie with the one before
            before = items[-1]
            rel, image, created = before.rel, before.image_score, before.created_ms
        items.append(
            CapturedItem(f"item-{item:03d}", float(rel), image_score=image, created_ms=created, price=900.0)
        )
    now_ms = NOW - n * 3_600_000
    platform = ("web", "ios", "android", None)[n % 4]
    served = CONTROL.for_platform(platform)
    scores = final_scores(served, candidates(items), now_ms)
    order = rank_order(scores, [one.item_id for one in items])
    for place, p in enumerate(order[:50], start=1):
        items[p] = replace(items[p], rank=place, score=float(scores[p]))
    return CaptureRecord(
        search_id=f"s{n}",
        query=EVIL if n == 5 else f"query {n // 2}",
        now_ms=now_ms,
        index="items",
        profile="control",
        profile_hash=served.hash,
        k=50,
        total_hits=500,
        window=N_CANDIDATES,
        rel_floor=None if n % 3 == 0 else float(min(one.rel for one in items)),
        items=tuple(items),
        platform=platform,
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    rng = np.random.default_rng(11)
    write_captures(folder, [make_record(n, rng) for n in range(N_SEARCHES)], [CONTROL])
    return read_log(folder)


@pytest.fixture(scope="module")
def judgments(log):
    rng = np.random.default_rng(12)
    grades = {
        str(query): {f"item-{i:03d}": float(rng.integers(0, 4)) for i in range(N_ITEMS) if rng.random() < 0.6}
        for query in set(log.searches["query"])
    }
    return Judgments(grades, ("simulated-buyers",))


@pytest.fixture(scope="module")
def comparisons(log, judgments):
    base = rank(log, CONTROL)
    return [
        compare_rankings(log, base, rank(log, ADDITIVE), judgments),
        compare_rankings(log, base, rank(log, LINEAR), judgments),
        compare_rankings(log, base, rank(log, EXP, clock_shift_ms=7 * DAY), judgments),
    ]


@pytest.fixture(scope="module")
def report(log, judgments, comparisons, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(13)
    items = {}
    for i in range(N_ITEMS):
        photo = folder / f"{i}.jpg"
        draw_photo(photo, rng)
        items[f"item-{i:03d}"] = ItemCard(EVIL if i == 7 else f"dress {i}", 900.0, "dress", photo)
    return build_report(
        log,
        comparisons,
        verify(log),
        live=None,
        judgments=judgments,
        items=items,
        out=folder / "report.html",
        simulated_clicks=True,
    )


@pytest.fixture
def open_page(browser):
    pages = []

    def open_page(path, **options):
        page = browser.new_page(**({"viewport": {"width": 1440, "height": 1000}} | options))
        page.problems = []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "request", lambda request: request.url.startswith("http") and page.problems.append(request.url)
        )
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        assert page.problems == []
        page.close()


def shown_items(page, side):
    return page.locator(".side").nth(side).locator(".tile").evaluate_all("ts => ts.map(t => t.dataset.item)")


def ranked(page, lab):
    """What the browser ranks, and its scores, with the sliders at `lab`."""
    return page.evaluate(
        """lab => {
            state.lab = { ...UNTOUCHED, ...lab };
            rankContender();
            return after.map(one => [one.order, Array.from(one.scores), one.exactK]);
        }""",
        lab,
    )


def assert_same_ranking(log, ranking, browsers):
    for i, (order, scores, exact_k) in enumerate(browsers):
        span = log.span(i)
        expected = ranking.order[span] - span.start
        expected = expected[ranking.eligible[ranking.order[span]]]
        assert order == expected.tolist()
        assert ulp_distance(np.array(scores, dtype=np.float32), ranking.scores[span]).max() <= 1
        assert exact_k == ranking.exact_k[i]


def test_the_page_opens_without_an_error_and_shows_photos(report, open_page):
    page = open_page(report)
    assert page.locator("h1").inner_text() == "additive w 3 against control"
    assert page.locator(".tile").count() == 20
    assert page.locator(".tile img").evaluate_all("all => all.every(one => one.naturalWidth === 160)")
    assert page.locator(".tile img").count() == 20
    assert "simulated clicks" in page.locator("#trust").inner_text()
    assert "1,200 / 1,200" in page.locator("#trust").inner_text()
    assert (
        f"ranks {N_SEARCHES * 6} of {N_SEARCHES * 6} shown pages exactly"
        in page.locator("#lab-note").inner_text()
    )


def test_hostile_words_stay_words(report, open_page):
    page = open_page(report)
    page.get_by_label("Filter searches").fill("onerror")
    assert page.locator(".list li").count() == 1
    assert page.locator(".head h2").inner_text() == EVIL
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("pair", [0, 1, 2])
def test_the_browser_ranks_every_comparison_as_the_replay(report, open_page, log, comparisons, pair):
    page = open_page(report)
    page.locator("#pairs button").nth(pair).click()
    assert_same_ranking(log, comparisons[pair].contender, ranked(page, {}))


@pytest.mark.parametrize(
    ("pair", "mode", "weight", "scale_days", "shift_days"),
    [
        (0, "none", None, None, 0),
        (0, "additive", 0.1, 3, 0),
        (0, "additive", 7.3, 90, 13),
        (0, "multiplicative", 1.0, 14, 0),
        (0, "multiplicative", 0.35, 7, -5),
        (1, "multiplicative", 0.05, 2, 30),
        (1, "additive", 4.2, 20, -7),
        (2, "additive", 2.7, 45, 3),
    ],
)
def test_the_browser_ranks_any_setting_as_the_replay(  # noqa: PLR0917
    report, open_page, log, comparisons, pair, mode, weight, scale_days, shift_days
):
    page = open_page(report)
    page.locator("#pairs button").nth(pair).click()
    lab = {"mode": mode, "weight": weight, "shift": shift_days * DAY}
    data = comparisons[pair].contender.profile.model_dump(mode="json", exclude={"platforms"})
    data["image"] |= {"mode": mode} | ({} if weight is None else {"weight": weight})
    if scale_days is not None:
        lab["scale"] = scale_days * DAY
        data["freshness"]["scale"] = f"{scale_days}d"
    expected = rank(log, Profile.model_validate(data), clock_shift_ms=shift_days * DAY)
    assert_same_ranking(log, expected, ranked(page, lab))


def test_an_override_holds_until_its_slider_moves(report, open_page, log):
    page = open_page(report)
    data = ADDITIVE.model_dump(mode="json")
    data["freshness"]["scale"] = "5d"
    assert_same_ranking(log, rank(log, Profile.model_validate(data)), ranked(page, {"scale": 5 * DAY}))
    weights = page.evaluate("['web', 'ios'].map(platform => labFormula(platform).weight)")
    assert weights == [3.0, 1.5]
    page.evaluate("state.lab.weight = 4")
    assert page.evaluate("['web', 'ios'].map(platform => labFormula(platform).weight)") == [4, 4]


def test_measures_per_search_equal_those_of_the_replay(report, open_page, comparisons):
    page = open_page(report)
    values = page.evaluate("changes.map(one => one.values.map(pair => pair.map(v => isNaN(v) ? null : v)))")
    for m, measure in enumerate(comparisons[0].measures):
        for side, expected in enumerate((measure.baseline, measure.contender)):
            got = np.array([one[m][side] for one in values], dtype=np.float64)
            np.testing.assert_allclose(got, expected, rtol=1e-12, err_msg=measure.name)
    entered = page.evaluate("changes.map(one => one.entered)")
    np.testing.assert_array_equal(entered, comparisons[0].entered)


def test_a_slider_re_ranks_and_reset_takes_it_back(report, open_page):
    page = open_page(report)
    baseline, contender = shown_items(page, 0), shown_items(page, 1)
    page.get_by_label("image weight").focus()
    page.keyboard.press("End")
    page.locator("#reset:enabled").wait_for()
    assert shown_items(page, 0) == baseline
    assert shown_items(page, 1) != contender
    assert "your settings" in page.locator(".side h3").nth(1).inner_text()
    page.get_by_role("button", name="control", exact=True).click()
    page.locator(".move.up, .move.down, .move.new").first.wait_for(state="detached")
    assert shown_items(page, 1) == baseline
    page.locator("#reset").click()
    assert shown_items(page, 1) == contender


def test_arrow_keys_walk_the_list(report, open_page):
    page = open_page(report)
    page.locator("#list").focus()
    first = page.locator(".head h2").inner_text()
    page.keyboard.press("ArrowDown")
    assert page.locator("#list [aria-selected=true]").count() == 1
    assert page.locator(".pager span").inner_text() == f"2 / {N_SEARCHES}"
    page.keyboard.press("End")
    assert page.locator(".pager span").inner_text() == f"{N_SEARCHES} / {N_SEARCHES}"
    page.keyboard.press("Home")
    assert page.locator(".head h2").inner_text() == first


def test_a_figure_leads_to_the_searches_behind_it(report, open_page):
    page = open_page(report)
    page.get_by_role("button", name="image score@10, ios").click()
    assert page.locator(".list li").count() == N_SEARCHES // 4
    assert "image score@10" in page.locator("#count").inner_text()


def test_a_tile_shows_the_arithmetic_on_focus(report, open_page):
    page = open_page(report)
    page.locator(".side").nth(1).locator(".tile").first.focus()
    words = page.locator("#tip").inner_text()
    assert "relevance" in words
    assert "× freshness" in words
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_dark_mode_follows_the_system_and_the_button(report, open_page):
    page = open_page(report, color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(16, 18, 20)"
    page.locator("#theme").click()
    assert page.evaluate(background) == "rgb(247, 247, 244)"


@pytest.mark.parametrize("width", [360, 390, 768, 1024])
def test_no_width_scrolls_sideways(report, open_page, width):
    page = open_page(report, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#list").is_visible()


def test_the_download_is_the_embedded_data(report, open_page):
    page = open_page(report)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    data = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert data["n_searches"] == N_SEARCHES


def test_one_search_without_judgments_or_photos_is_enough(tmp_path, open_page):
    write_captures(tmp_path, [make_record(0, np.random.default_rng(1))], [CONTROL])
    log = read_log(tmp_path)
    path = build_report(
        log,
        [compare_rankings(log, rank(log, CONTROL), rank(log, ADDITIVE), None)],
        verify(log),
        live=None,
        judgments=None,
        items={},
        out=tmp_path / "small.html",
        simulated_clicks=False,
    )
    page = open_page(path)
    assert page.locator(".tile").count() == 20
    assert page.locator(".nophoto").count() == 20
    assert "simulated" not in page.locator("#trust").inner_text()
    assert page.locator("#pairs").is_hidden()
    assert page.locator("#measures .row:not(.axis)").count() == 3  # one row each: there is one platform
