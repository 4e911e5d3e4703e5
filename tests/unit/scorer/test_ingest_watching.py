"""Metrics, health, JSON lines and spans of the ingest."""

import io
import json
import urllib.error
import urllib.request

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from ranking.errors import InputError
from scorer.ingest.health import SILENT_S, Health
from scorer.ingest.logs import Log
from scorer.ingest.metrics import Metrics, serving
from scorer.ingest.observe import Observers
from scorer.ingest.records import Record
from scorer.ingest.tracing import Tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def record(offset=0, *, traced=False):
    headers = (("traceparent", PARENT.encode()),) if traced else ()
    return Record(b"{}", b"k", "items", 1, offset, 1_000, headers)


def test_metrics_count_what_happened_and_are_read_over_http():
    metrics, health = Metrics(), Health()
    both = Observers(metrics, Metrics())
    with both.batch([record(), record(1)]):
        with both.stage("score", 2):
            both.error("score_unavailable", 3)
        both.item(record(), "written")
        both.item(record(1), "stale")
    both.lag({0: 7, 1: 0})
    both.pace(2.0, 128.0)
    both.finished({"received": 2, "indexed": 1, "seconds": 1.5, "interrupted": False})
    with serving(metrics, health, 0) as port:
        status, text = get(port, "/metrics")
    assert status == 200
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["rank_ingest_lag_records", "0"] == 7
    assert samples["rank_ingest_errors_total", "score_unavailable"] == 3
    assert samples["rank_ingest_items_total", "written"] == 1
    assert samples["rank_ingest_items_total", "stale"] == 1
    assert samples["rank_ingest_stage_seconds_count", "score"] == 1
    assert samples["rank_ingest_stage_items_sum", "score"] == 2
    assert samples["rank_ingest_batch_records_sum",] == 2
    assert samples["rank_ingest_bulk_documents_limit",] == 128
    assert samples["rank_ingest_documents_total", "received"] == 2
    assert samples["rank_ingest_delay_seconds_count",] == 1


def test_lag_of_a_partition_that_went_to_another_consumer_is_not_told_for_ever():
    metrics = Metrics()
    metrics.lag({0: 7})
    metrics.lag({1: 3})
    assert metrics.registry.get_sample_value("rank_ingest_lag_records", {"partition": "0"}) is None
    assert metrics.registry.get_sample_value("rank_ingest_lag_records", {"partition": "1"}) == 3


def test_the_probes_follow_the_process():
    now = 100.0
    health = Health(clock=lambda: now)
    with serving(Metrics(), health, 0) as port:
        assert get(port, "/healthz") == (200, "alive")
        assert get(port, "/readyz") == (503, "starting")
        health.beat()
        assert get(port, "/readyz") == (200, "ready")
        health.waiting("Triton: gone")
        health.beat()  # the loop turns while it waits
        assert get(port, "/readyz") == (503, "Triton: gone")
        assert get(port, "/healthz")[0] == 200  # a restart would not bring Triton back
        health.working()
        assert get(port, "/readyz") == (200, "ready")
        now += SILENT_S
        assert get(port, "/healthz") == (503, "the loop has stood still for 60 s")
        health.beat()
        health.stopping()
        health.working()
        assert get(port, "/readyz") == (503, "stopping")
        assert get(port, "/other")[0] == 404


def test_a_port_that_is_taken_is_one_sentence():
    health = Health()
    with (
        serving(Metrics(), health, 0) as port,
        pytest.raises(InputError, match=f"127.0.0.1:{port}"),
        serving(Metrics(), health, port),
    ):
        pass


def test_logs_are_one_json_object_a_line():
    lines = io.StringIO()
    log = Log("json", print, stream=lines)
    log.say("waiting", "waiting: Triton is gone", level="warning", engine="Triton")
    log.error("photo", n=2)
    log.finished({"received": 3, "seconds": 0.5, "interrupted": False})
    log.pace(2.5, 100.9)
    waiting, error, batch, pace = (json.loads(line) for line in lines.getvalue().splitlines())
    assert waiting.pop("at").endswith("Z")
    message = "waiting: Triton is gone"
    assert waiting == {"level": "warning", "event": "waiting", "message": message, "engine": "Triton"}
    assert (error["kind"], error["n"]) == ("photo", 2)
    assert (batch["event"], batch["received"]) == ("batch", 3)
    assert (pace["requests"], pace["documents"]) == (2, 100)


def test_as_text_only_sentences_are_shown():
    said = []
    log = Log("text", said.append)
    log.say("waiting", "waiting: Triton is gone")
    log.error("photo")
    log.finished({"received": 3})
    assert said == ["waiting: Triton is gone"]


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def test_a_message_goes_on_in_its_producers_trace_up_to_its_bulk_request(spans):
    provider, exporter = spans
    tracing = Tracing("kafka", provider)
    mine, untraced = record(5, traced=True), record(6)
    lines = io.StringIO()
    with tracing.batch([mine, untraced]), tracing.stage("bulk", 2):
        Log("json", print, stream=lines).say("x", "x")
        tracing.item(mine, "written")
        tracing.item(untraced, "written")
    done = {span.name: span for span in exporter.get_finished_spans()}
    item, bulk, batch = done["items process"], done["ingest bulk"], done["ingest batch"]
    assert f"{item.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{item.parent.span_id:016x}" == "b7ad6b7169203331"
    assert item.attributes["messaging.kafka.offset"] == 5
    assert item.attributes["rank.outcome"] == "written"
    assert [link.context.span_id for link in item.links] == [batch.context.span_id, bulk.context.span_id]
    assert bulk.parent.span_id == batch.context.span_id
    assert bulk.attributes["rank.items"] == 2
    assert json.loads(lines.getvalue())["trace_id"] == f"{batch.context.trace_id:032x}"


def test_a_refused_item_is_an_error_and_every_span_ends(spans):
    provider, exporter = spans
    tracing = Tracing("kafka", provider)
    refused, superseded = record(1, traced=True), record(2, traced=True)
    with tracing.batch([refused, superseded]):
        tracing.item(refused, "refused")
    by_offset = {
        span.attributes["messaging.kafka.offset"]: span
        for span in exporter.get_finished_spans()
        if span.name == "items process"
    }
    assert by_offset[1].status.status_code is StatusCode.ERROR
    assert 2 in by_offset
