"""Doors to a server that can be shut, slow, or refuse: what goes wrong between two machines.

`Door` is one of TCP, and lets nothing through while it is cut, as a pulled cable does: connections stay, what
was sent arrives when it is mended, late. `BulkDoor` is one of HTTP to Elasticsearch: it answers a share of
the bulk requests, and of the items inside the others, with 429, and counts which document versions were
written.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Door:
    """A TCP door to 127.0.0.1:`port`.

    `delay_s` holds each piece of the server's answers back for so long.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.delay_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.StreamWriter] = set()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="door").start()
        self.port: int = self._call(self._listen())

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> int:
        self._whole = asyncio.Event()
        self._whole.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            await self._whole.wait()  # a connection that is asked for during the cut waits, too
            inside, outside = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._connections.add(outside)
        await asyncio.gather(self._copy(reader, outside), self._copy(inside, writer, answers=True))
        self._connections -= {writer, outside}

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        """Pass on what comes, each piece at its time."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def write() -> None:
            while True:
                due, piece = await pieces.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._whole.wait()
                if not piece:
                    writer.close()
                    return
                with suppress(OSError):
                    writer.write(piece)
                    await writer.drain()

        writing = asyncio.ensure_future(write())
        piece = b"begin"
        while piece:
            try:
                piece = await reader.read(65_536)
            except OSError:
                piece = b""
            pieces.put_nowait((self._loop.time() + (self.delay_s if answers else 0.0), piece))
        await writing

    def cut(self) -> None:
        """Let nothing through, and close nothing."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        """Let everything through, what waited first."""
        self._loop.call_soon_threadsafe(self._whole.set)

    def close(self) -> None:
        """Close every connection, and listen no more."""

        async def end() -> None:
            self._server.close()
            for writer in self._connections:
                writer.close()

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)


class BulkDoor:
    """An HTTP door to the Elasticsearch at 127.0.0.1:`port`.

    `refused_requests` and `refused_items` are shares in [0, 1]; the items that are refused inside a request
    do not reach the server, as when its write queue is full.
    """

    def __init__(self, port: int) -> None:
        self.refused_requests = 0.0
        self.refused_items = 0.0
        self.n_refused_requests = 0
        self.n_refused_items = 0
        self.written: Counter[tuple[str, int]] = Counter()  # (item, version) -> answers that say "written"
        self._chance = random.Random(8)
        self._lock = threading.Lock()
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            upstream: http.client.HTTPConnection | None = None

            def log_message(self, *_: Any) -> None:
                """Nothing is logged."""

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                is_bulk = self.path.partition("?")[0].endswith("/_bulk")
                answer = door.refuse() if is_bulk else None
                try:
                    if answer is None and is_bulk:
                        answer = door.pass_bulk(body, self.ask)
                    self.reply(*(answer or self.ask(body)))
                except (OSError, http.client.HTTPException):
                    self.upstream = None
                    self.close_connection = True  # the server is gone, so its client is hung up on

            def ask(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
                if self.upstream is None:
                    self.upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                headers = {
                    k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length")
                }
                path = self.path.replace("filter_path=", "filter_path=items.*.result,")  # for the count
                self.upstream.request(self.command, path, body or None, headers)
                response = self.upstream.getresponse()
                kept = ("Content-Type", "X-Elastic-Product")
                named = {name: response.headers[name] for name in kept if response.headers[name]}
                if self.command == "HEAD":
                    named["Content-Length"] = response.headers.get("Content-Length") or "0"
                return response.status, response.read(), named

            def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = pass_on  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True, name="bulk door").start()

    def refuse(self) -> tuple[int, bytes, dict[str, str]] | None:
        """The answer of a server whose queue is full, for some requests."""
        with self._lock:
            if self._chance.random() >= self.refused_requests:
                return None
            self.n_refused_requests += 1
        return 429, _json({"error": _REJECTED, "status": 429}), _HEADERS

    def pass_bulk(self, body: bytes, ask: Any) -> tuple[int, bytes, dict[str, str]]:
        """Pass on the items that are not refused; the answer to all of them, in their order."""
        operations = _operations(body)
        with self._lock:
            taken = [self._chance.random() >= self.refused_items for _ in operations]
        if all(taken) and operations:
            status, answer, headers = ask(body)
            if status == 200:
                self._count(operations, json.loads(answer)["items"])
            return status, answer, headers
        passed = [operation for operation, is_taken in zip(operations, taken, strict=True) if is_taken]
        parsed: dict[str, Any] = {"took": 0, "errors": True, "items": []}
        if passed:
            status, answer, headers = ask(b"".join(lines for _, _, lines in passed))
            if status != 200:
                return status, answer, headers
            parsed = json.loads(answer)
            self._count(passed, parsed["items"])
        real = iter(parsed["items"])
        parsed["items"] = [
            next(real) if is_taken else {kind: {"_id": key[0], "status": 429, "error": _REJECTED}}
            for (kind, key, _), is_taken in zip(operations, taken, strict=True)
        ]
        self.n_refused_items += len(operations) - len(passed)
        return 200, _json(parsed | {"errors": True}), _HEADERS

    def _count(self, operations: list[Any], items: list[dict[str, Any]]) -> None:
        with self._lock:
            for (kind, key, _), item in zip(operations, items, strict=True):
                if item[kind]["status"] < 300 and item[kind].get("result") != "noop":
                    self.written[key] += 1

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


_REJECTED = {
    "type": "es_rejected_execution_exception",
    "reason": "rejected execution of coordinating operation (played by a test's proxy)",
}
_HEADERS = {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}


def _json(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode()


def _operations(body: bytes) -> list[tuple[str, tuple[str, int], bytes]]:
    """The kind, (item, version) and lines of each operation of a bulk body."""
    lines = iter(body.splitlines(keepends=True))
    found = []
    for line in lines:
        if not line.strip():
            continue
        ((kind, action),) = json.loads(line).items()
        source = b"" if kind == "delete" else next(lines)
        found.append((kind, (str(action["_id"]), _version(source)), line + source))
    return found


def _version(source: bytes) -> int:
    """`updated_at` of a document, or of the parameters of a scripted update; 0 where it names none."""
    body = json.loads(source or b"{}")
    document = body.get("script", {}).get("params", {}).get("doc") or body.get("doc") or body
    said = document.get("updated_at", 0)
    return said if isinstance(said, int) else round(datetime.fromisoformat(said).timestamp() * 1000)
