"""Asking an Elasticsearch over HTTP(S) how it is, with the standard library only."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit

from ranking.refusal import without_login
from ranking.settings import Login
from stack.engine import NotReady


class Forbidden(NotReady):
    """The server knows who asks, and does not let them see what was asked for."""


def get_json(url: str, login: Login) -> dict[str, Any]:
    """GET a JSON object; environment proxies are not asked.

    Raises:
        Forbidden: the login lacks a privilege.
        NotReady: no answer, or another one.
    """
    at = urlsplit(url)
    request = urllib.request.Request(without_login(url))
    if login.api_key is not None:
        request.add_header("Authorization", f"ApiKey {login.api_key.get_secret_value()}")
    elif login.user and login.password is not None:
        request.add_header("Authorization", _basic(login.user, login.password.get_secret_value()))
    elif at.username:
        request.add_header("Authorization", _basic(unquote(at.username), unquote(at.password or "")))
    try:
        tls = ssl.create_default_context(cafile=login.ca_certs)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
        )
        with opener.open(request, timeout=5) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as e:
        if e.code == 403:
            raise Forbidden from e
        raise NotReady(f"HTTP {e.code} {e.reason}") from e
    except (OSError, ValueError) as e:
        raise NotReady(str(e)) from e
    if not isinstance(answer, dict):
        raise NotReady("the answer is not a JSON object")
    return answer


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


__all__ = ["Forbidden", "get_json"]
