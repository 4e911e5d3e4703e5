"""Why the server did not let us in, as a sentence and what to do: logins, privileges, certificates, versions.

The server's own reasons are exact but long, and a certificate's are OpenSSL's; people meet both on a bad day.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit, urlunsplit

ROLES = "docs/security.md names the role for each command"
LOGIN = "set ELASTICSEARCH_API_KEY, or ELASTICSEARCH_USER and ELASTICSEARCH_PASSWORD"
CLIENT_8 = "pip install 'elasticsearch>=8.19,<9' (that client speaks to 8 and 9)"

_DENIED = re.compile(
    r"action \[(?P<action>.+?)\] is unauthorized for (?P<who>.+?)"
    r"(?: on (?:restricted )?indices \[(?P<indices>.*?)\])?"
    r", this action is granted by the (?P<kind>index|cluster) privileges \[(?P<privileges>.+?)\]"
)


def refusal(status: int, body: Any) -> tuple[str, str] | None:
    """Sentence and hint for an error answer; None where it has nothing to do with who asks.

    Args:
        status: HTTP status.
        body: the answer's JSON.
    """
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        # A HEAD request has no body; it asks whether an index or alias is there.
        looked = status == 403 and not body
        return (
            ("not allowed: seeing what is there needs index privilege view_index_metadata", ROLES)
            if looked
            else None
        )
    kind, reason = error.get("type"), str(error.get("reason"))
    if kind == "media_type_header_exception":
        return f"this server does not speak to client {version('elasticsearch')}: {reason}", CLIENT_8
    if kind != "security_exception":
        return None
    if status == 401:
        if reason.startswith("missing"):
            return "the server asks for a login, and none is set", LOGIN
        detail = error.get("additional_unsuccessful_credentials") or reason
        return f"the login was refused: {detail}", f"{LOGIN}, to one that is valid"
    return denied(reason), ROLES


def denied(reason: str) -> str:
    """The server's reason for a 403, said as the privilege that is missing."""
    found = _DENIED.search(reason)
    if found is None:
        return f"not allowed: {reason}"
    privileges = found["privileges"].replace(",", ", ")
    where = f" on {found['indices']}" if found["indices"] else ""
    return f"not allowed: {found['action']}{where} needs one of the {found['kind']} privileges {privileges}"


def certificate(message: str) -> tuple[str, str]:
    """Sentence and hint for OpenSSL's words."""
    point = "point ELASTICSEARCH_CA_CERTS at the PEM file of the CA that signed the server's certificate"
    if "WRONG_VERSION_NUMBER" in message or "record layer failure" in message:
        return "the server speaks http, and the address says https", "write http:// in ELASTICSEARCH_URL"
    if "ismatch" in message:
        named = message.partition("verify failed: ")[2].partition(" (_ssl")[0]
        hint = "write the host in ELASTICSEARCH_URL as the certificate has it"
        return f"the server's certificate is another host's: {named}", hint
    if "expired" in message:
        return "the server's certificate has expired", "renew it on the server"
    if "CERTIFICATE_VERIFY_FAILED" in message:
        return "the server's certificate is not signed by a CA that we trust", point
    if "No such file" in message or "NO_CERTIFICATE" in message or "Permission denied" in message:
        return f"the file of ELASTICSEARCH_CA_CERTS cannot be used: {message}", point
    return f"no secure connection: {message}", point


def speaks_tls(url: str) -> bool:
    """Whether the server behind an http:// address wants https; nothing is sent to it."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 80), timeout=2) as raw,
            context.wrap_socket(raw),
        ):
            return True
    except OSError:
        return False


def without_login(url: str) -> str:
    """The address without a user and password in it, for people and logs."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


__all__ = ["certificate", "denied", "refusal", "speaks_tls", "without_login"]
