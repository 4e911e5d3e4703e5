"""The report of 10,000 searches: how long it takes to write, how large it is, how fast it opens and re-ranks.

The log is made up and held in memory; the browser is Chromium, the file is opened from disk.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.browser import chromium
from ranking import fields
from ranking.clock import DAY_MS
from ranking.formula import Candidates
from ranking.profile import builtin_profiles
from replay import compare_rankings, rank
from replay.judgments import Judgments
from replay.log import CaptureLog
from replay.parity import verify
from replay.report import ItemCard, build_report, shown_items

NOW = 1_800_000_000_000
N_SEARCHES, N_CANDIDATES, N_ITEMS, N_QUERIES, N_PHOTO_FILES = 10_000, 200, 60_000, 2_000, 300
_WORDS = ("dress", "shirt", "hoodie", "jeans", "coat", "skirt", "boots", "hat", "scarf", "linen", "vintage")
_MEASURE = """() => {
    const paints = performance.getEntriesByType("paint");
    const paint = paints.find((one) => one.name === "first-contentful-paint");
    const ready = performance.getEntriesByName("ready")[0];
    return [paint ? paint.startTime : null, ready.startTime];
}"""
_MOVE = """async () => {
    const work = [];
    for (let i = 0; i < 30; i += 1) {
        state.lab.weight = 1 + i / 10;
        const began = performance.now();
        refresh();
        work.push(performance.now() - began);
    }
    const list = document.getElementById("list");
    const began = performance.now();
    for (let i = 0; i < 30; i += 1) { list.scrollTop = i * 9000; measureList(); }
    const scroll = (performance.now() - began) / 30;
    resetLab();
    const sorting = performance.now();
    renderList(true);
    return [work, scroll, performance.now() - sorting];
}"""


def run() -> dict[str, Any]:
    rng = np.random.default_rng(17)
    log = made_up_log(rng)
    profiles = builtin_profiles()
    baseline = rank(log, profiles["control"])
    judgments = _judgments(log, rng)
    comparisons = [
        compare_rankings(
            log, baseline, rank(log, profiles[name]), judgments, dimensions=("platform", "frequency")
        )
        for name in ("additive", "multiplicative")
    ]
    parity = verify(log)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cards = _cards(folder, log, comparisons, rng)
        began = time.perf_counter()
        path = build_report(
            log,
            comparisons,
            parity,
            live=None,
            judgments=judgments,
            items=cards,
            out=folder / "report.html",
            simulated_clicks=True,
            currency="¥",
        )
        build_s = time.perf_counter() - began
        opened = _open(path)
        size = path.stat().st_size
    return {
        "what": "the report of a made-up log, two contenders, opened from disk in Chromium",
        "searches": N_SEARCHES,
        "candidates_per_search": N_CANDIDATES,
        "build_s": round(build_s, 1),
        "mb": round(size / 1e6, 2),
        **opened,
    }


def made_up_log(rng: np.random.Generator, n_searches: int = N_SEARCHES) -> CaptureLog:
    """Searches with all their candidates; scores and ranks are those of the control formula."""
    n = n_searches * N_CANDIDATES
    items = np.array([f"item-{i:05d}" for i in range(N_ITEMS)], dtype=object)
    created = NOW - rng.exponential(9 * DAY_MS, N_ITEMS).astype(np.int64)
    image, price = rng.beta(2, 3, N_ITEMS).astype(np.float32), rng.integers(3, 90, N_ITEMS) * 100.0
    queries = np.array(
        [f"{_WORDS[i % 11]} {_WORDS[i // 11 % 11]} {i}" for i in range(N_QUERIES)], dtype=object
    )
    query = np.minimum(rng.zipf(1.4, n_searches) - 1, N_QUERIES - 1)
    start = rng.integers(0, N_ITEMS, n_searches)
    code = ((start[:, None] + np.arange(N_CANDIDATES) * 7) % N_ITEMS).reshape(-1)
    owner = np.repeat(np.arange(n_searches), N_CANDIDATES)
    rel = rng.gamma(4.0, 2.0, n).astype(np.float32)
    profile = builtin_profiles()["control"]
    now_ms = NOW + rng.integers(0, 3 * DAY_MS, n_searches)
    log = CaptureLog(
        searches={
            "search_id": np.array([f"{i:032x}" for i in range(n_searches)], dtype=object),
            "query": queries[query],
            "now_ms": now_ms,
            "index": np.full(n_searches, "items", dtype=object),
            "source": np.full(n_searches, None, dtype=object),
            "platform": np.array(["web", "ios", "android"], dtype=object)[rng.integers(0, 3, n_searches)],
            "profile": np.full(n_searches, profile.name, dtype=object),
            "profile_hash": np.full(n_searches, profile.hash, dtype=object),
            "total_hits": rng.integers(200, 9_000, n_searches),
            "rel_floor": np.minimum.reduceat(rel, np.arange(0, n, N_CANDIDATES)) * np.float32(0.5),
        },
        offsets=np.arange(0, n + 1, N_CANDIDATES),
        owner=owner,
        item_id=items[code],
        item_code=code,
        docs=Candidates(
            rel, image[code], created[code].astype(np.float64), None, {fields.PRICE: price[code]}
        ),
        rank=np.zeros(n, dtype=np.int32),
        score=np.full(n, np.nan, dtype=np.float32),
        price=price[code],
        ai_prob=np.full(n, np.nan, dtype=np.float32),
        profiles={profile.hash: profile},
    )
    served = rank(log, profile)
    shown = (served.ranks >= 1) & (served.ranks <= 50)
    log.rank[shown], log.score[shown] = served.ranks[shown], served.scores[shown]
    return log


def _judgments(log: CaptureLog, rng: np.random.Generator) -> Judgments:
    graded: dict[str, dict[str, float]] = {}
    for i in range(len(log)):
        known = graded.setdefault(log.searches["query"][i], {})
        for p in rng.integers(log.offsets[i], log.offsets[i + 1], 8):
            known[log.item_id[p]] = float(rng.integers(0, 4))
    return Judgments(graded, ("simulated-buyers",))


def _cards(folder: Path, log: CaptureLog, comparisons: Any, rng: np.random.Generator) -> dict[str, ItemCard]:
    files = []
    for i in range(N_PHOTO_FILES):
        small = Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8))
        files.append(folder / f"{i}.jpg")
        small.resize((240, 320), Image.Resampling.BICUBIC).save(files[-1], quality=80)
    shown, with_photo = shown_items(log, comparisons)
    photo = dict(zip(with_photo, (files[i % N_PHOTO_FILES] for i in range(len(with_photo))), strict=True))
    return {
        item: ItemCard(f"{_WORDS[i % 11]} in good condition, size {i % 40}", None, None, photo.get(item))
        for i, item in enumerate(shown)
    }


def _open(path: Path) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    paints, readies, checked, moves = [], [], [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(path.as_uri())
            began = time.perf_counter()
            page.locator("html[data-checked]").wait_for(state="attached")
            checked.append(time.perf_counter() - began)
            paint, ready = page.evaluate(_MEASURE)
            paints.append(paint)
            readies.append(ready)
            moves.append(page.evaluate(_MOVE))
            note = page.locator("#lab-note").inner_text()
            page.close()
        version = browser.version
        browser.close()
    work = np.concatenate([one[0] for one in moves])
    return {
        "chromium": version,
        "first_paint_ms": round(float(np.median(paints))),
        "load_ms": round(float(np.median(readies))),
        "self_check_s": round(float(np.median(checked)), 2),
        "pages_ranked_as_the_replay": note.rsplit("This browser ranks ", 1)[1].split(" exactly")[0],
        "rerank_ms": round(float(np.median(work)), 1),
        "rerank_p95_ms": round(float(np.quantile(work, 0.95)), 1),
        "list_scroll_ms": round(float(np.median([one[1] for one in moves])), 2),
        "list_sort_ms": round(float(np.median([one[2] for one in moves])), 1),
    }
