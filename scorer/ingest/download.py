"""One photo over http(s), without being led into the operator's own network.

The name is resolved once, every address it has must be public (an IPv4 address inside an IPv6 one too), and
the connection goes to the address that was checked, so a name that changes its answer in between gains
nothing. Redirects are followed by hand, each through the same check.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import stamina
import urllib3

from ranking.errors import InputError

MAX_REDIRECTS: Final = 3
_CARRIERS: Final = (
    tuple(  # IPv6 networks whose last 32 bits are an IPv4 address that a gateway may connect to
        ipaddress.IPv6Network(network)
        for network in ("64:ff9b::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "::/96")
    )
)
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_CHUNK: Final = 65_536  # bytes
_TOTAL: Final = 3  # times `timeout_s`: the limit of a whole download


class _TryAgain(Exception):
    """A failure that may pass: no answer, a timeout, 429 or a server error."""


def download(
    url: str, *, max_bytes: int, timeout_s: float, allow_private_hosts: bool = False, attempts: int = 3
) -> bytes:
    """The body behind `url`, at most `max_bytes` long.

    Raises:
        InputError: refused, absent, too large, or still failing after `attempts`.
    """
    try:
        for attempt in stamina.retry_context(on=_TryAgain, attempts=attempts, timeout=None):
            with attempt:
                return _follow(url, max_bytes, timeout_s, allow_private_hosts)
    except _TryAgain as e:
        raise InputError(f"the download failed {attempts} times: {e}") from e
    raise AssertionError("unreachable")


def _follow(url: str, max_bytes: int, timeout_s: float, allow_private_hosts: bool) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        response, pool = _get(url, timeout_s, allow_private_hosts)
        try:
            location = response.get_redirect_location()
            if location:
                url = urljoin(url, location)
                continue
            if response.status == 429 or response.status >= 500:
                raise _TryAgain(f"HTTP {response.status}")
            if response.status != 200:
                raise InputError(f"the photo's server answered HTTP {response.status}")
            encoding = response.headers.get("Content-Encoding", "identity").lower()
            if encoding != "identity":  # not asked for; a few bytes could become gigabytes
                raise InputError(f"the photo's server packs it ({encoding})")
            return _body(response, max_bytes, time.monotonic() + _TOTAL * timeout_s)
        except urllib3.exceptions.HTTPError as e:
            raise _TryAgain(str(e)) from e
        finally:
            response.release_conn()
            pool.close()
    raise InputError(f"the photo's address redirects more than {MAX_REDIRECTS} times")


def _get(
    url: str, timeout_s: float, allow_private_hosts: bool
) -> tuple[urllib3.BaseHTTPResponse, urllib3.HTTPConnectionPool]:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as e:
        raise InputError(f"the photo's address is wrong: {e}") from e
    if parts.scheme not in ("http", "https") or not host:
        raise InputError("the photo's address is not a web address")
    port = port or (443 if parts.scheme == "https" else 80)
    address = _checked_address(host, port, allow_private_hosts)
    options: dict[str, Any] = {"timeout": urllib3.Timeout(timeout_s), "retries": False, "maxsize": 1}
    pool: urllib3.HTTPConnectionPool
    if parts.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            address, port, server_hostname=host, assert_hostname=host, **options
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, port, **options)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "rank-toolkit", "Accept": "image/*"}
    headers["Accept-Encoding"] = "identity"
    try:
        response = pool.request("GET", target, headers=headers, redirect=False, preload_content=False)
    except urllib3.exceptions.HTTPError as e:
        pool.close()
        raise _TryAgain(str(e)) from e
    return response, pool


def _checked_address(host: str, port: int, allow_private_hosts: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as e:
        raise _TryAgain(f"{host} cannot be resolved ({e})") from e
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if not allow_private_hosts:
        for address in addresses:
            if not _is_public(address):
                raise InputError(f"{host} is a private address; photos are downloaded from public ones only")
    return addresses[0]


def _is_public(address: str) -> bool:
    """Whether an address is one of the internet's, also where it carries another one inside."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.is_site_local or ip in _LOCAL_NAT64:
            return False
        if ip.sixtofour is not None and not _is_public(str(ip.sixtofour)):
            return False
        if any(ip in network for network in _CARRIERS):
            return _is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _body(response: urllib3.BaseHTTPResponse, max_bytes: int, until: float) -> bytes:
    body = bytearray()
    for chunk in response.stream(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > max_bytes:
            raise InputError(f"the photo has more than {max_bytes} bytes")
        if time.monotonic() > until:  # a server that sends a byte now and then never times out by itself
            raise InputError("the photo's server is too slow")
    return bytes(body)


__all__ = ["download"]
