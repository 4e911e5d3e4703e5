"""The local engines: real Elasticsearch, Triton and Kafka, started once and found again.

from stack import up

endpoints = up()
endpoints["elasticsearch"].address  # "http://127.0.0.1:9200"
"""

from __future__ import annotations

from stack.endpoint import ENGINES, Endpoint
from stack.lifecycle import down, logs, status, up
from stack.local import Options

__all__ = ["ENGINES", "Endpoint", "Options", "down", "logs", "status", "up"]
