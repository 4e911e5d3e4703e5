"""The backfill on real engines: killed, raced, starved of photos; and a model upgrade from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from PIL import Image
from scipy.stats import ks_2samp

from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.score_fields import LIVE, NEXT
from ranking.settings import get_settings
from scorer.backfill import Job, Scope, ScorerSpec, run_backfill, version_of
from scorer.backfill.job import open_scoring, open_writer
from scorer.backfill.read import read_slice
from scorer.backfill.scope import plan_slices
from scorer.backfill.upgrade import clean_scores, move_scores, only_version, upgrade_status
from scorer.calibration.rescale import write_mapped
from scorer.ingest.photos import PhotoSource
from scorer.model.head import ScoreMap
from scorer.model.scorer import load_scorer
from tests.integration.triton_server import MODEL, TritonServer, own_triton

pytestmark = pytest.mark.engines

T0 = 1_795_000_000_000  # epoch ms
N_PHOTOS = 20
N_ITEMS = 260  # of the test that kills; far more than are scored between two looks
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with own_triton(tmp_path_factory.mktemp("triton")) as server:
        server.load()
        yield server


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty drawn photos, and one that is broken."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(11)
    for n in range(N_PHOTOS):
        small = Image.fromarray(rng.integers(0, 256, (4, 3, 3), dtype=np.uint8))
        small.resize((120, 160)).save(folder / f"{n}.jpg")
    (folder / "broken.jpg").write_bytes((folder / "0.jpg").read_bytes()[:300])
    return folder


@pytest.fixture(scope="module")
def new_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model on another scale: other scores, in the same order."""
    folder = tmp_path_factory.mktemp("models") / "new"
    write_mapped(MODEL, ScoreMap(x=(0.0, 0.5, 1.0), y=(0.0, 0.7, 1.0)), folder)
    return folder


@pytest.fixture(scope="module")
def expected(photos: Path) -> list[float]:
    """The live model's scores of the photos, without anything of the backfill."""
    images = [Image.open(photos / f"{n}.jpg") for n in range(N_PHOTOS)]
    return [float(score) for score in load_scorer(MODEL).score_images(images)]


def item(n: int, *, photo: str | None = "", version: int | None = None, **more: Any) -> dict[str, Any]:
    created = T0 - n * 60_000
    document = {
        "item_id": f"i{n}",
        "title": f"dress {n}",
        "status": "on_sale",
        "category": ("dress", "hat")[n % 2],
        "created_at": created,
        "updated_at": version or created,
        "image_url": f"{n % N_PHOTOS}.jpg" if photo == "" else photo,
        **more,
    }
    return {name: value for name, value in document.items() if value is not None}


def put(es: Elasticsearch, family: str, items: list[dict[str, Any]]) -> None:
    """As the feeder writes: whole documents with `updated_at` as version."""
    operations: list[dict[str, Any]] = []
    for one in items:
        action = {"_id": one["item_id"], "version": one["updated_at"], "version_type": "external_gte"}
        operations += [{"index": action}, one]
    assert not es.bulk(index=family, operations=operations, refresh=True)["errors"]


def documents(es: Elasticsearch, family: str) -> dict[str, dict[str, Any]]:
    es.indices.refresh(index=family)
    hits = es.search(index=family, size=2_000, version=True, query={"match_all": {}})["hits"]["hits"]
    return {hit["_id"]: {**hit["_source"], "_version": hit["_version"]} for hit in hits}


