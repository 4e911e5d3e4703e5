"""The one place that opens an Elasticsearch client, and turns its errors into sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from elasticsearch import (
    ApiError,
    AuthorizationException,
    ConnectionError,
    ConnectionTimeout,
    Elasticsearch,
    SSLError,
    TransportError,
)

from ranking.errors import ServerError
from ranking.refusal import certificate, refusal, speaks_tls, without_login
from ranking.settings import Settings, get_settings

_ENGINE = "Elasticsearch"


def connect(settings: Settings | None = None, *, check: bool = True) -> Elasticsearch:
    """A client for the cluster that the settings name.

    Args:
        settings: those of the process by default.
        check: ask the server who it is, so that a wrong address fails here and not in the middle.

    Raises:
        ServerError: no address is known, nothing answers there, or the server does not let us in.
    """
    settings = settings or get_settings()
    url = settings.endpoint(_ENGINE)
    options: dict[str, Any] = {"request_timeout": settings.elasticsearch_timeout_s}
    login = settings.elasticsearch_login()
    if login.api_key is not None:
        options["api_key"] = login.api_key.get_secret_value()
    elif login.user and login.password is not None:
        options["basic_auth"] = (login.user, login.password.get_secret_value())
    if login.ca_certs is not None and not url.startswith("http:"):
        options["ca_certs"] = str(login.ca_certs)
    try:
        client = Elasticsearch(url, **options)
    except ValueError as e:
        raise ServerError(_ENGINE, f"{without_login(url)!r} is not an address: {e}") from e
    if check:
        _greet(client, url)
    return client


def _greet(client: Elasticsearch, url: str) -> None:
    with server_errors(without_login(url)):
        try:
            client.info()
        except AuthorizationException:  # a key for some indices only: the server is there, and knows us
            pass
        except ConnectionError:
            if url.startswith("http:") and speaks_tls(url):
                raise ServerError(
                    _ENGINE,
                    f"{without_login(url)}: the server speaks https, and the address says http",
                    hint="write https:// in ELASTICSEARCH_URL, and name its CA in ELASTICSEARCH_CA_CERTS",
                ) from None
            raise


@contextmanager
def server_errors(doing: str = "") -> Iterator[None]:
    """Turns what the client raises into a ServerError with the server's own reason.

    Args:
        doing: what was asked, for the sentence, such as "search in items".
    """
    prefix = f"{doing}: " if doing else ""
    try:
        yield
    except ConnectionTimeout as e:
        raise ServerError(
            _ENGINE, f"{prefix}no answer in time ({e.message})", hint="raise ELASTICSEARCH_TIMEOUT_S"
        ) from e
    except SSLError as e:
        sentence, hint = certificate(e.message)
        raise ServerError(_ENGINE, f"{prefix}{sentence}", hint=hint) from e
    except ConnectionError as e:
        raise ServerError(
            _ENGINE,
            f"{prefix}nothing answers ({e.message.splitlines()[0]})",
            hint="run `rank-cli stack up`, or check ELASTICSEARCH_URL",
        ) from e
    except ApiError as e:
        if refused := refusal(e.status_code, e.body):
            raise ServerError(_ENGINE, f"{prefix}{refused[0]} (HTTP {e.status_code})", hint=refused[1]) from e
        raise ServerError(_ENGINE, f"{prefix}{reason(e.body) or e.message} (HTTP {e.status_code})") from e
    except TransportError as e:
        raise ServerError(_ENGINE, f"{prefix}{e.message}") from e


def reason(body: Any) -> str | None:
    """The most telling reason in an error body: the deepest cause of the first failed shard.

    The top `error.reason` is often only "all shards failed".
    """
    if not isinstance(body, Mapping):
        return None
    error = body.get("error", body)
    if isinstance(error, str):
        return error
    if not isinstance(error, Mapping):
        return None
    node: Any = error
    failed = error.get("failed_shards")
    if failed:
        node = failed[0].get("reason", error)
    found = None
    while isinstance(node, Mapping):
        found = node.get("reason") or found
        node = node.get("caused_by")
    return str(found) if found else None


def check_complete(response: Mapping[str, Any]) -> None:
    """Refuse an answer that lacks a shard's hits: the server sends those with HTTP 200.

    Raises:
        ServerError: a shard failed, or the search timed out.
    """
    if "error" in response:
        raise ServerError(_ENGINE, reason(response) or "the search failed")
    shards = response.get("_shards", {})
    if shards.get("failed"):
        failures = shards.get("failures") or [{}]
        why = reason({"error": failures[0].get("reason", {})}) or "no reason given"
        raise ServerError(_ENGINE, f"{shards['failed']} of {shards['total']} shards failed: {why}")
    if response.get("timed_out"):
        raise ServerError(_ENGINE, "the search timed out on the server, so its hits are not complete")


__all__ = ["check_complete", "connect", "reason", "server_errors"]
