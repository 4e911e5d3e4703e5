"""The parts of the backfill that need no server: queries, slices, pace, what becomes of a page."""

from __future__ import annotations

import pickle
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from elastic_transport import ApiResponseMeta, BaseNode, HttpHeaders
from elastic_transport._node import NodeApiResponse
from elasticsearch import Elasticsearch

from ranking.beam import check_options, check_runner, worker_failed
from ranking.errors import InputError, ServerError
from ranking.item_message import AiGenerated
from ranking.score_fields import LIVE, NEXT
from scorer.backfill.compare import Pairs, compare_pairs, psi_after_map
from scorer.backfill.job import Job
from scorer.backfill.pace import SLOWEST, Pace
from scorer.backfill.read import Item, read_slice
from scorer.backfill.scope import MOST_SLICES, Scope, Slice, plan_slices
from scorer.backfill.scoring import NO_PHOTO, Finding, ScorerSpec, Scoring
from scorer.backfill.write import ScoreWriter
from scorer.ingest.photos import Photo, PhotoError, PhotoSource
from scorer.serving.client import BadScoresError, Scored

NOW = 1_795_000_000_000
DAY = 86_400_000


def scope(**more: Any) -> Scope:
    return Scope.last_days(90, index="items", version="v2", now_ms=NOW, **more)


def test_the_query_has_the_clock_in_it_and_leaves_out_what_is_done_and_what_cannot_be() -> None:
    created = {"gte": NOW - 90 * DAY, "lte": NOW, "format": "epoch_millis"}
    assert scope().query() == {
        "bool": {
            "filter": [{"term": {"status": "on_sale"}}, {"range": {"created_at": created}}],
            "must_not": [
                {"term": {"image_score_version": "v2"}},
                {"term": {"image_score_failed.version": "v2"}},
            ],
        }
    }
    done = scope(into="next", retry_failed=True).query()["bool"]["must_not"]
    assert done == [{"term": {"image_score_version": "v2"}}, {"term": {"image_score_next_version": "v2"}}]


@pytest.mark.parametrize(
    ("items", "workers", "slices"),
    [(0, 1, 1), (500, 1, 1), (501, 1, 2), (100, 4, 16), (100_000_000, 50, MOST_SLICES)],
)
def test_there_are_more_slices_than_workers_and_no_more_than_the_server_takes(
    items: int, workers: int, slices: int
) -> None:
    assert plan_slices(items, workers) == [Slice(i, slices) for i in range(slices)]


def test_one_slice_is_not_named_since_the_server_refuses_it() -> None:
    assert Slice(0, 1).to_dict() is None
    assert Slice(2, 7).to_dict() == {"field": "created_at", "id": 2, "max": 7}


class Clock:
    def __init__(self) -> None:
        self.now, self.slept = 100.0, 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def test_a_limit_of_ten_a_second_lets_a_hundred_go_in_ten_seconds() -> None:
    clock = Clock()
    pace = Pace(10.0, clock=clock, sleep=clock.sleep)
    for _ in range(10):
        pace.wait(10)
    assert clock.slept == pytest.approx(9.0)  # the first ten need not wait
    pace.wait(10)
    assert clock.slept == pytest.approx(10.0)


def test_without_a_limit_nothing_waits_until_the_cluster_has_no_room() -> None:
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    for _ in range(10):
        pace.wait(100)
        clock.now += 1.0
    assert (pace.rate, clock.slept) == (None, 0.0)
    pace.slower()  # 1,000 items in 10 s
    assert pace.rate == pytest.approx(70.0)
    clock.now += 0.9
    pace.slower()  # of the same burst
    assert pace.rate == pytest.approx(70.0)
    clock.now += 0.2
    pace.slower()
    assert pace.rate == pytest.approx(49.0)
    for _ in range(15):
        pace.faster()
    assert pace.rate == pytest.approx(49.0 * 1.1**15)


def test_the_pace_never_passes_the_operators_limit_nor_stops() -> None:
    pace = Pace(8.0, clock=(clock := Clock()), sleep=clock.sleep)
    for _ in range(20):
        clock.now += 2.0
        pace.slower()
    assert pace.rate == SLOWEST
    for _ in range(100):
        pace.faster()
    assert pace.rate == 8.0


class Loader:
    """Photos by address; what is not there is broken."""

    def __init__(self, photos: dict[str, Photo]) -> None:
        self.photos = photos

    def submit(self, url: str) -> Future[Photo]:
        loaded: Future[Photo] = Future()
        if url in self.photos:
            loaded.set_result(self.photos[url])
        else:
            loaded.set_exception(PhotoError(f"{url} is broken"))
        return loaded


