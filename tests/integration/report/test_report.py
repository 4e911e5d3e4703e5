"""The report in a real browser: it runs clean, shows photos, and ranks as the replay ranks."""

import json
import math

import numpy as np
import pytest

from ranking.capture import CapturedItem, CaptureRecord, write_captures
from ranking.profile import Profile
from replay.compare import compare_rankings
from replay.engine import rank
from replay.log import read_log
from replay.parity import ulp_distance, verify
from replay.report import Limits, build_report
from replay.significance import DIMENSIONS, segments
from tests.integration.report.made_log import (
    ADDITIVE,
    CONTROL,
    DAY,
    EVIL,
    N_SEARCHES,
    NOW,
    TURNED,
    make_record,
    write_report,
)

N_PAIRS = 5


def shown_items(page, side):
    return page.locator(".side").nth(side).locator(".tile").evaluate_all("ts => ts.map(t => t.dataset.item)")


def ranked(page, pair, lab):
    """What the browser ranks, and its scores, with the sliders at `lab`."""
    return page.evaluate(
        """([pair, lab]) => {
            state.pair = pair;
            state.lab = { ...UNTOUCHED, ...lab };
            return ROWS.ids.map((_, i) => {
                const search = searchAt(i);
                const one = rankContender(search);
                const top = topOf(search, one.formula, labShift(), 10).order;
                return [one.order, Array.from(one.scores), one.exactK, top];
            });
        }""",
        [pair, lab],
    )


def assert_same_ranking(log, ranking, browsers):
    for i, (order, scores, exact_k, top) in enumerate(browsers):
        span = log.span(i)
        expected = ranking.order[span] - span.start
        expected = expected[ranking.eligible[ranking.order[span]]]
        assert order == expected.tolist()
        assert top == order[:10]
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
    n = N_SEARCHES * N_PAIRS * 2
    assert f"ranks {n} of {n} pages exactly" in page.locator("#lab-note").inner_text()


@pytest.mark.parametrize(("part", "query"), [("onerror", EVIL), ("nohtyp", TURNED)])
def test_hostile_words_stay_words(report, open_page, part, query):
    page = open_page(report)
    page.get_by_label("Filter searches").fill(part)
    assert page.locator(".line").count() == 1
    assert page.locator(".asked").evaluate("one => one.textContent") == query
    assert page.locator(".asked bdi").count() == 1  # it cannot turn its neighbours around
    assert page.evaluate("window.hacked") is None
    assert page.locator("script, img[onerror], main b[onclick]").count() == 2  # our data and our script


