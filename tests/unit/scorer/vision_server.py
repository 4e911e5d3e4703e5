"""A server that speaks the chat-completions protocol, for tests: it answers, bills, and fails as told.

It bills each idempotency key once, as an endpoint that knows them does, and writes what it bills to a file,
so that a test can count after any process was killed. Its scores come from the pictures: the brighter, the
better, plus whatever it is told to add by place.
"""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import threading
import time
from collections import Counter
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image


class VisionServer(ThreadingHTTPServer):
    """`faults`: how the next requests fail, first first; `script`: by serp text, see `answer_text`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults: list[str] = []
        self.always: str | None = None  # a fault of every request
        self.delay_s = 0.0
        self.by_place = 0.0  # points of score from the first place to the last
        self.bodies: list[dict] = []
        self.headers: list[Message] = []
        self.billed: Counter[str] = Counter()  # completed answers by idempotency key
        self.answers: dict[str, bytes] = {}
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def __enter__(self) -> VisionServer:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def kinds(self) -> Counter[str]:
        return Counter(body["response_format"]["json_schema"]["name"] for body in self.bodies)

    def handle_error(self, request, client_address) -> None:
        pass  # clients of these tests are killed on purpose


def pictures_of(body: dict) -> list[Image.Image]:
    parts = body["messages"][0]["content"]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]


def good_answer(body: dict, by_place: float) -> dict:
    content = body["messages"][0]["content"]
    if isinstance(content, str):
        return {
            "english": content.partition("Query: ")[2].partition("\n")[0].strip('"').replace("robe", "dress")
        }
    photos = pictures_of(body)
    n = len(photos)
    scores = []
    for i, photo in enumerate(photos):
        light = float(np.asarray(photo.convert("L")).mean()) / 255
        scores.append(int(np.clip(round(1 + 9 * light + by_place * (i / max(n - 1, 1) - 0.5)), 1, 10)))
    return {
        "comparison": "the bright ones lead",
        "photos": [
            {"photo": i + 1, "justification": f"light {score}",
             "adjectives": ["Bright" if score > 5 else "dark"], "score": score}
            for i, score in enumerate(scores)
        ],
    }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    server: VisionServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.bodies.append(body)
            server.headers.append(self.headers)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            fault = server.always or (server.faults.pop(0) if server.faults else "")
        try:
            if server.delay_s:
                time.sleep(server.delay_s)
            self._answer(body, fault)
        finally:
            with server.lock:
                server.at_once -= 1

    def _answer(self, body: dict, fault: str) -> None:
        key = self.headers["Idempotency-Key"]
        message, finish = {"role": "assistant", "refusal": None}, "stop"
        told = good_answer(body, self.server.by_place)
        text = json.dumps(told)
        match fault.split():
            case ["status", status, *code]:
                error = {"message": f"no, {self.headers['Authorization']}", "code": code[0] if code else None}
                return self._send(int(status), json.dumps({"error": error}).encode())
            case ["retry-after", seconds]:
                return self._send(429, b'{"error": {"message": "slow down"}}', {"Retry-After": seconds})
            case ["sleep", seconds]:
                time.sleep(float(seconds))
            case ["reset"]:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return self.connection.close()
            case ["html"]:
                return self._send(200, b"<html>gateway</html>")
            case ["no-choices"]:
                return self._send(200, b'{"choices": []}')
            case ["cut-body"]:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "5000")
                self.end_headers()
                self.wfile.write(b'{"id": "x", "choi')
                self.close_connection = True
                return None
            case ["broken-json"]:
                text = text[:-7]
            case ["fenced"]:
                text = f"```json\n{text}\n```"
            case ["length"]:
                text, finish = text[: len(text) // 2], "length"
            case ["too-few"]:
                told["photos"] = told["photos"][:-1]
                text = json.dumps(told)
            case ["score-11"]:
                told["photos"][0]["score"] = 11
                text = json.dumps(told)
            case ["same-number"]:
                told["photos"][0]["photo"] = 2
                text = json.dumps(told)
            case ["refuse"]:
                text, message["refusal"] = None, "I cannot judge this."
            case ["filter"]:
                text, finish = None, "content_filter"
            case ["leak"]:
                told["comparison"] = self.headers["Authorization"]
                text = json.dumps(told)
        message["content"] = text
        answer = {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        }  # fmt: skip
        with self.server.lock:
            known = self.server.answers.setdefault(key, json.dumps(answer).encode())
            self.server.billed[key] = 1
        return self._send(200, known)

    def _send(self, status: int, content: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
