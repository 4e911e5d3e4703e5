"""Where the page is served: a socket on this machine, and the server on it until Ctrl-C."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass

from ranking.errors import InputError
from workbench.app import create_app
from workbench.state import Workbench


@dataclass(frozen=True, slots=True)
class Server:
    """A bound socket and what it will serve."""

    workbench: Workbench
    host: str
    port: int
    _socket: socket.socket

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{_in_url(self.host)}:{self.port}/"

    @property
    def url_to_save(self) -> str:
        """The page with the token that saving needs; what follows `#` is never sent or logged."""
        return f"{self.url}#token={self.workbench.token}"

    @property
    def hosts(self) -> list[str]:
        """The Host headers that are answered."""
        names = {self.host.lower()}
        if is_loopback(self.host):
            names |= {"127.0.0.1", "localhost", "::1"}
        else:
            names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        return sorted(f"{_in_url(name)}:{self.port}" for name in names)

    def run(self) -> None:
        """Serve until interrupted."""
        import uvicorn

        config = uvicorn.Config(
            create_app(self.workbench, self.hosts),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        try:
            uvicorn.Server(config).run(sockets=[self._socket])
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def listen(workbench: Workbench, host: str, port: int, *, allow_remote: bool = False) -> Server:
    """Take the port; nothing is served yet.

    Args:
        workbench: what will be served.
        host: an address of this machine.
        port: 0 for any that is free.
        allow_remote: whether `host` may be reached from other machines.

    Raises:
        InputError: the address is not loopback and that was not allowed, or it cannot be had.
    """
    if not allow_remote and not is_loopback(host):
        raise InputError(
            f"{host} can be reached from other machines, and whoever reaches it searches with your login",
            hint="--allow-remote serves there all the same",
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen()  # who comes before the server runs waits, and is not refused
    except OSError as e:
        if e.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} is in use", hint="name another with --port; 0 takes a free one"
            ) from e
        raise InputError(f"cannot listen on {host}:{port}: {e.strerror or e}", hint="try --port 0") from e
    return Server(workbench, host, int(sock.getsockname()[1]), sock)


def is_loopback(host: str) -> bool:
    """Whether nobody outside this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


__all__ = ["Server", "is_loopback", "listen"]
