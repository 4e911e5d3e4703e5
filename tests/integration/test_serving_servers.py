"""Several real Tritons behind one client, a crowded queue, and a server that decodes."""

import asyncio
import io
import re
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tritonclient import grpc

from ranking.settings import get_settings
from scorer.export import write_onnx_repository
from scorer.model.photo import read_photo
from scorer.serving import (
    BACKFILL,
    ONLINE,
    AsyncScoreClient,
    CircuitBreaker,
    ScoreClient,
    ScoringUnavailable,
    ServingOptions,
    load_into,
)
from scorer.serving.names import MODEL_NAME
from stack.process import spawn
from tests.integration.triton_server import MODEL, own_triton

pytestmark = pytest.mark.engines


def onnx(repository, **options):
    return write_onnx_repository(
        repository, MODEL, backend="python-onnx", options=ServingOptions(max_batch_size=8, **options)
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    with own_triton(tmp_path_factory.mktemp("first"), onnx) as server:
        server.load()
        yield server


class Collector(BaseHTTPRequestHandler):
    """Takes what an OpenTelemetry exporter posts."""

    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def collector():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.bodies = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def second(tmp_path_factory, first, collector):
    """It traces every request."""
    settings = (
        "mode=opentelemetry",
        "rate=1",
        "level=TIMESTAMPS",
        f"opentelemetry,url=http://127.0.0.1:{collector.server_port}/v1/traces",
        "opentelemetry,bsp_schedule_delay=200",
    )
    flags = [f"--trace-config={setting}" for setting in settings]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stack.triton.spawn", lambda command, **how: spawn([*command, *flags], **how))
        with own_triton(tmp_path_factory.mktemp("second"), onnx) as server:
            server.load()
            yield server


@pytest.fixture(scope="module")
def size(first):
    return ScoreClient(first.url).image_size


def noise(n, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def photos_scored(url):
    server = grpc.InferenceServerClient(url)
    try:
        return sum(int(m.inference_count) for m in server.get_inference_statistics(MODEL_NAME).model_stats)
    finally:
        server.close()


def test_the_servers_spans_belong_to_the_callers_trace(second, collector, size):
    trace = pytest.importorskip("opentelemetry.trace")
    trace_id, span_id = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
    span = trace.NonRecordingSpan(
        trace.SpanContext(trace_id, span_id, is_remote=False, trace_flags=trace.TraceFlags(1))
    )
    with trace.use_span(span):
        ScoreClient(second.url).score(noise(1, size))
    until = time.monotonic() + 15
    # Ids are binary in OTLP's protobuf, and hexadecimal in its JSON.
    wanted = [(form(trace_id, 16), form(span_id, 8)) for form in (binary, hexadecimal)]
    while not any(a in body and b in body for body in collector.bodies for a, b in wanted):
        assert time.monotonic() < until, f"{len(collector.bodies)} posts, none with the caller's trace"
        time.sleep(0.1)


def binary(number, n_bytes):
    return number.to_bytes(n_bytes, "big")


def hexadecimal(number, n_bytes):
    return f"{number:0{2 * n_bytes}x}".encode()


def test_two_servers_share_the_work_and_the_death_of_one_loses_nothing(first, second, size):
    both = f"{first.url},{second.url}"
    images = noise(240, size)
    expected = ScoreClient(first.url).score(images[:40]).scores
    before = [photos_scored(server.url) for server in (first, second)]

    async def crowd(killed_after):
        async with AsyncScoreClient(both, deadline_s=20, wait_s=30, concurrency=6) as client:
            tasks = [asyncio.create_task(client.score(images[i : i + 4])) for i in range(0, len(images), 4)]
            if killed_after:
                await asyncio.wait(tasks[:killed_after])
                await asyncio.to_thread(second.kill)
            scored = await asyncio.gather(*tasks)
            return np.concatenate([part.scores for part in scored])

    scores = asyncio.run(crowd(0))
    np.testing.assert_allclose(scores[:40], expected, atol=1e-5)
    shares = [photos_scored(s.url) - n for s, n in zip((first, second), before, strict=True)]
    assert sum(shares) == len(images)
    assert min(shares) > len(images) / 4, f"{shares} photos each"

    try:
        np.testing.assert_allclose(asyncio.run(crowd(10)), scores, atol=1e-5)  # all of them, and the same
        patient = ScoreClient(both, wait_s=30)
        np.testing.assert_allclose(patient.score(images).scores, scores, atol=1e-5)
    finally:
        second.start()
        second.load()
    before = photos_scored(second.url)
    until = time.monotonic() + 20
    while photos_scored(second.url) == before:  # the same client takes it back
        assert time.monotonic() < until
        patient.score(images[:16])
    second.kill()
    second.stop()


def test_with_no_server_left_the_breaker_answers_at_once(first, size):
    client = ScoreClient(
        "127.0.0.1:9,127.0.0.1:10", wait_s=1, breaker=CircuitBreaker(failures=2, open_s=60, open_max_s=60)
    )
    with pytest.raises(ScoringUnavailable):
        client.check()
    with pytest.raises(ScoringUnavailable):
        client.check()
    began = time.monotonic()
    with pytest.raises(ScoringUnavailable, match="after several failures") as e:
        client.score(noise(1, size))
    assert time.monotonic() - began < 0.1
    assert 30 < e.value.retry_after_s <= 60


def test_an_online_photo_waits_for_what_runs_not_for_the_backlog(first, size):
    """Behind a backlog of backfill requests its latency stays near that of a request that meets one batch."""
    one, batch = noise(1, size), noise(8, size)
    online = ScoreClient(first.url, priority=ONLINE, deadline_s=60)
    online.score(one)
    full_s = statistics.median(timed(lambda: online.score(batch)) for _ in range(5))

    stop = threading.Event()
    waits = []

    def backfill():
        client = ScoreClient(first.url, priority=BACKFILL, deadline_s=60)
        while not stop.is_set():
            waits.append(timed(lambda: client.score(batch)))

    with ThreadPoolExecutor(24) as pool:
        for _ in range(24):
            pool.submit(backfill)
        while len(waits) < 24:  # each has been through the queue once
            time.sleep(0.01)
        latencies = [timed(lambda: online.score(one)) for _ in range(9)]
        stop.set()
    backlog_s = statistics.median(waits)
    latency_s = statistics.median(latencies)
    # At most the batch that runs and the one it shares; the backlog is 24 batches long.
    assert latency_s < 4 * full_s, f"{latency_s:.3f} s, a full batch takes {full_s:.3f} s"
    assert latency_s < backlog_s / 4, f"{latency_s:.3f} s, a backfill request waits {backlog_s:.3f} s"


def timed(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def test_a_full_queue_is_told_apart_from_a_server_that_is_gone(first, size):
    load_into(onnx(first.repository, max_queue_size=2), first.url)
    try:
        batch = noise(8, size)
        said = []

        def crowd():
            client = ScoreClient(first.url, wait_s=0)
            try:
                client.score(batch)
            except ScoringUnavailable as e:
                said.append((e.busy, client.breaker.state))

        threads = [threading.Thread(target=crowd) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said
        assert set(said) == {(True, "closed")}
        patient = ScoreClient(first.url, wait_s=60)
        with ThreadPoolExecutor(12) as pool:
            assert len(list(pool.map(lambda _: patient.score(batch), range(12)))) == 12
    finally:
        load_into(onnx(first.repository), first.url)


def test_a_server_that_decodes_scores_as_the_client_does_and_names_each_broken_photo(first, size):
    def encoded(kind, seed, side):
        file = io.BytesIO()
        Image.fromarray(noise(1, side, seed)[0]).save(file, kind)
        return file.getvalue()

    photos = [encoded("JPEG", i, 300) for i in range(12)] + [encoded("PNG", 99, 40)]
    photos[3] = photos[3][:200]
    photos[7] = b"no photo"
    with_pixels = ScoreClient(first.url).score_each(photos)
    load_into(onnx(first.repository, input="encoded"), first.url)
    try:
        client = ScoreClient(first.url)
        served = client.score_each(photos)
        assert client.image_size == size
        direct = np.stack([read_photo(photos[0], size)])
        with pytest.raises(Exception, match="takes encoded photos"):
            client.score(direct)
        with_asyncio = asyncio.run(AsyncScoreClient(first.url).score_each(photos))
    finally:
        load_into(onnx(first.repository), first.url)
    assert sorted(served.errors) == sorted(with_pixels.errors) == [3, 7]
    assert served.errors == with_pixels.errors
    np.testing.assert_allclose(served.scores, with_pixels.scores, atol=1e-5)
    np.testing.assert_allclose(with_asyncio.scores, served.scores, atol=1e-5)
    assert np.isnan(served.scores).sum() == 2
    assert served.model_version == with_pixels.model_version


def test_the_page_on_serving_runs(first, tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.M | re.S)
    for seed, name in enumerate(("front.jpg", "side.jpg")):
        Image.fromarray(noise(1, 200, seed)[0]).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRITON_URL", first.url)
    get_settings.cache_clear()
    try:
        exec(compile(code, "serving.md", "exec"), {})
    finally:
        get_settings.cache_clear()
    assert capsys.readouterr().out.startswith(first.exported.model_version)
