"""What `rank-cli stack up elasticsearch --secure` adds: TLS, a password, API keys.

One folder, closed to other users and made once, holds what outlives a restart: the CA's certificate, the
node's key store, and the passwords. They are made by the keytool of the JDK that the server needs anyway.
The CA's key signs one certificate and is deleted, so nobody can sign another.

No secret is an argument of a process, is printed, or stands in a log: keytool takes it from its environment,
the server's keystore tool from its standard input, and a client from `credentials.json`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ranking.errors import StackError
from ranking.settings import Login, read_credentials
from stack.jdk import Jdk
from stack.paths import remove_tree

TITLE = "Elasticsearch"
USER = "elastic"
DAYS = "3650"
KEY = ("-keyalg", "EC", "-groupname", "secp256r1", "-validity", DAYS, "-storetype", "PKCS12")
SETTINGS = """\
xpack.security.enabled: true
xpack.security.enrollment.enabled: false
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.keystore.path: certs/node.p12
xpack.security.transport.ssl.enabled: true
xpack.security.transport.ssl.keystore.path: certs/node.p12
xpack.security.transport.ssl.certificate_authorities: certs/ca.crt
"""


@dataclass(frozen=True, slots=True)
class Security:
    """The folder of one local cluster's secrets; nothing is in it before `make`."""

    folder: Path

    @property
    def ca_certs(self) -> Path:
        """The CA's certificate, PEM: what a client must trust."""
        return self.folder / "ca.crt"

    @property
    def credentials(self) -> Path:
        """JSON with `user` and `password`; readable by its owner only."""
        return self.folder / "credentials.json"

    @property
    def login(self) -> Login:
        """The superuser's.

        Raises:
            ConfigError: the file is gone, or is another user's.
        """
        user, password = read_credentials(self.credentials)
        return Login(user=user, password=password, ca_certs=self.ca_certs)

    def make(self, jdk: Jdk) -> None:
        """Make certificates and passwords, once; the folder is complete or absent."""
        if self.folder.is_dir():
            return
        made = self.folder.with_name(f"{self.folder.name}.tmp")
        remove_tree(made)
        made.mkdir(mode=0o700)
        password, store_password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        _make_certificates(made, jdk, store_password)
        content = {"user": USER, "password": password, "store_password": store_password}
        with os.fdopen(os.open(made / "credentials.json", os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            json.dump(content, f)
        made.rename(self.folder)

    def configure(self, distribution: Path, config: Path, env: dict[str, str]) -> None:
        """Put certificates and passwords into the server's configuration folder.

        Args:
            distribution: the unpacked server, for its keystore tool.
            config: its configuration folder.
            env: what the server is started with.

        Raises:
            StackError: the keystore tool failed.
        """
        certificates = config / "certs"
        certificates.mkdir(mode=0o700)
        for name in ("ca.crt", "node.p12"):
            shutil.copy(self.folder / name, certificates / name)
        stored = json.loads(self.credentials.read_text())
        given = {
            "bootstrap.password": stored["password"],
            "xpack.security.http.ssl.keystore.secure_password": stored["store_password"],
            "xpack.security.transport.ssl.keystore.secure_password": stored["store_password"],
        }
        done = subprocess.run(
            [distribution / "bin" / "elasticsearch-cli", "add", "--force", "--stdin", *given],
            input="".join(f"{value}\n" for value in given.values()),
            env={**os.environ, **env, "CLI_NAME": "keystore", "CLI_LIBS": "lib/tools/keystore-cli"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(TITLE, "its keystore could not be written", log_tail=done.stderr[-2000:])


def _make_certificates(folder: Path, jdk: Jdk, password: str) -> None:
    """`ca.crt`, and `node.p12` with a key and certificate for 127.0.0.1 and localhost."""
    store, ca = ["-keystore", "node.p12", "-storepass:env", "STORE_PASSWORD"], "CN=rank-toolkit local CA"
    names, can_sign = "san=ip:127.0.0.1,dns:localhost", "ku:c=keyCertSign,cRLSign"
    make = ["-genkeypair", *KEY, *store]
    for arguments in (
        [*make, "-alias", "ca", "-dname", ca, "-ext", "bc:c=ca:true,pathlen:0", "-ext", can_sign],
        [*make, "-alias", "node", "-dname", "CN=localhost", "-ext", names, "-signer", "ca"],
        ["-exportcert", "-rfc", "-alias", "ca", "-file", "ca.crt", *store],
        ["-delete", "-alias", "ca", *store],
    ):
        done = subprocess.run(
            [jdk.home / "bin" / "keytool", *arguments],
            cwd=folder,
            env={**os.environ, "STORE_PASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(
                TITLE, "keytool could not make its certificate", log_tail=(done.stdout + done.stderr)[-2000:]
            )
    (folder / "node.p12").chmod(0o600)


__all__ = ["Security"]