class Model:
    image_size = 2

    def __init__(self, version: str = "v2") -> None:
        self.version = version
        self.batches: list[int] = []

    def score(self, images: np.ndarray) -> Scored:
        self.batches.append(len(images))
        scores = images[:, 0, 0, 0].astype(np.float32) / 100
        bad = ~(scores <= 1)
        if bad.any():
            raise BadScoresError(scores, bad, self.version)
        return Scored(scores, self.version)


def photo(score: int, ai: AiGenerated | None = None) -> Photo:
    return Photo(np.full((2, 2, 3), score, dtype=np.uint8), ai)


def scoring(photos: dict[str, Photo], model: Model | None = None, **more: Any) -> Scoring:
    return Scoring(model or Model(), Loader(photos), version="v2", source=PhotoSource(), **more)  # type: ignore[arg-type]


def item(name: str, url: str | None, ai: AiGenerated | None = None) -> Item:
    return Item(name, url, "v1", ai)


def test_each_item_of_a_page_gets_a_score_or_a_reason_and_one_bad_photo_spoils_no_other() -> None:
    model = Model()
    photos = {f"http://x/{n}": photo(n) for n in (20, 50, 90)} | {"http://x/nan": photo(200)}
    items = [
        item("a", "http://x/20"),
        item("b", None),
        item("c", "http://x/gone"),
        item("d", "http://x/50"),
        item("e", "http://x/nan"),
        item("f", "http://x/90"),
    ]
    found = {f.item.id: f for f in scoring(photos, model, batch=3).score(items)}
    assert {name: round(f.score, 2) for name, f in found.items() if f.score is not None} == {
        "a": 0.2,
        "d": 0.5,
        "f": 0.9,
    }
    assert (found["b"].stage, found["b"].reason) == ("photo", NO_PHOTO)
    assert (found["c"].stage, found["c"].reason) == ("photo", "http://x/gone is broken")
    assert found["e"].stage == "score"
    assert "2.0" in str(found["e"].reason)
    assert model.batches == [3, 1]


def test_what_a_photo_says_of_its_making_is_kept_where_it_is_news() -> None:
    sure, unsure = AiGenerated(probability=0.9, source="c2pa"), AiGenerated(probability=0.2, source="x")
    photos = {"http://x/1": photo(1, sure), "http://x/2": photo(2, unsure)}
    items = [item("a", "http://x/1"), item("b", "http://x/1", sure), item("c", "http://x/2", sure)]
    assert [f.ai for f in scoring(photos).score(items)] == [sure, None, None]


def test_another_model_in_the_middle_ends_the_run() -> None:
    with pytest.raises(ServerError, match="v3 answers now, and this run began with v2"):
        scoring({"http://x/1": photo(1)}, Model("v3")).score([item("a", "http://x/1")])


def test_photos_that_all_fail_end_the_run_and_items_without_one_do_not_count() -> None:
    items = [item(f"i{n}", f"http://x/{n}" if n % 2 else None) for n in range(12)]
    with pytest.raises(ServerError, match="5 in a row could not be had, the last one: http://x/9 is broken"):
        scoring({}, most_in_a_row=5).score(items)
    assert len(scoring({}, most_in_a_row=0).score(items)) == 12
    assert len(scoring({"http://x/5": photo(1)}, most_in_a_row=4).score(items)) == 12


@pytest.mark.parametrize("url", ["a/b.jpg", "file:///a.jpg", "/a.jpg"])
def test_photos_in_files_without_a_root_are_the_operators_mistake_and_no_broken_photos(url: str) -> None:
    with pytest.raises(InputError, match="the photos are in files") as raised:
        scoring({}).score([item("a", url)])
    assert "--photos-root" in str(raised.value.hint)


class Node(BaseNode):
    """Answers bulk requests from a script: a status for the request, or for each item."""

    answers: ClassVar[list[Any]] = []
    sent: ClassVar[list[list[str]]] = []

    def perform_request(self, method, target, body=None, headers=None, request_timeout=None):  # type: ignore[no-untyped-def]
        lines = [line for line in (body or b"").decode().splitlines() if '"update"' in line]
        ids = [line.split('"_id":"')[1].split('"')[0] for line in lines]
        self.sent.append(ids)
        answer = self.answers.pop(0)
        status = answer if isinstance(answer, int) else 200
        items = [
            {"update": {"_id": i, "status": one[0], **one[1]}}
            for i, one in zip(ids, answer if isinstance(answer, list) else [], strict=False)
        ]
        text = b'{"items":%s}' % _json(items)
        return NodeApiResponse(
            ApiResponseMeta(
                status=status,
                http_version="1.1",
                headers=HttpHeaders(
                    {"content-type": "application/json", "x-elastic-product": "Elasticsearch"}
                ),
                duration=0.0,
                node=self.config,
            ),
            text,
        )

    def close(self) -> None:
        pass


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


