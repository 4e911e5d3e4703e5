"""What the client raises becomes one sentence, with the server's own reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from elastic_transport import ApiResponseMeta, BaseNode, HttpHeaders
from elasticsearch import Elasticsearch

from ranking.capture import CapturedItem
from ranking.clock import format_duration, format_time, parse_duration, parse_time
from ranking.errors import ConfigError, RankError, ServerError
from ranking.es import check_complete, reason, server_errors
from ranking.explain import explain_items
from ranking.profile import Profile
from ranking.search import read_page
from ranking.settings import Settings


class NodeResponse(NamedTuple):
    """What a node gives to the transport."""

    meta: ApiResponseMeta
    body: bytes


class FailingNode(BaseNode):
    """A node that answers every request with one status and body."""

    status = 200
    body = b"{}"

    def perform_request(self, *_args: Any, **_kwargs: Any) -> Any:
        headers = HttpHeaders({"content-type": "application/json", "x-elastic-product": "Elasticsearch"})
        meta = ApiResponseMeta(
            node=self.config, duration=0.0, http_version="1.1", status=self.status, headers=headers
        )
        return NodeResponse(meta, self.body)

    def close(self) -> None:
        pass


def test_a_script_error_is_told_by_its_deepest_cause() -> None:
    class Node400(FailingNode):
        status = 400
        body = (
            b'{"error":{"reason":"all shards failed","root_cause":[{"reason":"runtime error"}],'
            b'"failed_shards":[{"reason":{"reason":"runtime error","caused_by":'
            b'{"reason":"A document doesn\'t have a value for a field!"}}}]},"status":400}'
        )

    es = Elasticsearch("http://localhost:9", node_class=Node400)
    says = r"search in items: A document doesn't have .* \(HTTP 400\)"
    with pytest.raises(ServerError, match=says), server_errors("search in items"):
        es.search(index="items")


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (
            {"_shards": {"total": 3, "failed": 1, "failures": [{"reason": {"reason": "boom"}}]}},
            "1 of 3.*boom",
        ),
        ({"_shards": {"total": 3, "failed": 0}, "timed_out": True}, "timed out"),
        ({"error": {"reason": "gone"}}, "gone"),
    ],
)
def test_an_answer_that_lacks_hits_is_refused(response: dict[str, Any], says: str) -> None:
    with pytest.raises(ServerError, match=says):
        check_complete(response)


def test_no_reason_is_no_reason() -> None:
    assert reason("text") is None
    assert reason({"error": "plain"}) == "plain"


def test_infinity_and_missing_values_are_read_as_the_server_writes_them() -> None:
    hit = {
        "_score": "Infinity",
        "fields": {"item_id": ["a"], "created_at": ["1795000000000"], "image_score": [0.0750473141670227]},
        "matched_queries": {"rel": 1.5},
    }
    page = read_page(
        {"hits": {"hits": [hit], "total": {"value": 1}}, "_shards": {"failed": 0}}, Profile(name="plain")
    )
    assert page.items == (
        CapturedItem(
            "a", 1.5, rank=1, score=float("inf"), image_score=0.0750473141670227, created_ms=1795000000000
        ),
    )


def test_explain_says_where_the_formula_is_not_the_servers() -> None:
    profile = Profile.model_validate({"name": "p", "image": {"mode": "additive", "weight": 2.0}})
    items = [
        CapturedItem("a", 1.0, rank=1, score=2.0, image_score=0.5),
        CapturedItem("b", 1.0, rank=2, score=1.75, image_score=0.25),
    ]
    rows = explain_items(profile, items, 1_795_000_000_000)
    assert [(row.recomputed, row.image_part, row.exact) for row in rows] == [
        (2.0, 1.0, True),
        (1.5, 0.5, False),
    ]


class TestSettings:
    def test_the_environment_wins_over_the_local_stack(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "stack.json").write_text(
            '{"elasticsearch_url": "http://local:1", "triton_url": "local:2"}'
        )
        monkeypatch.setenv("RANK_STATE_DIR", str(tmp_path))
        monkeypatch.setenv("ELASTICSEARCH_URL", "http://mine:3")
        monkeypatch.delenv("TRITON_URL", raising=False)
        monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
        settings = Settings()
        assert settings.endpoint("Elasticsearch") == "http://mine:3"
        assert settings.endpoint("Triton") == "local:2"
        with pytest.raises(ServerError) as caught:
            settings.endpoint("Kafka")
        assert "KAFKA_BOOTSTRAP" in str(caught.value.hint)

    def test_a_broken_record_of_the_stack_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "stack.json").write_text("{")
        monkeypatch.setenv("RANK_STATE_DIR", str(tmp_path))
        monkeypatch.delenv("TRITON_URL", raising=False)
        with pytest.raises(ConfigError, match=r"stack\.json"):
            Settings().endpoint("Triton")

    def test_a_secret_is_not_printed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ELASTICSEARCH_API_KEY", "s3cret")
        assert "s3cret" not in repr(Settings())


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-20T09:00:00Z", 1_795_165_200_000),
        ("2026-11-20T18:00:00+09:00", 1_795_165_200_000),
        ("2026-11-20T09:00:00", 1_795_165_200_000),
        ("1795165200000", 1_795_165_200_000),
    ],
)
def test_times_people_write(text: str, ms: int) -> None:
    assert parse_time(text) == ms
    assert parse_time(format_time(ms)) == ms


@pytest.mark.parametrize("ms", [1, 1_500, 60_000, 5_400_000, 86_400_000, 36 * 3_600_000])
def test_durations_round_trip(ms: int) -> None:
    assert parse_duration(format_duration(ms)) == ms


def test_every_error_of_ours_has_words() -> None:
    from ranking.cli._errors import explain_error
    from ranking.errors import BulkError, InputError, LintError, StackError, StalePlan

    errors: list[RankError] = [
        ConfigError("p.yaml", ["a: wrong", "b: wrong"]),
        InputError("no", hint="do this"),
        BulkError({"i1": "mapper_parsing_exception"}),
        StackError("Kafka", "died", log_tail="last line"),
        StalePlan(["index_template/x"]),
        LintError(["unpinned-clock: here"]),
    ]
    for error in errors:
        words = explain_error(error)
        assert words.startswith("error: ")
        assert "Traceback" not in words
    assert "last line" in explain_error(errors[3])
    assert "hint: do this" in explain_error(errors[1])
