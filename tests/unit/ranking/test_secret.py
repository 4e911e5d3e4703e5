"""Secrets from environment, file and keyring, and the net that keeps them out of what is printed."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from elastic_transport.client_utils import parse_cloud_id
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoBackend

from ranking.cli import main
from ranking.cli._errors import explain_error
from ranking.errors import ConfigError
from ranking.secret import hide, known_secrets, secret
from ranking.settings import Settings, get_settings

NAMES = ("URL", "API_KEY", "USER", "PASSWORD", "CA_CERTS", "CLOUD_ID", "PASSWORD_FILE", "API_KEY_FILE")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in NAMES:
        monkeypatch.delenv(f"ELASTICSEARCH_{name}", raising=False)
    for name in ("RANK_KEYRING", "RANK_DEBUG", "TRITON_URL", "KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK_STATE_DIR", str(tmp_path / "state"))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


class TestFile:
    def test_a_file_holds_the_password(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "p").write_text("hunter22\n")
        monkeypatch.setenv("ELASTICSEARCH_URL", "https://elsewhere:9200")
        monkeypatch.setenv("ELASTICSEARCH_USER", "me")
        monkeypatch.setenv("ELASTICSEARCH_PASSWORD_FILE", str(tmp_path / "p"))
        login = Settings().elasticsearch_login()
        assert login.password is not None
        assert (login.user, login.password.get_secret_value()) == ("me", "hunter22")
        assert "hunter22" not in repr(login)

    def test_a_file_holds_the_key(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "k").write_text("abc==")
        monkeypatch.setenv("ELASTICSEARCH_API_KEY_FILE", str(tmp_path / "k"))
        key = Settings().elasticsearch_login().api_key
        assert key is not None
        assert key.get_secret_value() == "abc=="

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (None, "cannot be read (No such file or directory)"),
            (b"", "names an empty file"),
            (b"\n", "names an empty file"),
            (b"hunter22\nhunter23\n", "names a file of several lines"),
            (b"\xff\xfe", "names a file that is no text"),
            (b"x" * 65_537, "names a file of more than 64 kB"),
        ],
    )
    def test_one_that_is_none_gets_a_sentence_without_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, says: str
    ) -> None:
        if content is not None:
            (tmp_path / "s").write_bytes(content)
        monkeypatch.setenv("SOME_TOKEN_FILE", str(tmp_path / "s"))
        with pytest.raises(ConfigError) as caught:
            secret("SOME_TOKEN")
        said = explain_error(caught.value)
        assert says in said
        assert "hunter2" not in said
        assert len(said.splitlines()) == 2

    def test_set_twice_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "k").write_text("abc")
        monkeypatch.setenv("ELASTICSEARCH_API_KEY", "def")
        monkeypatch.setenv("ELASTICSEARCH_API_KEY_FILE", str(tmp_path / "k"))
        with pytest.raises(ConfigError, match="are both set"):
            Settings().elasticsearch_login()


class Drawer(KeyringBackend):
    """A backend in memory; the library in front of it is the real one."""

    priority = 1.0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept = {("shop", "ELASTICSEARCH_PASSWORD"): "hunter22"}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class TestKeyring:
    @pytest.fixture(autouse=True)
    def kept(self) -> Iterator[None]:
        before = keyring.get_keyring()
        yield
        keyring.set_keyring(before)

    def test_it_is_asked_where_its_service_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        keyring.set_keyring(Drawer())
        monkeypatch.setenv("ELASTICSEARCH_USER", "me")
        with pytest.raises(ConfigError, match="set together"):
            Settings().elasticsearch_login()
        monkeypatch.setenv("RANK_KEYRING", "shop")
        login = Settings().elasticsearch_login()
        assert login.password is not None
        assert (login.password.get_secret_value(), login.api_key) == ("hunter22", None)

    def test_a_machine_without_one_is_told_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        keyring.set_keyring(NoBackend())
        monkeypatch.setenv("RANK_KEYRING", "shop")
        with pytest.raises(ConfigError, match="keyring: cannot be asked for SOME_TOKEN"):
            secret("SOME_TOKEN")


def cloud_id(text: str) -> str:
    return "name:" + base64.b64encode(text.encode()).decode()


class TestCloudId:
    @pytest.mark.parametrize("inside", ["eu.aws.example$0abc$kib", "eu.aws.example:9243$0abc$"])
    def test_the_address_is_the_clients_own(self, inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ELASTICSEARCH_CLOUD_ID", cloud_id(inside))
        host, port = parse_cloud_id(cloud_id(inside)).es_address or ("", 0)
        got = Settings().endpoint("Elasticsearch")
        assert got == (f"https://{host}" if port == 443 else f"https://{host}:{port}")
        assert got.startswith("https://0abc.eu.aws.example")

    @pytest.mark.parametrize(
        "bad", ["x", "name:%%%", cloud_id("only-one"), cloud_id("a b$c"), cloud_id("$x")]
    )
    def test_one_that_is_none_is_said(self, bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ELASTICSEARCH_CLOUD_ID", bad)
        with pytest.raises(ConfigError, match="is no cloud id"):
            Settings().endpoint("Elasticsearch")

    def test_beside_an_address_it_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ELASTICSEARCH_CLOUD_ID", cloud_id("h$e"))
        monkeypatch.setenv("ELASTICSEARCH_URL", "https://h")
        with pytest.raises(ConfigError, match="are both set"):
            Settings().endpoint("Elasticsearch")

    def test_a_login_is_not_the_local_stacks(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "stack.json").write_text('{"elasticsearch_credentials": "/nowhere"}')
        monkeypatch.setenv("ELASTICSEARCH_CLOUD_ID", cloud_id("h$e"))
        assert not Settings().elasticsearch_login().given


def test_what_is_known_is_hidden_longest_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("from-a-file\n")
    monkeypatch.setenv("A_PASSWORD", "hunter")
    monkeypatch.setenv("B_TOKEN", "hunter22")
    monkeypatch.setenv("C_SECRET_FILE", str(tmp_path / "t"))
    monkeypatch.setenv("D_URL", "a:8001,amqp://u:p%40ss-word@h/")
    monkeypatch.setenv("E_API_KEY", "abc")  # too short to be hidden without harm
    assert {"hunter", "hunter22", "from-a-file", "p%40ss-word", "p@ss-word"} <= known_secrets()
    said = hide("hunter22 from-a-file p@ss-word abc amqp://u:other@h:1/x https://h/a:b@c")
    assert said == "*** *** *** abc amqp://u:***@h:1/x https://h/a:b@c"


def test_a_bug_of_ours_shows_no_secret_either(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ELASTICSEARCH_PASSWORD", "planted-one")
    monkeypatch.setattr("ranking.cli.full_app", lambda: lambda: {}["planted-one"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capfd.readouterr().err
    assert (ended.value.code, "Traceback" in said, "KeyError: '***'" in said) == (1, True, True)
    assert "planted-one" not in said
