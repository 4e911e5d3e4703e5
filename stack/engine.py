"""What the three engines have in common: how one is prepared, launched and asked whether it is ready."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from stack.process import Process


class NotReady(Exception):
    """The engine does not answer yet; the message says what it said instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One start of one engine."""

    home: Path  # the folder it writes in
    log: Path
    ports: Mapping[str, int]
    marker: str  # value of RANK_STACK
    cancel: threading.Event = field(default_factory=threading.Event)


class Engine(Protocol):
    """One of Elasticsearch, Triton, Kafka as a local process."""

    name: ClassVar[str]  # key in the record and on the command line
    title: ClassVar[str]  # in sentences
    first_ports: ClassVar[Mapping[str, int]]  # preferred ports by role; clients use the first role's
    start_timeout_s: ClassVar[float]

    @property
    def options(self) -> dict[str, str]:
        """What this engine is started with; goes into the record."""

    @property
    def user(self) -> tuple[int, int] | None:
        """(uid, gid) it runs as, where that is not us."""

    def prepare(self, cancel: threading.Event) -> None:
        """Fetch what is missing."""

    def launch(self, launch: Launch) -> Process:
        """Start it; it need not answer yet."""

    def address(self, ports: Mapping[str, int]) -> str:
        """What a client is given."""

    def probe(self, address: str, ports: Mapping[str, int] | None) -> str:
        """Ask whether it is ready; its version if so.

        Args:
            address: what a client is given.
            ports: all its ports by role; None where the environment named it and they are not known.

        Raises:
            NotReady: it does not answer, or says that it is not ready.
        """

    def defect(self, ports: Mapping[str, int]) -> str | None:
        """Why a local one that answers has to be started again; None where it need not.

        Raises:
            NotReady: it does not answer.
        """
