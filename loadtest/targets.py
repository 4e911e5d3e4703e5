"""Where load goes: the settings' engines, on this machine alone unless told otherwise."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from ranking.errors import ConfigError, InputError
from ranking.refusal import without_login
from ranking.settings import Settings

JSON_BODY = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Target:
    """Where searches go, and their bodies. Headers may hold a login: they go through a pipe, not on disk."""

    url: str
    path: str
    bodies: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON_BODY))
    ca_pem: str | None = None  # certificates to trust; None trusts the system's
    timeout: float = 30.0  # seconds until an answer counts as a timeout


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where item messages go, and where a search finds the items."""

    bootstrap: str
    topic: str
    messages: tuple[dict[str, object], ...]  # without item_id and updated_at
    url: str
    path: str
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON_BODY))
    ca_pem: str | None = None
    timeout: float = 30.0  # seconds until a message that is not acknowledged is given up
    searchable_within: float = 60.0  # seconds after a round in which items are still looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelServer:
    """Where photos go, and what each request carries, in base64."""

    addresses: tuple[str, ...]  # asked in turn
    model: str
    input: str
    datatype: str  # UINT8, or BYTES for a model that decodes
    dims: tuple[int, ...]  # of one photo
    output: str
    requests: tuple[tuple[str, ...], ...]
    priority: int = 1  # online requests go before the backfill's
    timeout: float = 30.0
    url: str = "grpc://triton"  # Locust wants one


def cluster_target(settings: Settings, *, allow_remote: bool = False, timeout: float = 30.0) -> Target:
    """Where the settings' cluster is, and how to log in; without bodies.

    Raises:
        InputError: it is on another machine, and that was not allowed.
        ConfigError: the file of certificates cannot be read.
    """
    url = settings.endpoint("Elasticsearch")
    parts = urlsplit(url)
    _check_near(without_login(url), [parts.hostname or ""], allow_remote)
    headers = dict(JSON_BODY)
    login = settings.elasticsearch_login()
    user, password = parts.username, parts.password
    if login.api_key is not None:
        headers["Authorization"] = f"ApiKey {login.api_key.get_secret_value()}"
    else:
        if login.user and login.password is not None:
            user, password = login.user, login.password.get_secret_value()
        elif user is not None:
            user, password = unquote(user), unquote(password or "")
        if user is not None:
            both = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
            headers["Authorization"] = f"Basic {both}"
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    return Target(bare, "", (), headers, _pem(login.ca_certs), timeout)


def broker_address(settings: Settings, *, allow_remote: bool = False) -> str:
    """The settings' Kafka brokers.

    Raises:
        InputError: one of them is on another machine, and that was not allowed.
    """
    return _near(settings.endpoint("Kafka"), allow_remote)


def triton_addresses(settings: Settings, *, allow_remote: bool = False) -> tuple[str, ...]:
    """`host:port` of each of the settings' Triton servers.

    Raises:
        InputError: one of them is on another machine, and that was not allowed.
    """
    addresses = _near(settings.endpoint("Triton"), allow_remote).replace(" ", "").split(",")
    return tuple(dict.fromkeys(addresses))


def _near(addresses: str, allow_remote: bool) -> str:
    hosts = [one.strip().rpartition("://")[2].rpartition(":")[0] for one in addresses.split(",")]
    _check_near(addresses, hosts, allow_remote)
    return addresses


def _check_near(said: str, hosts: list[str], allow_remote: bool) -> None:
    if not allow_remote and not all(map(_is_loopback, hosts)):
        raise InputError(
            f"{said} is on another machine, and a load test can take it down",
            hint="--allow-remote sends the load there all the same",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _pem(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(path, [f"not readable certificates: {e}"]) from None
