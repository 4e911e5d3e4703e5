"""`stack up elasticsearch --secure`: where its secrets are, who gets in, and what the others are told."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

import stack
from ranking.es import connect
from ranking.settings import get_settings
from stack import process
from stack.jdk import find_jdk
from tests.integration.secure_server import SecureServer, be_its_client

pytestmark = pytest.mark.engines


def address(server: SecureServer) -> str:
    return str(json.loads((server.state / "stack.json").read_text())["elasticsearch_url"])


def secrets_of(server: SecureServer) -> list[str]:
    found = json.loads((server.folder / "credentials.json").read_text())
    return [found["password"], found["store_password"]]


def test_a_secret_is_in_its_file_and_nowhere_else(secure: SecureServer) -> None:
    connect().indices.exists(index="x")
    secrets = secrets_of(secure)
    assert all(len(secret) >= 32 for secret in secrets)
    kept = secure.folder / "credentials.json"
    # The home of the server is a link under root, so both are walked.
    files = {path for top in (secure.state, secure.state / "elasticsearch") for path in top.rglob("*")}
    files = {path for path in files if path.is_file() and path.resolve() != kept.resolve()}
    assert any(path.name == "elasticsearch.log" for path in files)
    assert any(path.name == "elasticsearch.keystore" for path in files)
    running = process.marked(f"{secure.state.resolve()}:elasticsearch")
    assert running
    places = {str(path): path.read_bytes() for path in files}
    for pid in running:
        places |= {
            f"{pid} {name}": Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")
        }
    commands = (
        "status",
        "status --format json",
        "logs elasticsearch -n 1000",
        "up elasticsearch --es-heap 512m",
    )
    done = [secure.rank_cli("stack", *command.split()) for command in commands]
    done.append(secure.rank_cli("search", "x", "--index", "nothing", RANK_DEBUG="1"))
    assert [one.returncode for one in done] == [0, 0, 0, 0, 1]
    assert "Traceback" in done[-1].stderr
    places["output"] = "".join([secure.said, *(one.stdout + one.stderr for one in done)]).encode()
    for secret in secrets:
        assert [name for name, content in places.items() if secret.encode() in content] == []


def test_it_runs_beside_one_without_security_and_leaves_it_alone(
    plain: Elasticsearch, secure: SecureServer
) -> None:
    def node(client: Elasticsearch) -> tuple[str, int, int]:
        (found,) = client.nodes.info(metric=["jvm", "http"])["nodes"].values()
        port = int(found["http"]["publish_address"].rpartition(":")[2])
        return str(client.info()["cluster_uuid"]), port, found["jvm"]["start_time_in_millis"]

    other, ours = node(plain), node(connect())
    assert other[0] != ours[0]
    assert other[1] != ours[1]
    assert other[2] < ours[2]  # it was there first, and was not started again
    assert not plain.indices.exists(index=".security")


def test_the_folder_is_closed_and_the_cas_key_is_gone(secure: SecureServer) -> None:
    assert stat.S_IMODE(secure.folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in secure.folder.iterdir()}
    assert modes == {"ca.crt": 0o644, "credentials.json": 0o600, "node.p12": 0o600}
    store = ["-keystore", str(secure.folder / "node.p12"), "-storepass:env", "STORE_PASSWORD"]
    listed = subprocess.run(
        [find_jdk("Elasticsearch").home / "bin" / "keytool", "-list", *store],
        env={**os.environ, "STORE_PASSWORD": secrets_of(secure)[1]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.findall(r"^(\w+), .*PrivateKeyEntry", listed.stdout, re.MULTILINE) == ["node"]


def test_commands_find_ca_and_password_by_themselves(secure: SecureServer) -> None:
    done = secure.rank_cli("templates", "plan", "--no-diff", "--index", "nobody-applied-it")
    # stored scripts serve every family, so others may have applied them before
    assert (done.returncode, bool(re.search(r"[1-9]\d* to apply", done.stderr))) == (0, True), done.stderr
    assert secure.rank_cli("stack", "status", "elasticsearch").stdout.count("ready") == 1


def test_the_password_goes_to_no_other_address(secure: SecureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_settings().elasticsearch_login().password is not None
    be_its_client(secure, monkeypatch, ELASTICSEARCH_URL="https://elsewhere:9200")
    login = get_settings().elasticsearch_login()
    assert (login.user, login.password, login.ca_certs) == (None, None, None)


CA = {"ELASTICSEARCH_CA_CERTS": "{ca}"}


@pytest.mark.parametrize(
    ("env", "says", "hint"),
    [
        (CA, "asks for a login, and none is set (HTTP 401)", "set ELASTICSEARCH_API_KEY"),
        (
            {**CA, "ELASTICSEARCH_API_KEY": "bm86bm8="},
            "the login was refused: API key: unable to find apikey with id no (HTTP 401)",
            "one that is valid",
        ),
        (
            {**CA, "ELASTICSEARCH_USER": "elastic", "ELASTICSEARCH_PASSWORD": "guess"},
            "the login was refused: unable to authenticate user [elastic]",
            "one that is valid",
        ),
        ({"ELASTICSEARCH_USER": "elastic"}, "are set together, or neither", "ELASTICSEARCH_PASSWORD_FILE"),
        ({}, "is not signed by a CA that we trust", "point ELASTICSEARCH_CA_CERTS at"),
        ({"ELASTICSEARCH_CA_CERTS": "/no/such.pem"}, "ELASTICSEARCH_CA_CERTS cannot be used", "point"),
        ({"ELASTICSEARCH_CA_CERTS": "{state}/stack.json"}, "ELASTICSEARCH_CA_CERTS cannot be used", "point"),
        (
            {**CA, "ELASTICSEARCH_URL": "http://u:hunter22@{host}"},
            "the server speaks https, and the address says http",
            "write https:// in ELASTICSEARCH_URL",
        ),
    ],
    ids=["no login", "wrong key", "wrong password", "half", "no CA", "no file", "no certificate", "http"],
)
def test_who_is_not_let_in_gets_one_sentence(
    secure: SecureServer, env: dict[str, str], says: str, hint: str
) -> None:
    known = {
        "ca": secure.folder / "ca.crt",
        "state": secure.state,
        "host": address(secure).removeprefix("https://"),
    }
    given = {name: value.format(**known) for name, value in env.items()}
    done = secure.rank_cli("search", "x", **{"ELASTICSEARCH_URL": address(secure), **given})
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == (2 if hint else 1)
    assert says in done.stderr
    assert hint in done.stderr
    assert "hunter22" not in done.stderr


@pytest.mark.parametrize("known", [True, False])
def test_a_login_in_the_address_is_used_and_not_shown(secure: SecureServer, known: bool) -> None:
    password = secrets_of(secure)[0] if known else "hunter22"
    given = {
        "ELASTICSEARCH_URL": address(secure).replace("://", f"://elastic:{password}@"),
        "ELASTICSEARCH_CA_CERTS": str(secure.folder / "ca.crt"),
    }
    commands = (("stack", "status", "elasticsearch"), ("boost", "list"), ("stack", "up", "elasticsearch"))
    status, listed, up = (secure.rank_cli(*command, **given) for command in commands)
    assert ("not answering" in status.stdout, listed.returncode, up.returncode) == (
        (False, 0, 0) if known else (True, 1, 1)
    )
    for done in (status, listed, up):
        assert password not in done.stdout + done.stderr


def test_https_to_a_server_without_it_is_said(secure: SecureServer, plain: Elasticsearch) -> None:
    address = str(plain.transport.node_pool.get().base_url)
    done = secure.rank_cli("search", "x", ELASTICSEARCH_URL=address.replace("http://", "https://"))
    assert "the server speaks http, and the address says https" in done.stderr


def test_a_running_cluster_is_not_silently_another_one(secure: SecureServer) -> None:
    done = secure.rank_cli("stack", "up", "elasticsearch", "--no-secure")
    assert done.returncode == 1
    assert "runs already with security on, not off" in done.stderr


def test_after_a_kill_it_comes_back_with_the_same_secrets_and_keys(secure: SecureServer) -> None:
    before, at = secrets_of(secure), address(secure)
    key = secure.rank_cli("stack", "api-key", "--role", "reader").stdout.strip()
    (pid,) = {endpoint.pid for endpoint in stack.status(["elasticsearch"]).values()}
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    again = secure.rank_cli("stack", "up", "elasticsearch", "--es-heap", "512m", "--format", "json")
    assert again.returncode == 0, again.stderr
    assert (secrets_of(secure), address(secure)) == (before, at)
    assert secure.rank_cli("boost", "list", ELASTICSEARCH_API_KEY=key).returncode == 0