def job(family: str, photos: Path, spec: ScorerSpec, **more: Any) -> Job:
    version = version_of(spec.open())
    scope = Scope.last_days(90, index=family, version=version, now_ms=T0 + 1, **more)
    return Job(scope=scope, scorer=spec, photos=PhotoSource(root=photos), page=16)


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(es: Elasticsearch, triton: TritonServer, family: str, photos: Path) -> Start:
    """Begin `rank-cli ingest backfill` as a process of its own."""
    node = next(iter(es.transport.node_pool.all())).config
    env = os.environ | {
        "ELASTICSEARCH_URL": f"{node.scheme}://{node.host}:{node.port}",
        "TRITON_URL": triton.url,
        "PYTHONPATH": str(ROOT),
    }
    words = ("ingest", "backfill", "--index", family, "--at", str(T0 + 1), "--photos-root", str(photos))

    def call(*more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from ranking.cli import main; main()", *words, "--format", "json", *more],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return call


def finish(process: subprocess.Popen[str], *, exit_code: int = 0) -> dict[str, Any]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == exit_code, err
    found: dict[str, Any] = json.loads(out)
    return found


def n_scored(es: Elasticsearch, family: str) -> int:
    es.indices.refresh(index=family)
    return int(es.count(index=family, query={"exists": {"field": "image_score"}})["count"])


def test_killed_twice_in_the_middle_every_item_is_scored_and_each_written_once(
    es: Elasticsearch, family: str, start: Start, expected: list[float], triton: TritonServer
) -> None:
    broken = {7: "broken.jpg", 61: None, 119: "gone.jpg", 240: "../secret.jpg"}
    items = [item(n, **({"photo": broken[n]} if n in broken else {})) for n in range(N_ITEMS)]
    old = [
        item(1_000, created_at=T0 - 91 * DAY_MS),
        item(1_001, status="sold"),
        item(1_002, image_score=0.5, image_score_version=triton.exported.model_version),
    ]
    put(es, family, items + old)
    before = documents(es, family)
    for least in (50, 130):
        process = start("--page", "16", "--max-per-second", "150")
        while n_scored(es, family) < least:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.kill()
        process.communicate()
    at_kill = n_scored(es, family) - 1
    assert 130 <= at_kill < N_ITEMS - 4

    last = finish(start())
    assert (last["to_do"], last["remaining"], last["changed_meanwhile"]) == (last["found"], 0, 0)
    assert last["scored"] + last["failed"] == last["to_do"] < N_ITEMS
    found = documents(es, family)
    version = triton.exported.model_version
    for n in range(N_ITEMS):
        now, then = found[f"i{n}"], before[f"i{n}"]
        assert now["_version"] == then["_version"] + 1, "written once, over three runs"
        assert now["updated_at"] == then["updated_at"]
        if n in broken:
            assert "image_score" not in now
            assert now["image_score_failed"]["version"] == version
        else:
            assert now["image_score"] == pytest.approx(expected[n % N_PHOTOS], abs=1e-5)
            assert now["image_score_version"] == version
    for n in (1_000, 1_001, 1_002):
        assert found[f"i{n}"] == before[f"i{n}"]
    reasons = {n: found[f"i{n}"]["image_score_failed"]["reason"] for n in broken}
    assert reasons[61] == "the item has no photo in the index"
    assert "No such file" in reasons[119]
    assert "outside the photos root" in reasons[240]

    again = finish(start())
    assert (again["to_do"], again["found"], again["passes"]) == (0, 0, 0)
    retried = finish(start("--retry-failed", "--workers", "2"))
    assert (retried["to_do"], retried["failed"], retried["remaining"]) == (4, 4, 0)
    assert sum(retried["reasons"].values()) == 4
    assert documents(es, family)["i0"]["_version"] == before["i0"]["_version"] + 1


def test_a_dry_run_counts_and_measures_and_changes_nothing(
    es: Elasticsearch, family: str, start: Start
) -> None:
    put(es, family, [item(n, photo="broken.jpg" if n % 4 == 0 else "") for n in range(40)])
    before = documents(es, family)
    words = ("--dry-run", "--sample", "40", "--hourly-cost", "3.6", "--max-per-second", "2", "--check")
    told = finish(start(*words), exit_code=2)
    assert (told["dry_run"], told["to_do"], told["in_scope"], told["n_sample"]) == (True, 40, 40, 40)
    assert (told["failed_share"], told["seconds"]) == (0.25, 20.0)  # 40 items at 2 a second
    assert told["cost"] == pytest.approx(20 * 3.6 / 3600)
    assert documents(es, family) == before
    assert es.indices.stats(index=family)["_all"]["total"]["docs"]["deleted"] == 0


def test_what_changes_between_reading_and_writing_keeps_no_stale_score(
    es: Elasticsearch, family: str, photos: Path, expected: list[float]
) -> None:
    put(es, family, [item(n) for n in range(8)])
    local = job(family, photos, ScorerSpec(model=MODEL))
    (part,) = plan_slices(8)
    (page,) = read_slice(es, local.scope, part)
    scoring, loader = open_scoring(local)
    findings = scoring.score(page)
    loader.close()
    later = T0 + 60_000
    put(
        es,
        family,
        [
            item(0, photo="9.jpg", version=later),  # another photo
            item(1, version=later, price=80),  # another price
            item(2, version=later, image_score=0.123, image_score_version="v-online"),
            item(3, photo=None, version=later),  # no photo any more
            item(4, version=later, status="sold"),
        ],
    )
    es.delete(index=family, id="i5")
    result = open_writer(local, es).write(findings)
    assert {f.item.id for f in result.written} == {"i1", "i4", "i6", "i7"}
    assert {f.item.id for f in result.changed_meanwhile} == {"i0", "i2", "i3"}
    assert {f.item.id for f in result.gone} == {"i5"}
    found = documents(es, family)
    assert "image_score" not in found["i0"]
    assert "image_score" not in found["i3"]
    assert (found["i1"]["price"], found["i1"]["image_score"]) == (80, pytest.approx(expected[1], abs=1e-5))
    assert (found["i2"]["image_score"], found["i2"]["image_score_version"]) == (0.123, "v-online")
    again = open_writer(local, es).write(findings)  # a bundle that is tried again
    assert not again.written
    assert documents(es, family) == found

    summary = run_backfill(es, local)
    assert (summary.scored, summary.failed, summary.remaining) == (2, 1, 0)  # i0, i2; i3 has no photo
    assert documents(es, family)["i0"]["image_score"] == pytest.approx(expected[9], abs=1e-5)


class BusyDoor(ThreadingHTTPServer):
    """Passes requests on to a server; every second bulk request has no room there."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _BusyHandler)
        self.target = (host, port)
        self.n_bulk = self.n_refused = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _BusyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BusyDoor

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if "/_bulk" in self.path:
            self.server.n_bulk += 1
            if self.server.n_bulk % 2:
                self.server.n_refused += 1
                self._answer(429, b'{"error": {"type": "es_rejected_execution_exception"}, "status": 429}')
                return
        there = HTTPConnection(*self.server.target)
        kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "accept-encoding")}
        there.request(self.command, self.path, body, kept)
        answer = there.getresponse()
        self._answer(answer.status, answer.read(), answer.getheader("content-type"))
        there.close()

    def _answer(self, status: int, body: bytes, kind: str | None = "application/json") -> None:
        self.send_response(status)
        for name, value in (
            ("content-type", kind or ""),
            ("x-elastic-product", "Elasticsearch"),
            ("content-length", str(len(body))),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_cluster_without_room_is_waited_for_and_every_item_written_once(
    es: Elasticsearch,
    family: str,
    photos: Path,
    expected: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(es, family, [item(n) for n in range(48)])
    before = documents(es, family)
    node = next(iter(es.transport.node_pool.all())).config
    door = BusyDoor(node.host, node.port)
    monkeypatch.setenv("ELASTICSEARCH_URL", f"http://127.0.0.1:{door.server_port}")
    get_settings.cache_clear()
    try:
        summary = run_backfill(es, job(family, photos, ScorerSpec(model=MODEL)))
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
        door.shutdown()
    assert (summary.scored, summary.remaining) == (48, 0)
    assert (door.n_bulk, door.n_refused) == (6, 3)  # three pages of sixteen, each taken at the second try
    for name, now in documents(es, family).items():
        assert now["_version"] == before[name]["_version"] + 1
        assert now["image_score"] == pytest.approx(expected[int(name[1:]) % N_PHOTOS], abs=1e-5)


class Killed(Exception):
    pass


def test_a_model_upgrade_from_end_to_end(
    es: Elasticsearch, family: str, photos: Path, new_model: Path, expected: list[float]
) -> None:
    vector = {"image_embedding": [0.5, 1.0, 0.25, 2.0], "image_embedding_version": "tower"}
    put(es, family, [item(n, **(vector if n == 3 else {})) for n in range(120)])
    old = job(family, photos, ScorerSpec(model=MODEL))
    new_spec = ScorerSpec(model=str(new_model))
    new = job(family, photos, new_spec, into="next")
    v_old, v_new = old.scope.version, new.scope.version
    assert run_backfill(es, old).scored == 120
    with pytest.raises(InputError, match="holds a next score"):
        only_version(es, family, "next")
    before = documents(es, family)
    assert run_backfill(es, new).scored == 120
    filled = documents(es, family)
    for name, then in before.items():
        assert {key: filled[name][key] for key in LIVE.names} == {key: then[key] for key in LIVE.names}
    assert only_version(es, family, "next") == v_new

    from typer.testing import CliRunner

    from ranking.cli import full_app

    page = photos.parent / "compare.html"
    words = ["ingest", "upgrade", "compare", "--index", family, "--format", "json", "--check"]
    told = CliRunner().invoke(full_app(), [*words, "--html", str(page)])
    row = json.loads(told.stdout)
    a = np.array([filled[f"i{n}"]["image_score"] for n in range(120)], dtype=np.float32)
    b = np.array([filled[f"i{n}"]["image_score_next"] for n in range(120)], dtype=np.float32)
    assert (row["coverage"], row["n_compared"]) == (1.0, 120)
    assert row["scores"][0]["ks"] == pytest.approx(ks_2samp(a, b).statistic, abs=1e-4)
    assert row["scores"][0]["spearman"] == pytest.approx(1.0)
    assert told.exit_code == (0 if row["scores"][0]["verdict"] == "stable" else 2)
    assert page.read_text().count("<figure>") == len(row["scores"])

    # Between filling and switching: a seller gives an item another photo through a partial update that knows
    # nothing of `next`, and a new item comes in with the old model's score.
    es.update(index=family, id="i0", doc={"image_url": "5.jpg"})
    put(es, family, [item(500, **scored(expected[0], v_old))])

    def die(_n: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        move_scores(es, family, "switch", v_new, now_ms=T0, chunk=50, on_progress=die)
    half = upgrade_status(es, family)
    assert (half.live[v_new], half.next[v_new]) in ((50, 70), (49, 70))  # i0 may be among the fifty
    assert move_scores(es, family, "switch", v_new, now_ms=T0, chunk=50) == 70
    assert move_scores(es, family, "switch", v_new, now_ms=T0) == 0
    switched = documents(es, family)
    for n in range(1, 120):
        now = switched[f"i{n}"]
        assert now["image_score"] == filled[f"i{n}"]["image_score_next"]
        assert now["image_score_version"] == v_new
        assert now["image_score_previous"] == filled[f"i{n}"]["image_score"]
        assert "image_score_next" not in now
    assert switched["i0"]["image_score_version"] == v_old  # the next score was of another photo
    assert "image_score_next" not in switched["i0"]

    # The live model is the new one now: what came in between is found and scored by it.
    after = run_backfill(es, job(family, photos, new_spec))
    assert (after.to_do, after.scored) == (2, 2)
    assert upgrade_status(es, family).live == {v_new: 121}

    assert move_scores(es, family, "rollback", v_old, now_ms=T0) == 119
    back = documents(es, family)
    for n in range(1, 120):
        assert {key: back[f"i{n}"][key] for key in LIVE.names} == {
            key: before[f"i{n}"][key] for key in LIVE.names
        }
        assert back[f"i{n}"][NEXT.score] == filled[f"i{n}"]["image_score_next"]
        assert back[f"i{n}"]["updated_at"] == before[f"i{n}"]["updated_at"]
    assert run_backfill(es, old).scored == 2  # i0 and i500, which had no previous score
    assert upgrade_status(es, family).live == {v_old: 121}
    assert clean_scores(es, family, ["next", "previous"], now_ms=T0) == 119
    assert embedding(es, family, "i3") == vector["image_embedding"]  # not in `_source` since 9.2
    kept = upgrade_status(es, family)
    assert (kept.next, kept.previous, kept.unscored) == ({}, {}, 0)


def embedding(es: Elasticsearch, family: str, name: str) -> list[float]:
    es.indices.refresh(index=family)
    answer = es.search(index=family, query={"ids": {"values": [name]}}, fields=["image_embedding"])
    found: list[float] = answer["hits"]["hits"][0]["fields"]["image_embedding"]
    return found


def scored(score: float, version: str) -> dict[str, Any]:
    return {"image_score": score, "image_score_version": version, "image_scored_at": T0}


def test_an_index_without_the_fields_is_refused_with_what_to_do(
    es: Elasticsearch, prefix: str, photos: Path
) -> None:
    es.indices.create(index=prefix, mappings={"properties": {"image_score_version": {"type": "keyword"}}})
    with pytest.raises(InputError, match=r"has no field image_score_failed\.version, image_score_next"):
        run_backfill(es, job(prefix, photos, ScorerSpec(model=MODEL)))
