"""What `up` and `status` answer with: one `Endpoint` per engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ranking.refusal import without_login

State = Literal["ready", "not answering", "broken", "stopped"]  # broken: `up` starts it again

ENGINES = ("elasticsearch", "triton", "kafka")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One engine: where it answers, and whose it is.

    `address` is what a client is given: a URL for Elasticsearch, host:port of gRPC for Triton,
    host:port for Kafka.
    """

    engine: str  # one of ENGINES
    address: str | None  # None where it is stopped
    pid: int | None = None  # None where it is not a local process
    started: bool = False  # this call started it
    version: str | None = None
    managed: bool = True  # ours to stop; False where the environment named it
    state: State = "ready"
    log: Path | None = None

    def to_row(self) -> dict[str, str | int | bool | None]:
        """One row of `rank-cli stack status`."""
        return {
            "engine": self.engine,
            "state": self.state,
            "address": without_login(self.address) if self.address else None,
            "version": self.version,
            "pid": self.pid,
            "started": self.started,
            "managed": self.managed,
            "log": str(self.log) if self.log else None,
        }
