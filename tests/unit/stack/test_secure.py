import json
from pathlib import Path

import pytest

from ranking.errors import ConfigError, StackError
from ranking.settings import get_settings
from stack import lifecycle, local, up
from stack.elasticsearch import Elasticsearch
from stack.record import Entry, Record
from stack.secure import Security


def entry(**options: str) -> Entry:
    return Entry(address="https://127.0.0.1:9200", log="", ports={"http": 9200}, options=options)


def test_the_record_names_the_files_and_holds_no_secret(state: Path) -> None:
    security = Security(state / "elasticsearch" / "secure")
    security.folder.mkdir(parents=True)
    security.credentials.write_text('{"user": "elastic", "password": "hunter22"}')
    engine = Elasticsearch(security=security)
    assert engine.address({"http": 9200}) == "https://127.0.0.1:9200"
    Record(state).put("elasticsearch", entry(**engine.options))
    text = (state / "stack.json").read_text()
    assert "hunter22" not in text
    record = json.loads(text)
    assert record["elasticsearch_ca_certs"] == str(security.ca_certs)
    assert record["elasticsearch_credentials"] == str(security.credentials)
    login = get_settings().elasticsearch_login()
    assert login.password is not None
    assert login.password.get_secret_value() == "hunter22"
    assert "hunter22" not in repr(engine.security.login)


def test_without_security_there_is_nothing_to_log_in_with(state: Path) -> None:
    engine = Elasticsearch()
    assert engine.address({"http": 9200}) == "http://127.0.0.1:9200"
    Record(state).put("elasticsearch", entry(**engine.options))
    assert not get_settings().elasticsearch_login().given


@pytest.mark.parametrize(
    ("before", "asked", "secure"),
    [("on", None, True), ("on", False, False), ("off", True, True), ("off", None, False)],
)
def test_what_was_not_asked_for_is_as_it_was(
    state: Path, before: str, asked: bool | None, secure: bool
) -> None:
    record = Record(state)
    record.put("elasticsearch", entry(security=before, version="9.4.3"))
    engine = lifecycle._engine("elasticsearch", local.Options(es_secure=asked), state, record)
    assert isinstance(engine, Elasticsearch)
    assert (engine.security is not None) is secure


def test_a_running_one_is_not_silently_made_secure() -> None:
    engine = Elasticsearch(security=Security(Path("x")))
    with pytest.raises(StackError, match="runs already with security off, not on"):
        local._refuse_other(engine, entry(security="off"), local.Options(es_secure=True))


def test_containers_have_none(state: Path) -> None:
    with pytest.raises(StackError, match="no --secure as a container"):
        up(["elasticsearch"], options=local.Options(es_secure=True), use_docker=True)


def test_a_password_that_is_gone_is_said(state: Path) -> None:
    with pytest.raises(ConfigError, match="holds no user and password"):
        _ = Security(state / "nothing").login
