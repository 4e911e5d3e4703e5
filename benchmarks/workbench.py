"""The workbench: how long a slider step takes to re-rank and redraw two pages of 100, and a live comparison.

The index holds 20,000 made-up items on the local Elasticsearch; the page runs in Chromium, the server as
`rank-cli serve` does, in a process of its own.
"""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch, helpers
from PIL import Image

from benchmarks.browser import chromium
from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.clock import DAY_MS
from ranking.es import connect

NOW = 1_800_000_000_000
N_ITEMS, N_PHOTO_FILES, K, STEPS = 20_000, 200, 100, 40
_WORDS = ("dress", "shirt", "hoodie", "jeans", "coat", "skirt", "boots", "hat", "scarf", "linen", "vintage")
_QUERIES = (
    "dress",
    "red dress",
    "vintage linen shirt",
    "coat",
    "boots size 7",
    "hat",
    "linen",
    "jeans",
    "scarf",
)
_STEP = """async (steps) => {
    const { bench } = await import("/assets/state.js");
    const { render } = await import("/assets/sides.js");
    const work = [];
    for (let i = 0; i < steps; i += 1) {
        bench.lab.weight = 1 + i / 5;
        const began = performance.now();
        render();
        document.getElementById("pages").getBoundingClientRect(); // lays the page out
        work.push(performance.now() - began);
    }
    bench.lab.weight = null;
    render();
    const { sides } = bench.answer;
    return [work, sides.map((side) => side.search.item.length), sides.map((side) => side.took_ms)];
}"""


def run() -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    es = connect()
    steps, searches, took, candidates = [], [], [], []
    with (
        tempfile.TemporaryDirectory() as temporary,
        _index(es, Path(temporary)) as name,
        _server(name, Path(temporary)) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(f"{url}?clock={NOW}&k={K}")
        page.locator("html[data-ready]").wait_for(state="attached")
        for round_ in range(2):
            for n, query in enumerate(_QUERIES, start=1 + round_ * len(_QUERIES)):
                page.get_by_label("Query").fill(query)
                page.wait_for_function(f"n => Number(document.documentElement.dataset.answers) === {n}")
                page.wait_for_timeout(400)  # photos and cards of this page
                times, sizes, ms = page.evaluate(_STEP, STEPS)
                if round_:  # the first has the photos to make
                    steps += times
                    candidates += sizes
                    took += ms
        entries = page.evaluate("performance.getEntriesByName('search').map((one) => one.duration)")
        searches = entries[len(_QUERIES) :]
        version = browser.version
        browser.close()
    return {
        "what": "two pages of 100 items side by side in Chromium, over 20,000 made-up items",
        "items": N_ITEMS,
        "k": K,
        "candidates_per_side": round(float(np.median(candidates))),
        "chromium": version,
        "slider_step_ms": round(float(np.median(steps)), 1),
        "slider_step_p95_ms": round(float(np.quantile(steps, 0.95)), 1),
        "live_compare_ms": round(float(np.median(searches))),
        "live_compare_p95_ms": round(float(np.quantile(searches, 0.95))),
        "took_ms_per_side": round(float(np.median(took)), 1),
    }


@contextmanager
def _index(es: Elasticsearch, folder: Path) -> Iterator[str]:
    rng = np.random.default_rng(29)
    (folder / "photos").mkdir()
    for i in range(N_PHOTO_FILES):
        small = Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8))
        small.resize((300, 400), Image.Resampling.BICUBIC).save(folder / "photos" / f"{i}.jpg", quality=80)
    name = f"bench-{secrets.token_hex(4)}"
    wanted = desired_state(name)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, name)
    words = rng.choice(_WORDS, (N_ITEMS, 4))
    age, score = rng.exponential(9, N_ITEMS), rng.beta(2, 3, N_ITEMS)
    try:
        helpers.bulk(
            es,
            (
                {
                    "_index": name,
                    "_id": str(i),
                    "item_id": f"item-{i:05d}",
                    "title": f"{' '.join(words[i])} size {i % 9} {('red', 'blue', 'green')[i % 3]}",
                    "category": str(words[i][0]),
                    "status": "on_sale",
                    "price": 100 * (i % 90),
                    "created_at": NOW - int(age[i] * DAY_MS),
                    "image_score": float(score[i]),
                    "image_url": f"{i % N_PHOTO_FILES}.jpg",
                }
                for i in range(N_ITEMS)
            ),
            refresh=True,
        )
        es.indices.forcemerge(index=name, max_num_segments=1)
        yield name
    finally:
        _remove(es, name)


def _remove(es: Elasticsearch, name: str) -> None:
    for index in es.indices.get(index=f"{name}-*", expand_wildcards="all"):
        es.indices.delete(index=index)
    quiet = es.options(ignore_status=404)
    for resource in reversed(desired_state(name)):
        match resource.kind:
            case "index_template":
                quiet.indices.delete_index_template(name=resource.name)
            case "component_template":
                quiet.cluster.delete_component_template(name=resource.name)
            case "ingest_pipeline":
                quiet.ingest.delete_pipeline(id=resource.name)


@contextmanager
def _server(index: str, folder: Path) -> Iterator[str]:
    words = [
        "serve",
        "--index",
        index,
        "--photos-root",
        str(folder / "photos"),
        "--port",
        "0",
        "--format",
        "json",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", "from ranking.cli import main; main()", *words],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.rstrip() == "}":
            break
    try:
        yield json.loads(said)["url"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
