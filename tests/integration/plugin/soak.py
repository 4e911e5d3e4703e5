"""Searches, writes, deletes and refreshes at once: `python -m tests.integration.plugin.soak MINUTES [URL]`.

Every list of `rank_boost` is compared with `script_score` inside one point in time; any error and any
difference ends it. The heap that collections leave is printed twice a minute: it has to stay flat.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from typing import Any

from tests.integration.plugin import cases
from tests.integration.plugin.nodes import Server

INDEX = "soak"
DOCS = 60_000


def run(url: str, minutes: float) -> int:
    server = Server(url, "any")
    server.do("PUT", "/_cluster/settings", {"persistent": {"script.max_compilations_rate": "100000/1m"}})
    if server.call("HEAD", f"/{INDEX}")[0] == 200:
        server.do("DELETE", f"/{INDEX}")
    cases.make_index(server, INDEX, docs=DOCS, seed=6, shards=2, batches=2)
    done: Counter[str] = Counter()
    failed: list[str] = []
    stop = threading.Event()
    jobs = [lambda s, r: _write(s, r, done), *[lambda s, r: _compare(s, r, done)] * 3]
    threads = [
        threading.Thread(target=_repeat, args=(job, url, i, stop, failed)) for i, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until and not failed:
        stop.wait(min(30.0, max(0.1, until - time.monotonic())))
        print(f"{dict(done)}, heap in use {_heap_mb(server)} MB, {_segments(server)} segments", flush=True)
    stop.set()
    for thread in threads:
        thread.join()
    print("\n".join(failed) or f"no error and no difference: {dict(done)}")
    server.do("DELETE", f"/{INDEX}")
    return bool(failed)


def _repeat(job: Any, url: str, seed: int, stop: threading.Event, failed: list[str]) -> None:
    server, rng = Server(url, "any"), random.Random(seed)
    while not stop.is_set():
        try:
            job(server, rng)
        except Exception as e:  # whatever it is, it is what we look for
            failed.append(f"{type(e).__name__}: {e}"[:2000])
            stop.set()


def _write(server: Server, rng: random.Random, done: Counter[str]) -> None:
    lines: list[dict[str, Any]] = []
    for _ in range(400):
        i = rng.randrange(DOCS)
        if rng.random() < 0.3:
            lines.append({"delete": {"_id": str(i)}})
        else:
            lines += [{"index": {"_id": str(i)}}, cases.document(rng, i, DOCS)]
    answer = server.do("POST", f"/{INDEX}/_bulk?refresh=true", lines)
    bad = [item for row in answer["items"] for item in row.values() if item["status"] not in (200, 201, 404)]
    assert not bad, bad[:2]
    done["documents written"] += 400


def _compare(server: Server, rng: random.Random, done: Counter[str]) -> None:
    pit = server.do("POST", f"/{INDEX}/_pit?keep_alive=1m")["id"]
    try:
        for ours, theirs in cases.bodies(rng, 1, 6):
            lists = []
            for body in (ours, theirs):
                answer = server.do("POST", "/_search", {**body, "pit": {"id": pit}})
                lists.append([(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]])
            assert lists[0] == lists[1], ours
            done["lists compared"] += 1
    finally:
        server.do("DELETE", "/_pit", {"id": pit})


def _heap_mb(server: Server) -> int:
    """Least heap in use over some looks, which is what the last collections left."""
    seen = []
    for _ in range(5):
        (node,) = server.do("GET", "/_nodes/stats/jvm")["nodes"].values()
        seen.append(node["jvm"]["mem"]["heap_used_in_bytes"])
        time.sleep(0.5)
    return int(min(seen) / 1e6)


def _segments(server: Server) -> int:
    return len(server.do("GET", f"/_cat/segments/{INDEX}?format=json"))


if __name__ == "__main__":
    sys.exit(run(sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:9200", float(sys.argv[1])))
