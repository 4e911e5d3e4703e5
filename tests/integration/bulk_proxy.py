"""An HTTP proxy before Elasticsearch that pushes bulk requests back."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

JSON = {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}


@contextmanager
def pushing_back(host: str, port: int, refuse: Callable[[int], bool]) -> Iterator[tuple[str, list[int]]]:
    """Address of the proxy, and how many bytes each bulk request had that went through.

    `refuse` is asked with the number of each bulk request, from 1 on: True answers 429, as a full queue does.
    """
    passed: list[int] = []
    lock = threading.Lock()
    asked = 0

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            nonlocal asked
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "_bulk" in self.path:
                with lock:
                    asked += 1
                    number = asked
                if refuse(number):
                    reason = b'{"error": {"type": "es_rejected_execution_exception", "reason": "queue full"}}'
                    self.answer(429, reason, JSON)
                    return
                passed.append(len(body))
            inside = http.client.HTTPConnection(host, port, timeout=30)
            inside.request(self.command, self.path, body, dict(self.headers))
            answer = inside.getresponse()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in ("content-length", "transfer-encoding")
            }
            self.answer(answer.status, answer.read(), kept)
            inside.close()

        def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = handle_one  # noqa: N815  (the library's names)

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", passed
    finally:
        server.shutdown()
        server.server_close()
