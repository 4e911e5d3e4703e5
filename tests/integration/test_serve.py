"""`rank-cli serve` as a process, on the real Elasticsearch, seen in a real browser and by raw requests."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from elasticsearch import Elasticsearch, helpers
from PIL import Image

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.capture import write_captures
from ranking.clock import DAY_MS
from ranking.explain import explain_items, rank_steps
from ranking.profile import Profile, builtin_profiles, load_profile
from ranking.published import INDEX as PROFILES
from ranking.search import Searcher
from ranking.settings import get_settings
from tests.integration.conftest import remove_family

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000_000
AT = "2027-01-15 08:00"  # NOW
N = 150
EVIL = '</script><img src=x onerror="window.hacked=1">'
TURNED = "dress \u202egnp.nohtyp\u2066 <b>&amp;"
CONTROL, ADDITIVE = (builtin_profiles()[name] for name in ("control", "additive"))
CODE = "from ranking.cli import main; main()"


@dataclass
class Served:
    """One running server."""

    url: str  # with the token, where saving is allowed
    port: int
    index: str
    folder: Path
    process: subprocess.Popen[str]

    @property
    def base(self) -> str:
        return self.url.partition("#")[0]

    @property
    def token(self) -> str:
        return self.url.partition("#token=")[2]

    def request(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One raw request; by default as from the page itself."""
        usual = {"Host": f"127.0.0.1:{self.port}"}
        if body is not None:
            usual |= {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        merged = {name: value for name, value in (usual | given).items() if value}
        connection.putrequest(method, path, skip_host=True)
        for name, value in (
            merged | ({"Content-Length": str(len(data))} if data is not None else {})
        ).items():
            connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def ask(self, path: str, body: Any, **headers: str) -> dict[str, Any]:
        status, _, text = self.request("POST", path, body, **headers)
        found: dict[str, Any] = json.loads(text)
        return found | {"status": status}


def start(words: list[str], index: str, folder: Path, **env: str) -> Served:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *words, "--port", "0", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=(folder / f"stderr-{secrets.token_hex(3)}").open("w"),
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.rstrip() == "}":
            break
    said = json.loads("".join(lines))
    return Served(said["url"], said["port"], index, folder, process)


def stop(served: Served) -> None:
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(20) == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos below and beside the root, reports, and room for captures and profiles."""
    path = tmp_path_factory.mktemp("serve")
    for name in ("photos", "reports", "saved", "profiles"):
        (path / name).mkdir()
    for i in range(12):
        Image.new("RGB", (90, 120), (20 * i, 140, 255 - 20 * i)).save(path / "photos" / f"{i}.jpg")
    Image.new("RGB", (50, 50), "red").save(path / "outside.jpg")
    (path / "photos" / "link.jpg").symlink_to(path / "outside.jpg")
    (path / "reports" / "a report.html").write_text(
        "<!doctype html><title>one</title><script>document.title = 'ran';"
        "fetch('/api/start').then(() => { document.title = 'reached'; }).catch(() => {});</script>"
    )
    (path / "reports" / "link.html").symlink_to(path / "outside.jpg")
    (path / "secret.html").write_text("secret")
    (path / "profiles" / "broken.yaml").write_text("name: broken\nimage: {mode: sideways}\n")
    (path / "profiles" / "softer.yaml").write_text("name: softer\nextends: additive\nimage: {weight: 0.4}\n")
    return path


PHOTOS = {
    5: "../outside.jpg",
    6: "link.jpg",
    7: "{folder}/outside.jpg",
    8: "file:///etc/passwd",
    9: "http://x/1.jpg",
}


@pytest.fixture(scope="module")
def index(es: Elasticsearch, folder: Path) -> Iterator[str]:
    """150 items: hostile titles, ties, some without score, date, price or a photo that may be read."""
    name = f"test-{secrets.token_hex(4)}"
    wanted = desired_state(name)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, name)

    def item(i: int) -> dict[str, Any]:
        doc = {
            "item_id": f'i{i:03d}"/..' if i == 3 else f"i{i:03d}",
            "title": {0: f"red dress {EVIL}", 1: f"red {TURNED}"}.get(i, f"red dress {'silk ' * (i % 4)}"),
            "category": ("dress", "skirt", "hat")[i % 3],
            "status": "on_sale",
            "price": 100 * i,
            "created_at": NOW - (i % 40) * DAY_MS // 2,
            "image_score": (i * 37 % 100) / 100,
            "image_url": PHOTOS.get(i, f"{i % 12}.jpg").format(folder=folder),
            "ai_generated": {"probability": i / N},
        }
        for missing, every in (("image_score", 17), ("created_at", 23), ("price", 29)):
            if i % every == every - 1:
                del doc[missing]
        return doc

    helpers.bulk(es, ({"_index": name, "_id": str(i), **item(i)} for i in range(N)), refresh=True)
    yield name
    remove_family(es, name)


@pytest.fixture(scope="module")
def served(es: Elasticsearch, index: str, folder: Path) -> Iterator[Served]:
    """The command of docs/serve.md, on this index and these folders."""
    control = Searcher(es, index, CONTROL.model_copy(update={"k": 20, "window": 60}))
    records = [
        control.capture(query, now_ms=NOW - n * 3_600_000, platform=platform, search_id=f"s{n}")
        for n, (query, platform) in enumerate([("red dress", "web"), ("silk", "ios"), ("red", None)])
    ]
    write_captures(folder / "captures", records, [control.profile])
    text = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    block = re.search(r"```bash\n(rank-cli serve .*?)```", text, flags=re.S)
    assert block is not None
    words = shlex.split(block[1].replace("\\\n", " "))[1:]
    for old, new in {
        "rank-demo": index,
        ".rank/demo/photos": str(folder / "photos"),
        ".rank/demo/captures": str(folder / "captures"),
        ".rank": str(folder / "reports"),
        "profiles": str(folder / "saved"),
    }.items():
        words[words.index(old)] = new
    words.remove("--open")
    found = start(words, index, folder, ELASTICSEARCH_URL=get_settings().endpoint("Elasticsearch"))
    yield found
    stop(found)


Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, served: Served) -> Iterator[Open]:
    """Opens the page; it must run without an error, and without a request to anywhere else."""
    pages = []

    def opened(query: str = "query=red+dress", *, token: bool = False, **options: Any) -> Any:
        page = browser.new_page(**({"viewport": {"width": 1440, "height": 1000}} | options))
        page.problems = []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "request",
            lambda request: request.url.startswith(served.base) or page.problems.append(request.url),
        )
        clock = f"&clock={quote(AT)}" if query else ""
        page.goto(f"{served.base}?{query}{clock}{f'#token={served.token}' if token else ''}")
        page.locator("html[data-ready]").wait_for(state="attached")
        pages.append(page)
        return page

    yield opened
    for page in pages:
        assert page.problems == []
        page.close()


def shown(page: Any, side: int) -> list[str]:
    """Ids of the items of one page, as they stand."""
    ids: list[str] = page.evaluate(
        """async (side) => {
            const { bench } = await import("/assets/state.js");
            const tiles = [...document.querySelectorAll(".side")[side].querySelectorAll(".tile")];
            return tiles.map((tile) => bench.answer.item_ids[tile.dataset.item]);
        }""",
        side,
    )
    return ids


def chips(page: Any) -> list[str]:
    return list(page.locator(".side-head .chip").all_inner_texts())


def answers(page: Any) -> int:
    return int(page.evaluate("Number(document.documentElement.dataset.answers || 0)"))


def after_next_answer(page: Any, act: Callable[[], Any]) -> None:
    before = answers(page)
    act()
    page.wait_for_function("n => Number(document.documentElement.dataset.answers || 0) > n", arg=before)


def page_of(
    es: Elasticsearch, index: str, profile: Profile, query: str, k: int = 20, **options: Any
) -> list[str]:
    found = Searcher(es, index, profile).search(query, **{"now_ms": NOW, "size": k} | options)
    return [item.item_id for item in found.items]


def with_image(profile: Profile, **changes: Any) -> Profile:
    return profile.model_copy(update={"image": profile.image.model_copy(update=changes)})


# ---- search and sliders ---------------------------------------------------------------------------


def test_both_pages_are_elasticsearchs_own_with_photos_and_moves(
    es: Elasticsearch, index: str, open_page: Open
) -> None:
    page = open_page()
    before, after = (page_of(es, index, profile, "red dress") for profile in (CONTROL, ADDITIVE))
    assert (shown(page, 0), shown(page, 1)) == (before, after)
    assert chips(page) == ["as served: 20 of 20", "as served: 20 of 20"]
    titles = page.locator(".side-head .chip").evaluate_all("all => all.map((one) => one.title)")
    assert all("each of its scores, bit for bit" in title for title in titles)
    entered = len(set(after) - set(before))
    assert entered > 0
    assert page.locator("#totals").inner_text().startswith(f"{entered} of 20 items change")
    marks = page.locator(".side").nth(1).locator(".move").all_inner_texts()
    for place, (item, mark) in enumerate(zip(after, marks, strict=True)):
        if item in before:
            up = before.index(item) - place
            assert mark == ("=" if up == 0 else f"▲{up}" if up > 0 else f"▼{-up}")
        else:
            assert mark == "new"
    page.locator(".tile img").last.scroll_into_view_if_needed()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.tile img')].every((one) => one.naturalWidth === 160)"
    )
    assert page.locator(".tile img").count() >= 30


def test_a_slider_ranks_at_once_and_the_cluster_confirms_it(
    es: Elasticsearch, index: str, open_page: Open
) -> None:
    page = open_page()
    held: list[Any] = []
    page.route("**/api/compare", lambda route: held.append(route))  # noqa: PLW0108  the cluster's answer has to wait
    page.get_by_label("image weight").focus()
    page.keyboard.press("Home")
    page.get_by_text("in this browser: exact to 20 of 20").wait_for()
    expected = page_of(es, index, with_image(ADDITIVE, weight=0.0), "red dress")
    assert expected != page_of(es, index, ADDITIVE, "red dress")
    assert shown(page, 1) == expected
    assert chips(page)[0] == "as served: 20 of 20"
    page.wait_for_function("() => document.body.dataset.busy !== undefined")
    after_next_answer(page, lambda: [route.continue_() for route in held])
    assert len(held) == 1  # one question for all steps of the slider
    assert json.loads(held[0].request.post_data)["sliders"]["weight"] == 0
    assert chips(page)[1] == "as served: 20 of 20"
    assert shown(page, 1) == expected
    page.unroute("**/api/compare")
    after_next_answer(page, lambda: page.get_by_role("button", name="no boost", exact=True).click())
    assert shown(page, 1) == shown(page, 0)
    after_next_answer(page, lambda: page.locator("#reset").click())
    assert shown(page, 1) == page_of(es, index, ADDITIVE, "red dress")


def test_the_clock_moves_both_sides(es: Elasticsearch, index: str, open_page: Open) -> None:
    page = open_page()
    page.get_by_label("clock", exact=True).nth(1).focus()
    after_next_answer(page, lambda: page.keyboard.press("Home"))
    week_ago = {"now_ms": NOW - 7 * DAY_MS}
    assert shown(page, 0) == page_of(es, index, CONTROL, "red dress", **week_ago)
    assert shown(page, 1) == page_of(es, index, ADDITIVE, "red dress", **week_ago)
    assert "clock 2027-01-08 08:00:00 UTC (−7 d)" in page.locator("#note").inner_text()


def test_platform_category_filters_and_k_reach_the_query(
    es: Elasticsearch, index: str, open_page: Open
) -> None:
    page = open_page()
    after_next_answer(page, lambda: page.get_by_label("platform").select_option("ios"))
    ios = ADDITIVE.for_platform("ios")
    assert shown(page, 1) == page_of(es, index, ios, "red dress")
    after_next_answer(page, lambda: page.get_by_label("category").select_option("hat"))
    assert shown(page, 1) == page_of(es, index, ios, "red dress", filters={"category": "hat"})
    after_next_answer(page, lambda: page.get_by_label("filters").fill("category=hat, category=skirt"))
    after_next_answer(page, lambda: page.locator("#k").select_option("50"))
    either = {"category": ["hat", "skirt"]}
    assert shown(page, 1) == page_of(es, index, ios, "red dress", 50, filters=either)


def test_an_answer_that_came_too_late_is_dropped(open_page: Open) -> None:
    from playwright.sync_api import Error

    page = open_page("query=hat")
    held: list[Any] = []

    def hold(route: Any) -> None:
        if json.loads(route.request.post_data)["query"] == "red":
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/compare", hold)
    query = page.get_by_label("Query")
    query.fill("red")
    page.wait_for_function("() => document.body.dataset.busy !== undefined")
    page.wait_for_timeout(50)
    after_next_answer(page, lambda: query.fill("silk"))
    assert len(held) == 1
    settled = answers(page)
    with suppress(Error):  # the page has cancelled it
        held[0].continue_()
    page.wait_for_timeout(300)
    assert answers(page) == settled
    assert page.evaluate("new URLSearchParams(location.search).get('query')") == "silk"


def test_typing_asks_once(open_page: Open) -> None:
    page = open_page("")
    assert page.get_by_text("both pages appear as you type").is_visible()
    asked: list[str] = []
    page.on("request", lambda request: "/api/compare" in request.url and asked.append(request.post_data))
    after_next_answer(page, lambda: page.get_by_label("Query").press_sequentially("red dress", delay=10))
    assert [json.loads(one)["query"] for one in asked] == ["red dress"]


# ---- one item -------------------------------------------------------------------------------------


def test_a_click_takes_a_score_apart_on_both_sides(es: Elasticsearch, index: str, open_page: Open) -> None:
    page = open_page()
    pair = Searcher(es, index, ADDITIVE).page_and_window("red dress", now_ms=NOW, size=20)
    third = explain_items(ADDITIVE, pair.page.items, NOW)[2]
    steps = rank_steps(ADDITIVE, [*pair.page.items, *pair.rest], NOW, complete=True).ranks[third.item_id]
    page.locator(".side").nth(1).locator(".face").first.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowUp", "End", "Home", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    side = page.locator("#explained .both section").nth(1)
    text = side.inner_text()
    for value, digits in ((third.rel, 3), (third.combined, 3), (third.freshness, 4), (third.recomputed, 4)):
        assert f"{value:.{digits}f}" in text
    assert "rank 3" in text
    assert "relevance {} → image {} → freshness {}".format(*steps) in " ".join(text.split())
    assert "Elasticsearch has the same score, bit for bit" in text
    page.keyboard.press("Escape")
    focused = "document.activeElement.getAttribute('aria-label')"
    page.wait_for_function(f"() => ({focused} || '').startsWith('rank 3')")


def test_hostile_titles_stay_words(open_page: Open) -> None:
    page = open_page("query=onerror&k=100")
    page.locator(".face").first.focus()
    assert EVIL in page.locator("#tip").inner_text()
    page.keyboard.press("Enter")
    assert EVIL in page.locator("#explained-title").inner_text()
    page.keyboard.press("Escape")
    after_next_answer(page, lambda: page.get_by_label("Query").fill("nohtyp <img src=x onerror=alert(1)>"))
    page.locator(".face").first.focus()
    assert page.locator("#tip bdi").count() >= 1  # it cannot turn its neighbours around
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[onerror], main b[onclick]").count() == 0


def test_no_photo_from_outside_the_root_is_served(served: Served) -> None:
    def photo(item: str) -> int:
        return served.request("GET", f"/photo?item={quote(item, safe='')}")[0]

    assert photo("i002") == 200
    assert photo('i003"/..') == 200  # an id, not a path
    for i in PHOTOS:
        assert photo(f"i{i:03d}") == 404
    for item in ("../outside.jpg", str(served.folder / "photos" / "0.jpg"), "0.jpg", "", "x" * 600, "\0"):
        assert photo(item) == 404
    rows = served.ask("/api/items", {"ids": ["i002", "i005"]})["items"]
    assert [rows[item]["photo"] for item in ("i002", "i005")] == [True, False]


# ---- captures and reports -------------------------------------------------------------------------


def test_a_captured_search_is_replayed_at_its_own_clock(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Captures").click()
    page.wait_for_function("() => document.querySelectorAll('.captured [data-search]').length === 3")
    page.get_by_text(
        "20 of 20 logged scores recomputed bit for bit, the logged page item for item"
    ).wait_for()
    assert page.locator("#captured-list .query").all_inner_texts() == ["red dress", "silk", "red"]
    assert page.locator(".side-head h2").first.inner_text() == "control, as served"
    assert chips(page)[0].startswith("replayed: exact to")
    after_next_answer(page, lambda: page.keyboard.press("j"))
    assert "search s1" in page.locator("#note").inner_text()
    page.get_by_label("image weight").focus()
    after_next_answer(page, lambda: page.keyboard.press("Home"))
    assert shown(page, 1) == shown(page, 0)  # additive without weight is control
    page.get_by_label("Filter captured searches").fill("dress")
    page.wait_for_function("() => document.querySelectorAll('.captured [data-search]').length === 1")
    assert page.locator("#count").inner_text() == "1 search of 3"


def test_a_report_opens_where_it_can_reach_nothing(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Reports").click()
    links = page.locator("#reports a")
    links.first.wait_for()
    assert links.all_inner_texts() == ["a report.html"]
    with page.expect_popup() as opened:
        links.first.click()
    report = opened.value
    report.wait_for_function("() => document.title === 'ran'")
    report.wait_for_timeout(200)
    assert report.title() == "ran"
    assert report.evaluate("window.opener") is None
    assert report.evaluate("self.origin") == "null"
    report.close()


# ---- who may do what ------------------------------------------------------------------------------


def test_what_does_not_come_from_the_page_is_refused(served: Served) -> None:
    own = {"query": "red", "baseline": "shipped:control", "contender": "shipped:additive"}
    assert served.ask("/api/compare", own)["status"] == 200
    for headers, says in (
        ({"Host": f"evil.example:{served.port}"}, "not an address of this server"),
        ({"Host": "127.0.0.1:1"}, "not an address of this server"),
        ({"Origin": "http://evil.example"}, "must come from this page"),
        ({"Origin": "null"}, "must come from this page"),
        ({"Origin": ""}, "must come from this page"),
        ({"Content_Type": "text/plain"}, "must be JSON"),
        ({"Sec_Fetch_Site": "cross-site"}, "another site's page"),
        ({"Sec_Fetch_Site": "same-site"}, "another site's page"),
    ):
        refused = served.ask("/api/compare", own, **headers)
        assert refused["status"] == 403, headers
        assert says in refused["error"]
    for path in ("/api/start", "/photo?item=i002", "/api/captures"):
        assert served.request("GET", path, Sec_Fetch_Site="cross-site")[0] == 403
        assert served.request("GET", path, Host="rebound.example")[0] == 403
    assert served.request("GET", "/", Host="")[0] == 400
    assert served.request("GET", "/", Sec_Fetch_Site="cross-site")[0] == 200  # a link may lead here
    assert served.request("GET", "/", Host=f"localhost:{served.port}")[0] == 200


def test_every_answer_has_a_strict_policy(served: Served) -> None:
    for path in ("/", "/assets/main.js", "/api/start", "/nothing", "/report?name=a%20report.html"):
        _, headers, _ = served.request("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert ("unsafe-inline" in policy) == path.startswith("/report"), path
        if path.startswith("/report"):
            assert policy.startswith("sandbox allow-scripts allow-downloads;")
    page = served.request("GET", "/")[2].decode()
    assert "<script>" not in page
    assert "<style" not in page
    assert not re.search(r"\son\w+=", page)


@pytest.mark.parametrize(
    "path",
    [
        "/report?name=../secret.html",
        "/report?name=%2e%2e/secret.html",
        "/report?name=link.html",
        "/report?name=.a%20report.html",
        "/report?name=a%00.html",
        "/report?name=",
        "/assets/../app.py",
        "/assets/%2e%2e%2fapp.py",
        "/assets/index.html",
        "/assets/page.py",
        "/photos/0.jpg",
    ],
)
def test_no_path_leads_out(served: Served, path: str) -> None:
    status, _, body = served.request("GET", path)
    assert status == 404
    assert set(json.loads(body)) == {"error"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"k": 0}, "k: "),
        ({"k": 1e9}, "k: "),
        ({"query": "x" * 1001}, "query: "),
        ({"platform": "fridge"}, "platform: "),
        ({"contender": "file:../../secret"}, "there is no profile file:../../secret"),
        ({"contender": "saved:../secret"}, "there is no profile saved:../secret"),
        ({"contender": "published:*@1"}, "there is no profile published:*@1"),
        ({"contender": "published:nothing@1"}, "no such version is published"),
        ({"contender": "file:broken"}, "mode"),
        ({"sliders": {"mode": "multiplicative", "weight": 3}}, "weight of a multiplicative boost"),
        ({"sliders": {"weight": -1}}, "sliders.weight"),
        ({"filters": {"colour": "red"}}, "has no field 'colour'"),
        ({"filters": {"a b": "red"}}, "filters"),
        ({"surprise": 1}, "surprise: "),
    ],
)
def test_a_wrong_question_gets_a_sentence(served: Served, change: dict[str, Any], says: str) -> None:
    own = {"query": "red", "baseline": "shipped:control", "contender": "shipped:additive"}
    refused = served.ask("/api/compare", own | change)
    assert refused["status"] == 400
    assert says in refused["error"]


def test_a_body_has_a_bound_and_must_be_json(served: Served) -> None:
    assert "256000 bytes" in served.ask("/api/compare", b"[" * 300_000)["error"]
    assert "not JSON" in served.ask("/api/compare", b"[" * 200_000)["error"]
    assert "not JSON" in served.ask("/api/compare", b"\xff")["error"]


# ---- saving ---------------------------------------------------------------------------------------


def test_a_profile_is_saved_with_the_token_alone_and_never_replaced(
    es: Elasticsearch, served: Served, open_page: Open
) -> None:
    published = es.count(index=f"{PROFILES}*", ignore_unavailable=True)["count"]
    saved = served.folder / "saved"
    page = open_page(token=True)
    assert served.token not in page.url
    page.get_by_label("image weight").focus()
    after_next_answer(page, lambda: page.keyboard.press("End"))
    page.get_by_label("freshness scale").focus()
    after_next_answer(page, lambda: page.keyboard.press("Home"))
    page.locator("#save").click()
    page.get_by_label("name").fill("bold")
    page.wait_for_function("() => document.getElementById('yaml').textContent.includes('name: bold')")
    assert list(saved.iterdir()) == []  # shown, not written
    after_next_answer(page, page.locator("#save-now").click)
    page.get_by_text("Nothing is published").wait_for()
    assert (saved / "bold.yaml").read_text() == page.locator("#yaml").inner_text().rstrip() + "\n"
    profile = load_profile(saved / "bold.yaml")
    assert (profile.name, profile.image.weight, profile.for_platform("ios").image.weight) == ("bold", 10, 10)
    assert profile.freshness is not None
    assert profile.freshness.scale == DAY_MS
    page.locator("#save-now").click()
    page.get_by_text("is there already").wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#contender").input_value() == "saved:bold"
    assert page.locator(".side-head h2").nth(1).inner_text() == "bold"
    draft = {"contender": "shipped:additive", "name": "other"}
    for token in ("", "wrong", served.token[:-1]):
        refused = served.ask("/api/save", draft, X_Rank_Token=token)
        assert refused["status"] == 403
        assert "not saved" in refused["error"]
    foreign = served.ask("/api/save", draft, X_Rank_Token=served.token, Origin="http://evil.example")
    assert foreign["status"] == 403
    for name in ("../other", "a/b", "", "UPPER", "x" * 65, ".hidden"):
        refused = served.ask("/api/save", draft | {"name": name}, X_Rank_Token=served.token)
        assert refused["status"] == 400, name
    assert [one.name for one in saved.iterdir()] == ["bold.yaml"]
    assert es.count(index=f"{PROFILES}*", ignore_unavailable=True)["count"] == published
    page.problems.clear()  # the browser writes each refusal to its console


def test_a_broken_profile_file_is_said_and_a_good_one_offered(served: Served, open_page: Open) -> None:
    found = json.loads(served.request("GET", "/api/start")[2])
    assert [one for one in found["problems"] if "broken.yaml" in one and "mode" in one]
    assert "file:softer" in [one["key"] for one in found["profiles"]]
    page = open_page()
    after_next_answer(page, lambda: page.locator("#contender").select_option("file:softer"))
    assert "additive w 0.4" in page.locator(".side-head").nth(1).inner_text()


# ---- looks, keys, errors --------------------------------------------------------------------------


def test_axe_finds_nothing(open_page: Open) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page()
    page.context.new_cdp_session(page).send("Page.setBypassCSP", {"enabled": True})
    page.reload()
    page.locator("html[data-ready]").wait_for(state="attached")

    def check() -> None:
        found = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    check()
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    check()
    page.locator(".face").first.click()
    check()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Captures").click()
    page.locator(".tile").first.wait_for()
    page.locator("#save").click()
    page.get_by_text("lint_ignore").wait_for()
    check()


def test_single_keys_do_what_the_help_says(open_page: Open) -> None:
    page = open_page()
    before = [page.locator(name).input_value() for name in ("#baseline", "#contender")]
    after_next_answer(page, lambda: page.keyboard.press("s"))
    assert [page.locator(name).input_value() for name in ("#contender", "#baseline")] == before
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.locator("#help").wait_for(state="hidden")
    page.keyboard.press("/")
    page.keyboard.type("t")
    assert page.get_by_label("Query").input_value() == "t"
    assert page.locator(".grid [tabindex='0']").count() == 2  # one way into each grid


def test_a_mistake_in_the_form_is_a_sentence(open_page: Open) -> None:
    page = open_page()
    for field, typed, says in (
        (
            "clock",
            "yesterday",
            "yesterday is not a time. Write 2026-11-20 09:00 (UTC), or -7d for a week ago.",
        ),
        ("filters", "hat", "hat is not a filter. Write field=value, with commas between."),
    ):
        page.locator(f"#{field}").fill(typed)
        page.get_by_text(says).wait_for()
        assert "The pages below are those of the last answer." in page.locator("#problem").inner_text()
        after_next_answer(page, lambda field=field: page.locator(f"#{field}").fill(""))
        assert page.locator("#problem").is_hidden()


def test_without_a_cluster_it_says_so_replays_and_stays_read_only(
    browser: Any, served: Served, tmp_path: Path
) -> None:
    nowhere = {"ELASTICSEARCH_URL": "http://127.0.0.1:1"}
    captures = ["--captures", str(served.folder / "captures")]
    alone = start(["serve", "--index", served.index, *captures], served.index, tmp_path, **nowhere)
    try:
        assert "#" not in alone.url
        (stderr,) = tmp_path.glob("stderr-*")
        assert "no live search: Elasticsearch: http://127.0.0.1:1: nothing answers" in stderr.read_text()
        page = browser.new_page()
        page.goto(f"{alone.base}?query=red")
        page.get_by_text("nothing answers").first.wait_for()
        assert "rank-cli stack up" in page.locator("#problem").inner_text()
        page.get_by_role("button", name="Captures").click()
        page.get_by_text("logged scores recomputed bit for bit").wait_for()
        assert "no titles and photos" in page.locator("#note").inner_text()
        assert page.locator(".tile").count() == 40
        page.locator("#save").click()
        assert page.locator("#save-now").is_disabled()
        page.close()
        refused = alone.ask("/api/save", {"contender": "shipped:additive", "name": "x"})
        assert refused["status"] == 403
        assert "--allow-save DIR" in refused["error"]
    finally:
        stop(alone)
    done = subprocess.run(
        [sys.executable, "-c", CODE, "serve", "--port", "0"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **nowhere},
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "nothing answers" in done.stderr
    assert urlsplit(alone.base).hostname == "127.0.0.1"