OK = (200, {"result": "updated"})
NOOP = (200, {"result": "noop"})
BUSY = (429, {"error": {"type": "es_rejected_execution_exception", "reason": "queue full"}})


def write(answers: list[Any], ids: str, **more: Any) -> Any:
    node = type("Scripted", (Node,), {"answers": answers, "sent": []})
    es = Elasticsearch("http://x:9200", node_class=node)
    pace = Pace(100.0)
    writer = ScoreWriter(
        es, "items", version="v2", target=LIVE, now_ms=lambda: NOW, pace=pace, **({"wait_s": 5.0} | more)
    )
    return writer.write([Finding(item(i, f"http://x/{i}"), 0.5) for i in ids]), node.sent, pace


def ids_of(findings: list[Finding]) -> str:
    return "".join(finding.item.id for finding in findings)


def test_only_what_was_rejected_is_sent_again_and_the_pace_falls() -> None:
    result, sent, pace = write([[OK, BUSY, NOOP, BUSY], 429, [OK, OK]], "abcd")
    assert sent == [["a", "b", "c", "d"], ["b", "d"], ["b", "d"]]
    assert (ids_of(result.written), ids_of(result.changed_meanwhile)) == ("abd", "c")
    assert 100 * 0.7 * 0.7 * 1.1 - 0.01 < pace.rate < 100 * 0.7 * 1.1 + 0.01  # two refusals, maybe one burst


def test_items_that_are_gone_or_refused_are_told_apart() -> None:
    gone = (404, {"error": {"type": "document_missing_exception", "reason": "missing"}})
    race = (409, {"error": {"type": "version_conflict_engine_exception", "reason": "race"}})
    bad = (400, {"error": {"type": "illegal_argument", "reason": "no", "caused_by": {"reason": "why"}}})
    result, _, _ = write([[gone, race, bad, OK]], "abcd")
    assert (ids_of(result.gone), ids_of(result.changed_meanwhile)) == ("a", "b")
    assert [(f.item.id, why) for f, why in result.refused] == [("c", "why")]
    assert ids_of(result.written) == "d"


def test_a_script_that_is_not_stored_and_a_server_that_stays_busy_are_sentences() -> None:
    cause = {"type": "x", "reason": "unable to find script [rank-score-write-v1] in cluster state"}
    missing = (400, {"error": {"type": "y", "reason": "failed to execute script", "caused_by": cause}})
    with pytest.raises(ServerError, match="unable to find script") as raised:
        write([[missing]], "a")
    assert "templates apply" in str(raised.value.hint)
    with pytest.raises(ServerError, match="1 scores are not written yet: HTTP 429"):
        write([429] * 50, "a", wait_s=0.5)


class Searches(BaseNode):
    """Answers requests by a script: (status, body) each; closing a point in time always works."""

    answers: ClassVar[list[tuple[int, dict[str, Any]]]] = []
    asked: ClassVar[list[str]] = []

    def perform_request(self, method, target, body=None, headers=None, request_timeout=None):  # type: ignore[no-untyped-def]
        if method == "DELETE":
            status, answer = 200, {}
        else:
            self.asked.append(target.partition("?")[0])
            status, answer = self.answers.pop(0)
        headers = HttpHeaders({"content-type": "application/json", "x-elastic-product": "Elasticsearch"})
        meta = ApiResponseMeta(
            status=status, http_version="1.1", headers=headers, duration=0.0, node=self.config
        )
        return NodeApiResponse(meta, _json(answer))

    def close(self) -> None:
        pass


PIT = (200, {"id": "pit"})
END = (200, {"_shards": {}, "hits": {"hits": []}})


def page(*names: str) -> tuple[int, dict[str, Any]]:
    hits = [{"_id": name, "_source": {"image_url": f"http://x/{name}"}, "sort": [1]} for name in names]
    return 200, {"_shards": {}, "hits": {"hits": hits}}


def read(answers: list[Any], wait_s: float = 60.0) -> tuple[list[list[str]], list[str], list[float]]:
    node = type("Scripted", (Searches,), {"answers": answers, "asked": []})
    es = Elasticsearch("http://x:9200", node_class=node, max_retries=0)
    slept: list[float] = []
    pages = read_slice(es, scope(), Slice(0, 1), wait_s=wait_s, sleep=slept.append)
    return [[one.id for one in found] for found in pages], node.asked, slept


def test_a_lost_point_in_time_is_opened_anew_and_nothing_comes_twice() -> None:
    lost = (404, {"error": {"type": "search_context_missing_exception", "reason": "gone"}})
    partial = (200, {"_shards": {"total": 2, "failed": 1, "failures": [{}]}, "hits": {"hits": []}})
    busy = (503, {"error": {"type": "x", "reason": "no shard"}})
    answers = [PIT, page("a", "b"), lost, busy, PIT, page("b", "c"), partial, PIT, page("d"), END]
    pages, asked, slept = read(answers)
    assert pages == [["a", "b"], ["c"], ["d"]]
    assert asked.count("/items/_pit") == 4
    assert slept == [0.5, 1.0, 0.5]


