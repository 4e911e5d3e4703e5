"""Telling a webhook: one POST of JSON, signed where there is a secret, sent again where that may help.

    {"version": 1, "day": "2026-11-20", "alerts": [{"alert_id": ..., "rule": ..., "sentence": ...}]}
    X-Rank-Signature: sha256=HEX     HMAC-SHA256 of the body under RANK_WEBHOOK_SECRET

Whoever receives it may get the same alert twice, and can tell so by `alert_id`. Redirects are not followed:
the body would go to somebody who was not named. Neither the address's path nor its query is ever printed,
since many services keep a token there.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from monitoring.alerts import Alert
from ranking.errors import InputError, ServerError

TIMEOUT_S: Final = 10.0
ATTEMPTS: Final = 4
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class _TryAgain(Exception):
    """What may pass: no connection, a timeout, a busy server."""


def body_of(day: str, alerts: Sequence[Alert]) -> bytes:
    """What is sent."""
    data: dict[str, Any] = {"version": 1, "day": day, "alerts": [alert.as_dict() for alert in alerts]}
    return json.dumps(data, sort_keys=True, ensure_ascii=False).encode()


def signature(body: bytes, secret: str) -> str:
    """The value of `X-Rank-Signature`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def check_url(url: str) -> str:
    """The address, if it is one that can be posted to.

    Raises:
        InputError: it is none; the sentence holds no part of it but the host.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise InputError("the webhook is not an http or https address", hint="for example https://host/path")
    return url


def send(
    url: str,
    body: bytes,
    *,
    secret: str | None = None,
    timeout_s: float = TIMEOUT_S,
    attempts: int = ATTEMPTS,
) -> None:
    """Post the body.

    Args:
        url: http or https.
        body: JSON.
        secret: signs the body.
        timeout_s: of each attempt, for the connection and for every read.
        attempts: how often it is tried where the failure may pass; waits grow, with jitter.

    Raises:
        ServerError: it was refused, or nobody answered.
    """
    import stamina
    import urllib3

    headers = {"Content-Type": "application/json", "User-Agent": "rank-cli-monitor"}
    if secret:
        headers["X-Rank-Signature"] = signature(body, secret)
    host = urlsplit(check_url(url)).hostname
    status = 0
    try:
        with urllib3.PoolManager(retries=False, timeout=timeout_s) as pool:
            for attempt in stamina.retry_context(
                on=_TryAgain, attempts=attempts, timeout=None, wait_max=10.0
            ):
                with attempt:
                    status = _post(pool, url, body, headers)
    except _TryAgain as e:
        raise ServerError(
            "webhook", f"{host} {e} ({attempts} attempts)", hint="the next run tells it again"
        ) from None
    if not 200 <= status < 300:
        raise ServerError("webhook", f"{host} refused the alerts (HTTP {status})", hint="check --webhook")


def _post(pool: Any, url: str, body: bytes, headers: dict[str, str]) -> int:
    import urllib3

    try:
        answer = pool.request("POST", url, body=body, headers=headers, redirect=False, preload_content=False)
    except urllib3.exceptions.HTTPError as e:
        raise _TryAgain(f"does not answer ({type(e).__name__})") from None
    answer.release_conn()
    if answer.status in _AGAIN:
        raise _TryAgain(f"is busy or broken (HTTP {answer.status})")
    return int(answer.status)


__all__ = ["body_of", "check_url", "send", "signature"]