def test_the_policy_refuses_a_foreign_script_a_style_and_a_request(report, browser):
    page = browser.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(report.as_uri())
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            try { script.textContent = "window.hacked = 1"; } catch (e) { window.refusedScript = true; }
            document.body.append(script);
            try {
                document.body.setAttribute("onclick", "window.hacked = 2");
            } catch (e) { window.refusedHandler = true; }
            document.body.click();
            const image = new Image();
            image.src = "http://127.0.0.1:9/x.png";
            return fetch("http://127.0.0.1:9/").catch(() => null);
        }"""
    )
    assert page.evaluate("[window.hacked, window.refusedScript, window.refusedHandler]") == [None, True, True]
    assert sum("127.0.0.1:9/" in text and "Content Security Policy" in text for text in refused) >= 2
    page.close()


@pytest.mark.parametrize("pair", range(N_PAIRS))
def test_the_browser_ranks_every_comparison_as_the_replay(one_page, log, comparisons, pair):
    assert_same_ranking(log, comparisons[pair].contender, ranked(one_page, pair, {}))


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
        (3, "additive", 9.1, 33, -2),
        (3, "multiplicative", 0.65, None, 12),
        (3, "none", None, 5, 0),
        (4, "additive", 0.7, 60, 30),
        (4, "multiplicative", 0.25, 12, -1),
    ],
)
def test_the_browser_ranks_any_setting_as_the_replay(  # noqa: PLR0917
    one_page, log, comparisons, pair, mode, weight, scale_days, shift_days
):
    lab = {"mode": mode, "weight": weight, "shift": shift_days * DAY}
    data = comparisons[pair].contender.profile.model_dump(mode="json", exclude={"platforms"})
    data["image"] |= {"mode": mode} | ({} if weight is None else {"weight": weight})
    if scale_days is not None:
        lab["scale"] = scale_days * DAY
        data["freshness"]["scale"] = f"{scale_days}d"
    expected = rank(log, Profile.model_validate(data), clock_shift_ms=shift_days * DAY)
    assert_same_ranking(log, expected, ranked(one_page, pair, lab))


def test_an_override_holds_until_its_slider_moves(one_page, log):
    page = one_page
    data = ADDITIVE.model_dump(mode="json")
    data["freshness"]["scale"] = "5d"
    assert_same_ranking(log, rank(log, Profile.model_validate(data)), ranked(page, 0, {"scale": 5 * DAY}))
    weights = page.evaluate("['web', 'ios'].map(platform => labFormula(platform).weight)")
    assert weights == [3.0, 1.5]
    page.evaluate("state.lab.weight = 4")
    assert page.evaluate("['web', 'ios'].map(platform => labFormula(platform).weight)") == [4, 4]


def test_measures_per_search_equal_those_of_the_replay(one_page, comparisons):
    page = one_page
    for which in range(N_PAIRS):
        values = page.evaluate(
            """which => {
                state.pair = which;
                state.lab = { ...UNTOUCHED };
                const pair = pairNow();
                return ROWS.ids.map((_, i) => {
                    const search = searchAt(i);
                    const sides = [rankBaseline(search), rankContender(search)];
                    return [
                        pair.measures.map(({ name }, m) => [
                            ...sides.map((side) => measureOf(name, search, side, pair)), ...valuesOf(i, m),
                        ].map((value) => isNaN(value) ? null : value)),
                        entered(sides[0].order, sides[1].order, pair.k), enteredOf(i),
                    ];
                });
            }""",
            which,
        )
        for m, measure in enumerate(comparisons[which].measures):
            for side, expected in enumerate((measure.baseline, measure.contender)):
                computed = np.array([one[0][m][side] for one in values], dtype=np.float64)
                np.testing.assert_allclose(computed, expected, rtol=1e-12, err_msg=measure.name)
                carried = np.array([one[0][m][side + 2] for one in values], dtype=np.float64)
                np.testing.assert_array_equal(carried, expected.astype(np.float32), err_msg=measure.name)
        for at in (1, 2):
            np.testing.assert_array_equal([one[at] for one in values], comparisons[which].entered)


def test_pages_without_all_candidates_are_the_replays_too(folder, photos, open_page, log, comparisons):
    path = write_report(folder, photos, "few.html", limits=Limits(N_SEARCHES, 4, 100))
    page = open_page(path)
    n = N_SEARCHES * N_PAIRS * 2
    assert f"ranks {n} of {n} pages exactly" in page.locator("#lab-note").inner_text()
    assert "4 searches that carry every candidate" in page.locator("#lab-note").inner_text()
    pages = page.evaluate(
        "ROWS.ids.map((_, i) => rankContender(searchAt(i)).order.slice(0, 10)"
        ".map((p) => itemAt(searchAt(i).item[p]).id))"
    )
    for i, shown in enumerate(pages):
        assert shown == list(log.item_id[comparisons[0].contender.top(log, i, 10)])
    page.get_by_label("image weight").focus()
    page.keyboard.press("End")
    page.locator("#reset:enabled").wait_for()
    assert page.locator("#count").inner_text().startswith("4 of 4 that sliders reach")


def test_a_page_that_the_browser_ranks_otherwise_is_said_loudly(report, tmp_path, browser):
    wrong = tmp_path / "wrong.html"
    text = report.read_text(encoding="utf-8")
    wrong.write_text(text.replace('"weight":3.0,"missing"', '"weight":3.5,"missing"'), encoding="utf-8")
    assert wrong.read_text(encoding="utf-8") != text
    page = browser.new_page()
    page.goto(wrong.as_uri())
    page.locator("html[data-checked]").wait_for(state="attached")
    assert "this browser ranks differently" in page.locator("#trust").inner_text()
    page.close()


def test_a_slider_re_ranks_and_reset_takes_it_back(report, open_page):
    page = open_page(report)
    baseline, contender = shown_items(page, 0), shown_items(page, 1)
    page.get_by_label("image weight").focus()
    page.keyboard.press("End")
    page.locator("#reset:enabled").wait_for()
    assert shown_items(page, 0) == baseline
    assert shown_items(page, 1) != contender
    assert "your settings" in page.locator(".side h3").nth(1).inner_text()
    page.get_by_role("button", name="no boost", exact=True).click()
    page.locator(".move.up, .move.down, .move.new").first.wait_for(state="detached")
    assert shown_items(page, 1) == baseline
    page.locator("#reset").click()
    assert shown_items(page, 1) == contender


def test_arrow_keys_walk_the_list(report, open_page):
    page = open_page(report)
    page.locator("#list").focus()
    first = page.locator(".asked").inner_text()
    page.keyboard.press("ArrowDown")
    assert page.locator("#list [aria-selected=true]").count() == 1
    assert page.locator(".pager span").inner_text() == f"2 / {N_SEARCHES}"
    page.keyboard.press("End")
    assert page.locator(".pager span").inner_text() == f"{N_SEARCHES} / {N_SEARCHES}"
    page.keyboard.press("Home")
    assert page.locator(".asked").inner_text() == first


def test_a_figure_leads_to_the_searches_behind_it(report, open_page):
    page = open_page(report)
    page.get_by_role("button", name="image score@10, ios").click()
    assert page.evaluate("listed.map(({ i }) => ROWS.platform.word(i))") == ["ios"] * (N_SEARCHES // 4)
    assert "image score@10" in page.locator("#count").inner_text()


def test_a_category_is_a_segment_like_a_platform(report, open_page, log):
    page = open_page(report)
    page.locator("#dimensions button", has_text="frequency").click()
    page.get_by_role("button", name="nDCG@10, tail").first.click()
    names = {
        segment.name: segment.searches for segment in segments(log, DIMENSIONS) if segment.dimension != "all"
    }
    assert sorted(page.evaluate("listed.map(({ i }) => i)")) == names["tail"].tolist()
    page.get_by_label("frequency").select_option("all")
    for category in ("hat", "dress"):
        page.get_by_label("category").select_option(category)
        assert sorted(page.evaluate("listed.map(({ i }) => i)")) == names.get(category, np.array([])).tolist()
    page.get_by_label("platform").select_option("web")
    both = set(names["dress"]) & set(names["web"])
    assert set(page.evaluate("listed.map(({ i }) => i)")) == both


def test_every_row_says_n_its_interval_and_how_exact_it_is(report, open_page, comparisons):
    page = open_page(report)
    rows = page.locator("#measures .row:not(.axis)")
    assert rows.count() == 4 * len(comparisons[0].measures)
    for words in rows.evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))"):
        assert "95 % CI" in words or "no interval" in words
        assert "n = " in words
        assert "exact" in words
        assert "p = " in words or "p < " in words or "no p" in words


def test_the_list_orders_queries_by_their_mean_change(report, open_page, log, comparisons):
    page = open_page(report)
    page.get_by_label("Rows").select_option("queries")
    page.get_by_label("Order").select_option("loss")
    measure = comparisons[0].measures[0]
    delta = measure.contender - measure.baseline
    queries = log.searches["query"].astype(str)
    means = {one: np.nanmean(delta[queries == one]) for one in set(queries)}
    rows = page.evaluate("listed.map((row) => [ROWS.query.word(row.i), row.n, row.value])")
    assert [row[0] for row in rows] == sorted(means, key=lambda one: means[one])
    assert [row[1] for row in rows] == [int((queries == row[0]).sum()) for row in rows]
    np.testing.assert_allclose([row[2] for row in rows], sorted(means.values()), atol=1e-6)
    worst_first = rows[0][0]
    assert page.locator(".asked").evaluate("one => one.textContent") != ""
    page.locator(".line").first.click()
    assert page.locator(".asked").evaluate("one => one.textContent") == worst_first


def test_a_thousand_rows_are_a_few_elements(report, open_page):
    page = open_page(report, viewport={"width": 1280, "height": 400})
    page.evaluate("document.getElementById('list').style.flex = '0 0 200px'")
    page.evaluate("document.getElementById('list').style.minHeight = '0'")
    page.evaluate("measureList()")
    assert page.locator(".line").count() < N_SEARCHES
    page.locator("#list").focus()
    page.keyboard.press("End")
    last = page.locator(".line[aria-selected=true]")
    assert last.get_attribute("aria-posinset") == last.get_attribute("aria-setsize") == str(N_SEARCHES)
    assert last.is_visible()


def test_a_tile_shows_the_arithmetic_on_focus(report, open_page):
    page = open_page(report)
    page.locator(".side").nth(1).locator(".face").first.focus()
    words = page.locator("#tip").inner_text()
    assert "relevance" in words
    assert "× freshness" in words
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_the_download_is_plain_json(report, open_page, log):
    page = open_page(report)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    data = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert data["n_searches"] == N_SEARCHES
    first = data["comparisons"][0]
    assert [one["search_id"] for one in first["searches"]] == list(log.searches["search_id"])
    assert set(first["searches"][0]["measures"]) == {one["name"] for one in first["measures"]}
    assert "data" not in json.dumps(list(first["measures"][0]))


def test_an_imported_page_without_relevance_is_shown_as_it_is(tmp_path, open_page):
    items = tuple(CapturedItem(f"item-{n}", math.nan, rank=n) for n in (1, 2, 3))
    one = CaptureRecord("bare", "", NOW, "", "", "", 3, None, 0, math.inf, items, source="trec")
    write_captures(tmp_path, [one, make_record(1, np.random.default_rng(1))], [CONTROL])
    log = read_log(tmp_path)
    pair = compare_rankings(log, rank(log, CONTROL), rank(log, ADDITIVE), None)
    options = {"live": None, "judgments": None, "items": {}, "simulated_clicks": False}
    page = open_page(build_report(log, [pair], verify(log), out=tmp_path / "bare.html", **options))
    assert "1 search imported" in page.locator("#trust").inner_text()
    assert "ranks 4 of 4 pages exactly" in page.locator("#lab-note").inner_text()
    assert page.locator(".line").count() == 2
    page.get_by_label("Order").select_option("proof")
    page.locator(".line").first.click()
    assert page.locator(".asked").inner_text() == "(no text)"
    assert page.locator(".chip.bad").inner_text() == "exact to 0"
    assert page.locator(".face").first.get_attribute("aria-label").startswith("rank 1")


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
    assert page.locator("#checks").is_hidden()
    assert page.locator(".nophoto").count() == 20
    assert "simulated" not in page.locator("#trust").inner_text()
    assert page.locator("#pairs").is_hidden()
    assert page.locator("#measures .row:not(.axis)").count() == 3  # one row each: there is one platform
