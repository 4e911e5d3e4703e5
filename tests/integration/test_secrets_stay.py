"""With every secret set, commands fail, and write what they write: none of it holds one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from ranking.cli import main
from ranking.settings import get_settings

PLANTED = {
    "ELASTICSEARCH_URL": "http://elastic:planted-one@127.0.0.1:1",
    "ELASTICSEARCH_API_KEY": "planted-two==",
    "OPENAI_API_KEY": "planted-three",
    "RANK_BROKER_URL": "amqp://guest:planted-four@127.0.0.1:1/",
    "TRITON_URL": "127.0.0.1:1",
    "KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "RANK_WEBHOOK_TOKEN": "planted-five",
    "ELASTICSEARCH_TIMEOUT_S": "2",
}
FAILING = [
    "search x",
    "templates plan",
    "index status",
    "boost rollback additive --yes",
    "apply-boost additive --dry-run",
    "stack api-key --role reader --index items",
    "replay verify {tmp} --live",
    "replay record {tmp}/out --queries {tmp}/queries.txt",
    "loadtest run {tmp}",
    "ingest backfill --days 1 --photos-root {tmp} --dry-run",
    "ingest stream --photos-root {tmp} --until-idle 1",
    "ingest stream --photos-root {tmp} --from redis://:planted-six@127.0.0.1:1/0",
    "scorer label {tmp}/serps.jsonl --photos {tmp} --out {tmp}/labels --model m --base-url http://127.0.0.1:1/v1",
]


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize("line", FAILING)
def test_a_command_that_fails_shows_no_secret(
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANK_DEBUG", "1")  # with the traceback, which says more
    monkeypatch.setenv("RANK_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "queries.txt").write_text("red dress\n")
    (tmp_path / "serps.jsonl").write_text('{"serp_id": "a", "query": "x", "images": ["a.jpg"]}\n')
    monkeypatch.setattr(sys, "argv", ["rank-cli", *line.format(tmp=tmp_path).split()])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    kept = "".join(p.read_text(errors="replace") for p in tmp_path.rglob("*") if p.is_file())
    assert ended.value.code in {1, 2}, out
    assert out + err
    for place in (out, err, kept):
        assert "planted-" not in place


@pytest.mark.engines
def test_what_is_written_holds_no_secret(
    es: Elasticsearch,
    family: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    es.index(
        index=family,
        id="i1",
        document={"item_id": "i1", "title": "red dress", "created_at": 1_790_000_000_000, "image_score": 0.5},
        refresh=True,
    )
    address = get_settings().endpoint("Elasticsearch")
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ELASTICSEARCH_URL", address.replace("://", "://elastic:planted-one@"))
    monkeypatch.delenv("ELASTICSEARCH_API_KEY")
    (tmp_path / "queries.txt").write_text("red dress\n")
    log, index = tmp_path / "captures", f"--index {family}"
    lines = [
        f"search dress {index} --profile control --compare additive --html {tmp_path}/c.html",
        f"replay record {log} {index} --queries {tmp_path}/queries.txt --profile additive",
        f"replay run {log} --contender control --report {tmp_path}/r.html --markdown {tmp_path}/r.md",
        f"templates export {tmp_path}/exported {index}",
        f"apply-boost additive {index} --print-query dress",
    ]
    for line in lines:
        get_settings.cache_clear()
        monkeypatch.setattr(sys, "argv", ["rank-cli", *line.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert ended.value.code in {0, None}, (line, err)
        assert "planted-" not in out + err
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"c.html", "r.html", "r.md"} <= {path.name for path in written}
    assert [path for path in written if b"planted-" in path.read_bytes()] == []