def test_a_server_that_stays_away_ends_the_reading_and_one_that_refuses_does_so_at_once() -> None:
    busy = (503, {"error": {"type": "x", "reason": "no shard"}})
    with pytest.raises(ServerError, match="reading items: no shard"):
        read([busy] * 9, wait_s=3.0)
    refused = (403, {"error": {"type": "security_exception", "reason": "not you"}})
    answers = [PIT, refused]
    with pytest.raises(ServerError):
        read(answers)
    assert answers == []
    closed = (404, {"error": {"type": "index_not_found_exception", "reason": "no such index"}})
    with pytest.raises(ServerError, match="no such index"):
        read([closed])


def test_what_is_written_beside_the_live_score_names_its_photo() -> None:
    writer = ScoreWriter(Elasticsearch("http://x:1"), "i", version="v2", target=NEXT, now_ms=lambda: NOW)
    assert writer.document(Finding(item("a", "http://x/a"), 0.25)) == {
        "image_score_next": 0.25,
        "image_score_next_version": "v2",
        "image_score_next_at": "2026-11-18T11:06:40.000Z",
        "image_score_next_url": "http://x/a",
        "image_score_failed": None,
    }
    failed = writer.document(Finding(item("a", None), stage="photo", reason="x" * 900))["image_score_failed"]
    assert (failed["version"], len(failed["reason"])) == ("v2", 500)


def test_two_models_compared() -> None:
    rng = np.random.default_rng(3)
    old = rng.beta(2, 3, 4_000)
    categories = tuple("hat" if n % 40 else "rare" for n in range(4_000))
    half = np.sqrt(old)  # the same order, on another scale
    pairs = Pairs("v1", "v2", old, half, categories, 5_000, 4_500, 4_000)
    everything, hat, rare = compare_pairs(pairs)
    assert (everything.n, hat.n, rare.n, rare.category) == (4_000, 3_900, 100, "rare")
    assert everything.spearman == pytest.approx(1.0)
    # by hand: KS is the largest gap of F(x) and F(x**2)
    grid = np.linspace(0, 1, 20_001)
    share = np.searchsorted(np.sort(old), grid, side="right") / 4_000
    squared = np.searchsorted(np.sort(old), grid**2, side="right") / 4_000
    assert everything.drift.ks == pytest.approx((share - squared).max(), abs=2e-3)
    assert everything.drift.verdict == "shifted"
    mapped = psi_after_map(pairs)
    assert mapped is not None
    assert mapped < 0.02 < everything.drift.psi
    assert psi_after_map(Pairs("v1", "v2", old[:50], half[:50], categories[:50], 9, 9, 9)) is None


@pytest.mark.parametrize("flag", ["--es_password=x", "--apiKey=x", "--api-key=x", "--auth_token=x"])
def test_a_flag_that_carries_a_secret_is_refused_without_its_value(flag: str) -> None:
    with pytest.raises(InputError, match="looks like a secret") as raised:
        check_options(["--region=eu", flag])
    assert "=x" not in str(raised.value)
    check_options(["--region=eu", "--temp_location=gs://x", "--sdk_container_image=i"])


def test_an_unknown_runner_and_a_word_that_is_no_flag_are_named() -> None:
    with pytest.raises(InputError, match="there is no runner 'hadoop'"):
        check_runner("hadoop")
    with pytest.raises(InputError, match="begins with --"):
        check_options(["region=eu"])


def test_what_a_worker_said_is_told_without_its_traceback() -> None:
    text = (
        "Traceback (most recent call last):\n  File x\n"
        "ranking.errors.ServerError: Triton: gone [while running 'score']"
    )
    assert str(worker_failed(RuntimeError(text))) == "a worker failed: Triton: gone"


def test_a_wait_ends_when_the_run_is_told_to_stop(tmp_path: Path) -> None:
    one = Job(scope=scope(), scorer=ScorerSpec(), stop_file=tmp_path / "stop")
    assert not one.stopped
    (tmp_path / "stop").touch()
    began = time.monotonic()
    one.sleep(60.0)
    assert (one.stopped, time.monotonic() - began < 5) == (True, True)


def test_what_travels_to_a_worker_names_no_engine_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://user:hunter22@x:9200")
    monkeypatch.setenv("ELASTICSEARCH_API_KEY", "hunter22")
    job = Job(scope=scope(), scorer=ScorerSpec(), photos=PhotoSource(root=Path("/photos")))
    assert b"hunter22" not in pickle.dumps(job)
    assert pickle.loads(pickle.dumps(job)) == job
