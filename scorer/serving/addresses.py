"""TRITON_URL: one server, or several with commas between, and how gRPC is told of them.

    host:8001                      one name; where DNS gives it several addresses, all of them
    host1:8001,host2:8001          several servers, asked in turn

gRPC leaves a server out that does not answer, and takes it back once it does.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, Final

from ranking.errors import InputError, ServerError
from scorer.serving.errors import ENGINE

CHANNEL_ARGS: Final[list[tuple[str, Any]]] = [  # tritonclient's own do not apply once these are given
    ("grpc.lb_policy_name", "round_robin"),  # one channel, many servers
    ("grpc.use_local_subchannel_pool", 1),  # a channel of this client alone
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    (
        "grpc.min_reconnect_backoff_ms",
        5_000,
    ),  # a connection that hangs, as to a server that starts; 20 s else
    ("grpc.keepalive_time_ms", 10_000),  # a server that vanished without a word is noticed
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 2),  # more, and the server hangs up
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]


def servers(url: str) -> list[str]:
    """The `host:port` of each server in `url`.

    Raises:
        InputError: one of them is no host:port.
    """
    found = [part.strip() for part in url.split(",") if part.strip()]
    for server in found:
        host, _, port = server.rpartition(":")
        if not host or not port.isdecimal():
            raise InputError(
                f"{server!r} is no host:port of Triton's gRPC",
                hint="set TRITON_URL to host:8001, or to host1:8001,host2:8001",
            )
    if not found:
        raise InputError("TRITON_URL names no server", hint="set it to host:8001")
    return found


def grpc_target(url: str) -> str:
    """What a gRPC channel is opened to: the address itself, or a list of numeric addresses.

    Several names are looked up here, once a channel, since gRPC itself takes one name or many numbers.

    Raises:
        ServerError: not one of several names has an address.
    """
    named = servers(url)
    if len(named) == 1:
        return named[0]
    found: dict[int, list[str]] = {4: [], 6: []}
    for server in named:
        host, _, port = server.rpartition(":")
        for address in _addresses(host.strip("[]"), int(port)):
            version = ipaddress.ip_address(address).version
            found[version].append(f"{address}:{port}" if version == 4 else f"[{address}]:{port}")
    version = 4 if found[4] else 6  # gRPC takes one family in a list
    if not found[version]:
        raise ServerError(ENGINE, f"no address is known of {', '.join(named)}", hint="check TRITON_URL")
    return f"ipv{version}:{','.join(dict.fromkeys(found[version]))}"


def _addresses(host: str, port: int) -> list[str]:
    try:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []  # one name that is unknown does not take the others with it
    return [str(address[0]) for *_, address in known]


__all__ = ["CHANNEL_ARGS", "grpc_target", "servers"]
