"""The recorder on a cluster played by a fake node: what is served, what is kept, what may fail."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from elastic_transport import ApiResponseMeta, BaseNode, HttpHeaders
from elasticsearch import Elasticsearch

from ranking import capture_buffer
from ranking.capture import NOTHING_PROVEN, CaptureRecord, read_captures
from ranking.errors import ServerError
from ranking.profile import Profile
from ranking.recorder import Recorder
from ranking.search import Searcher

NOW = 1_795_000_000_000
PROFILE = Profile.model_validate(
    {"name": "p", "image": {"mode": "additive", "weight": 1.0}, "k": 2, "window": 3}
)


class NodeResponse(NamedTuple):
    """What a node gives to the transport."""

    meta: ApiResponseMeta
    body: bytes


class FakeCluster(BaseNode):
    """Three documents; the page shows the last two of them by relevance. Faults are switched by class."""

    fail: ClassVar[dict[str, int]] = {}  # part of a request -> HTTP status
    window_delay_s: ClassVar[float] = 0.0
    window_rel_shift: ClassVar[float] = 0.0
    asked: ClassVar[list[str]] = []

    def perform_request(
        self, method: str, target: str, body: bytes | None = None, *_args: Any, **_kwargs: Any
    ) -> Any:
        kind = (
            "pit"
            if "/_pit" in target
            else (
                "window"
                if b"script_score" not in (body or b"") and b"function_score" not in (body or b"")
                else "page"
            )
        )
        in_pit = kind != "pit" and b'"pit"' in (body or b"")
        FakeCluster.asked.append(f"{method} {kind}{' in pit' if in_pit else ''}")
        if kind == "window":
            time.sleep(self.window_delay_s)
        status = self.fail.get(f"{kind} in pit" if in_pit else kind, 200)
        headers = HttpHeaders({"content-type": "application/json", "x-elastic-product": "Elasticsearch"})
        meta = ApiResponseMeta(
            node=self.config, duration=0.0, http_version="1.1", status=status, headers=headers
        )
        return NodeResponse(meta, json.dumps(self.answer(kind, status)).encode())

    def answer(self, kind: str, status: int) -> dict[str, Any]:
        if status != 200:
            return {"error": {"reason": f"no {kind} today"}, "status": status}
        if kind == "pit":
            return {"id": "point-1", "succeeded": True, "_shards": {"total": 1, "failed": 0}}
        rel = {"a": 3.0, "b": 2.0, "c": 1.0}
        shift = self.window_rel_shift if kind == "window" else 0.0
        shown = [("c", 1.9), ("b", 1.5)] if kind == "page" else [(one, rel[one]) for one in "abc"]
        hits = [
            {"_score": score, "fields": {"item_id": [one]}, "matched_queries": {"rel": rel[one] + shift}}
            for one, score in shown
        ]
        return {
            "took": 1,
            "timed_out": False,
            "_shards": {"total": 1, "failed": 0},
            "hits": {"total": {"value": 3}, "hits": hits},
        }

    def close(self) -> None:
        pass


@pytest.fixture
def searcher() -> Iterator[Searcher]:
    FakeCluster.fail, FakeCluster.asked = {}, []
    FakeCluster.window_delay_s = FakeCluster.window_rel_shift = 0.0
    yield Searcher(Elasticsearch("http://fake:9200", node_class=FakeCluster, max_retries=0), "items", PROFILE)
    FakeCluster.fail = {}


def captured(folder: Path) -> list[CaptureRecord]:
    return sorted(read_captures(folder), key=lambda record: record.search_id)


def test_the_page_is_served_and_the_window_follows_in_the_same_point_in_time(
    searcher: Searcher, tmp_path: Path
) -> None:
    with Recorder(searcher, tmp_path) as recorder:
        served = recorder.search("red", now_ms=NOW, platform="web", user_id="u1", search_id="s1")
    assert [item.item_id for item in served.page.items] == ["c", "b"]
    assert FakeCluster.asked == ["POST pit", "POST page in pit", "POST window in pit", "DELETE pit"]
    [record] = captured(tmp_path)
    assert [(item.item_id, item.rank, item.rel) for item in record.items] == [
        ("c", 1, 1.0),
        ("b", 2, 2.0),
        ("a", None, 3.0),
    ]
    assert (record.window, record.rel_floor, record.total_hits) == (3, 1.0, 3)
    assert (record.platform, record.user_id, record.search_id) == ("web", "u1", "s1")
    stats = recorder.stats
    assert (stats.served, stats.sampled, stats.written, stats.errors) == (1, 1, 1, 0)


def test_a_search_outside_the_sample_is_a_plain_search(searcher: Searcher, tmp_path: Path) -> None:
    with Recorder(searcher, tmp_path, sample=0.0) as recorder:
        assert not recorder.search("red", now_ms=NOW).sampled
    assert FakeCluster.asked == ["POST page"]
    assert not list(tmp_path.iterdir())
    assert not [one for one in threading.enumerate() if one.name.startswith("rank-recorder")]


def test_the_user_does_not_wait_for_the_window(searcher: Searcher, tmp_path: Path) -> None:
    FakeCluster.window_delay_s = 0.5
    with Recorder(searcher, tmp_path) as recorder:
        began = time.perf_counter()
        recorder.search("red", now_ms=NOW)
        assert time.perf_counter() - began < 0.25
    assert captured(tmp_path)[0].window == 3


def test_a_refused_window_keeps_the_page_with_nothing_proven(searcher: Searcher, tmp_path: Path) -> None:
    FakeCluster.fail = {"window in pit": 503}
    with Recorder(searcher, tmp_path) as recorder:
        recorder.search("red", now_ms=NOW)
    [record] = captured(tmp_path)
    assert [item.rank for item in record.items] == [1, 2]
    assert (record.window, record.rel_floor) == (0, NOTHING_PROVEN)
    assert math.isinf(record.rel_floor or 0.0)
    assert recorder.stats.page_only == 1


def test_where_no_point_in_time_is_given_pages_come_without(
    searcher: Searcher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    FakeCluster.fail = {"pit": 403}
    with caplog.at_level(logging.ERROR), Recorder(searcher, tmp_path) as recorder:
        for i in range(3):
            recorder.search("red", now_ms=NOW, search_id=f"s{i}")
    assert FakeCluster.asked.count("POST pit") == 1  # refused for good: not asked again
    assert [record.window for record in captured(tmp_path)] == [3, 3, 3]
    assert len(caplog.records) == 1


def test_a_lost_point_in_time_is_replaced(searcher: Searcher, tmp_path: Path) -> None:
    FakeCluster.fail = {"page in pit": 404}
    with Recorder(searcher, tmp_path) as recorder:
        recorder.search("red", now_ms=NOW, search_id="s0")
        FakeCluster.fail = {}
        recorder.search("red", now_ms=NOW, search_id="s1")
    assert FakeCluster.asked.count("POST pit") == 2
    assert [record.window for record in captured(tmp_path)] == [3, 3]


def test_a_page_that_cannot_be_served_is_an_error_as_ever(searcher: Searcher, tmp_path: Path) -> None:
    FakeCluster.fail = {"page": 400, "page in pit": 400}
    with Recorder(searcher, tmp_path) as recorder, pytest.raises(ServerError, match="no page today"):
        recorder.search("red", now_ms=NOW)


def test_a_full_disk_is_counted_logged_once_and_loses_nothing_when_it_is_over(
    searcher: Searcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = capture_buffer.write_captures

    def full(*_args: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(capture_buffer, "write_captures", full)
    with caplog.at_level(logging.WARNING), Recorder(searcher, tmp_path, flush_count=1) as recorder:
        for i in range(4):
            assert recorder.search("red", now_ms=NOW, search_id=f"s{i}").page.items
        deadline = time.monotonic() + 5
        while recorder.stats.errors < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert recorder.stats.written == 0
        assert "No space left" in (recorder.stats.last_error or "")
        monkeypatch.setattr(capture_buffer, "write_captures", real)
    assert [record.search_id for record in captured(tmp_path)] == ["s0", "s1", "s2", "s3"]
    errors = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "recovered" in caplog.records[-1].message


def test_a_folder_that_cannot_be_made_costs_captures_and_no_search(
    searcher: Searcher, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with Recorder(searcher, tmp_path / "file" / "captures") as recorder:
        assert recorder.search("red", now_ms=NOW).page.items
    stats = recorder.stats
    assert (stats.written, stats.errors, stats.dropped) == (0, 1, 1)


def test_a_misspelt_argument_is_an_error_as_for_any_function(searcher: Searcher, tmp_path: Path) -> None:
    with Recorder(searcher, tmp_path) as recorder, pytest.raises(TypeError, match="usr_id"):
        recorder.search("red", now_ms=NOW, usr_id="u1")  # type: ignore[call-arg]


def test_a_disk_that_stays_full_drops_the_oldest(
    searcher: Searcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(capture_buffer, "write_captures", full)
    with Recorder(searcher, tmp_path, flush_count=1, max_pending=2, threads=1) as recorder:
        for i in range(5):
            recorder.search("red", now_ms=NOW, search_id=f"s{i}")
            time.sleep(0.05)
    assert recorder.stats.dropped == 5  # three for want of room, two when it was closed
    assert recorder.stats.served == 5


def test_a_queue_that_overflows_drops_and_never_blocks(searcher: Searcher, tmp_path: Path) -> None:
    FakeCluster.window_delay_s = 0.2
    with Recorder(searcher, tmp_path, max_pending=1, threads=1) as recorder:
        began = time.perf_counter()
        for _ in range(10):
            recorder.search("red", now_ms=NOW)
        assert time.perf_counter() - began < 1.0
    stats = recorder.stats
    assert stats.dropped >= 7
    assert stats.written + stats.dropped == 10


def test_many_threads_write_every_search_once(searcher: Searcher, tmp_path: Path) -> None:
    with Recorder(searcher, tmp_path, flush_count=7) as recorder:

        def visit(n: int) -> None:
            for i in range(25):
                recorder.search("red", now_ms=NOW, user_id=f"u{n}", search_id=f"s{n}-{i}")

        threads = [threading.Thread(target=visit, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({record.search_id for record in captured(tmp_path)}) == 100
    assert recorder.stats.written == 100


def test_few_searches_are_written_when_their_time_is_up(searcher: Searcher, tmp_path: Path) -> None:
    with Recorder(searcher, tmp_path, flush_count=1000, flush_s=0.1) as recorder:
        recorder.search("red", now_ms=NOW)
        deadline = time.monotonic() + 5
        while recorder.stats.written == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(captured(tmp_path)) == 1


class TestObserve:
    """A service that asks for itself."""

    def test_its_response_is_captured_and_the_window_is_asked_for(
        self, searcher: Searcher, tmp_path: Path
    ) -> None:
        response = FakeCluster.answer(FakeCluster, "page", 200)  # type: ignore[arg-type]
        with Recorder(searcher, tmp_path) as recorder:
            assert recorder.observe(response, "red", now_ms=NOW, search_id="s1") == "s1"
        [record] = captured(tmp_path)
        assert (record.window, record.rel_floor, len(record.items)) == (3, 1.0, 3)

    def test_an_index_that_moved_in_between_leaves_the_page_alone(
        self, searcher: Searcher, tmp_path: Path
    ) -> None:
        FakeCluster.window_rel_shift = 0.25
        response = FakeCluster.answer(FakeCluster, "page", 200)  # type: ignore[arg-type]
        with Recorder(searcher, tmp_path) as recorder:
            recorder.observe(response, "red", now_ms=NOW)
        [record] = captured(tmp_path)
        assert (record.window, record.rel_floor, len(record.items)) == (0, NOTHING_PROVEN, 2)
        assert "changed between" in (recorder.stats.last_error or "")

    @pytest.mark.parametrize("response", [{}, {"hits": None}, {"_shards": {"failed": 1, "total": 2}}])
    def test_a_response_that_is_none_of_ours_is_counted_and_raises_nothing(
        self, searcher: Searcher, tmp_path: Path, response: dict[str, Any]
    ) -> None:
        with Recorder(searcher, tmp_path) as recorder:
            recorder.observe(response, "red", now_ms=NOW)
        assert (recorder.stats.errors, recorder.stats.dropped) == (1, 1)


def test_after_close_searches_are_served_and_not_captured(searcher: Searcher, tmp_path: Path) -> None:
    recorder = Recorder(searcher, tmp_path)
    recorder.close()
    recorder.close()
    assert not recorder.search("red", now_ms=NOW).sampled
