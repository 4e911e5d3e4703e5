"""Words of servers and of OpenSSL, as they come, and what people read instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ranking.errors import ConfigError, ServerError
from ranking.es import connect
from ranking.refusal import certificate, denied, refusal, without_login
from ranking.settings import Settings

READ = (
    "action [indices:data/read/search] is unauthorized for API key id [a1] of user [elastic] on indices "
    "[items,items-000001], this action is granted by the index privileges [read,all]"
)
BULK = (
    "action [indices:data/write/bulk[s]] is unauthorized for API key id [a1] of user [elastic] on indices "
    "[items-000001], this action is granted by the index privileges [create_doc,create,delete,index,write,"
    "all]"
)
SCRIPT = (
    "action [cluster:admin/script/put] is unauthorized for user [anna] with effective roles [staff], this "
    "action is granted by the cluster privileges [manage,all]"
)


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (
            READ,
            "not allowed: indices:data/read/search on items,items-000001 needs one of the index privileges "
            "read, all",
        ),
        (
            BULK,
            "not allowed: indices:data/write/bulk[s] on items-000001 needs one of the index privileges "
            "create_doc, create, delete, index, write, all",
        ),
        (SCRIPT, "not allowed: cluster:admin/script/put needs one of the cluster privileges manage, all"),
        ("in other words", "not allowed: in other words"),
    ],
)
def test_a_denial_names_action_place_and_privileges(reason: str, sentence: str) -> None:
    assert denied(reason) == sentence


def body(reason: str, kind: str = "security_exception", **more: str) -> dict[str, object]:
    return {"error": {"type": kind, "reason": reason, **more}}


def test_an_answer_that_has_nothing_to_do_with_who_asks_is_left_alone() -> None:
    assert refusal(400, body("failed to parse", "parsing_exception")) is None
    assert refusal(404, "") is None
    assert refusal(503, "<html>") is None


def test_a_server_of_version_8_says_which_client_to_install() -> None:
    found = refusal(400, body("Accept version must be 8 or 7, but found 9", "media_type_header_exception"))
    assert found is not None
    assert "does not speak to client" in found[0]
    assert "pip install 'elasticsearch>=8.19,<9'" in found[1]


def test_a_look_whether_something_is_there_has_no_body_and_still_a_sentence() -> None:
    found = refusal(403, "")
    assert found is not None
    assert "view_index_metadata" in found[0]


@pytest.mark.parametrize(
    ("openssl", "sentence"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed", "a CA that we trust"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", "expired"),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate is "
            "not valid for 'search'. (_ssl.c:1006)",
            "another host's: Hostname mismatch, certificate is not valid for 'search'.",
        ),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "the server speaks http"),
        ("[Errno 2] No such file or directory", "ELASTICSEARCH_CA_CERTS cannot be used"),
        ("[SSL: TLSV1_ALERT_INTERNAL_ERROR]", "no secure connection"),
    ],
)
def test_openssl_is_translated(openssl: str, sentence: str) -> None:
    assert sentence in certificate(openssl)[0]


def test_a_login_in_the_address_is_not_shown() -> None:
    assert without_login("https://u:p@host:9200/x") == "https://host:9200/x"
    with pytest.raises(ServerError) as caught:
        connect(Settings(ELASTICSEARCH_URL="ftp://u:hunter22@host"))  # type: ignore[call-arg]
    assert "hunter22" not in str(caught.value)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local secure stack's record and credentials."""
    for name in ("URL", "API_KEY", "USER", "PASSWORD", "CA_CERTS"):
        monkeypatch.delenv(f"ELASTICSEARCH_{name}", raising=False)
    monkeypatch.setenv("RANK_STATE_DIR", str(tmp_path))
    credentials = tmp_path / "credentials.json"
    credentials.write_text('{"user": "elastic", "password": "hunter22"}')
    record = {
        "elasticsearch_url": "https://127.0.0.1:9200",
        "elasticsearch_ca_certs": "/ca.crt",
        "elasticsearch_credentials": str(credentials),
    }
    (tmp_path / "stack.json").write_text(json.dumps(record))
    return tmp_path


class TestLogin:
    def test_the_local_stacks_is_found_and_never_shown(self, local: Path) -> None:
        login = Settings().elasticsearch_login()
        assert (login.user, login.ca_certs) == ("elastic", Path("/ca.crt"))
        assert login.password is not None
        assert login.password.get_secret_value() == "hunter22"
        assert "hunter22" not in repr(login)

    def test_a_key_of_the_environment_goes_before_it_and_keeps_the_ca(
        self, local: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ELASTICSEARCH_API_KEY", "abc")
        login = Settings().elasticsearch_login()
        assert (login.user, login.password, login.ca_certs) == (None, None, Path("/ca.crt"))

    def test_another_server_gets_nothing_of_it(self, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ELASTICSEARCH_URL", "https://elsewhere:9200")
        login = Settings().elasticsearch_login()
        assert (login.user, login.password, login.ca_certs) == (None, None, None)

    def test_half_a_login_is_an_error(self, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ELASTICSEARCH_PASSWORD", "x")
        with pytest.raises(ConfigError, match="set together"):
            Settings().elasticsearch_login()

    @pytest.mark.parametrize("content", [None, "", "[]", '{"user": "elastic"}'])
    def test_credentials_that_are_gone_are_said(self, local: Path, content: str | None) -> None:
        path = local / "credentials.json"
        path.unlink() if content is None else path.write_text(content)
        with pytest.raises(ConfigError, match="holds no user and password") as caught:
            Settings().elasticsearch_login()
        assert "--secure" in (caught.value.hint or "")
