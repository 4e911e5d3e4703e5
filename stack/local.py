"""One engine as a local process: found running, started, stopped.

One that died is started again on the ports it had, over the data it had, so that what knows its address
goes on as if nothing had been.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ranking.errors import StackError
from stack import ports, process
from stack.endpoint import Endpoint
from stack.engine import Engine, Launch, NotReady
from stack.fetch import Cancelled
from stack.paths import engine_home, require_space
from stack.process import Process, reasons
from stack.progress import note
from stack.record import Entry, Record

PATIENCE_S = 30.0  # between SIGTERM and SIGKILL
STATE_BYTES = 500e6  # free disk below which nothing is started
PORT_OPTIONS = {"elasticsearch": "--es-port", "triton": "--triton-port", "kafka": "--kafka-port"}

# Ports given to an engine that has not bound them yet.
_promised: set[int] = set()
_port_choice = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How `up` starts what is not running. None leaves a choice to us, or to what already runs."""

    es_version: str | None = None
    es_heap: str = "1g"
    es_secure: bool | None = None  # TLS, a password and API keys
    es_plugin: bool | None = None  # the rank-boost plugin
    kafka_heap: str = "256m"
    model_repository: Path | None = None
    ports: Mapping[str, int] = field(default_factory=dict)  # engine -> port that clients use


def ensure(
    engine: Engine, state: Path, record: Record, options: Options, cancel: threading.Event
) -> Endpoint:
    """Find the engine running, or start it."""
    entry = record.get(engine.name)
    if entry and (reason := defect_of(engine, entry)):
        note(f"{engine.title}: {reason}; it is started again")
        stop(engine.name, entry, state)
    if entry and (entry.docker or entry.process.alive):
        _refuse_other(engine, entry, options)
        try:
            wait_ready(engine, entry, cancel)
        except StackError:
            # One that was killed a moment ago counts as dead, not as an error.
            if entry.docker or entry.process.alive:
                raise
        else:
            return endpoint_of(engine.name, entry, started=False)
    home = engine_home(state, engine.name, owner=engine.user)
    require_space(engine.title, home, STATE_BYTES)
    engine.prepare(cancel)
    _sweep(_marker(state, engine.name), PATIENCE_S)
    asked = options.ports.get(engine.name)
    chosen = _choose_ports(engine, entry, asked)
    try:
        new = _start(engine, state, home, chosen, cancel)
    except StackError:
        if all(ports.is_free(port) for port in chosen.values()):
            raise
        note(f"{engine.title}: a port was taken while it started, trying others")
        chosen = _choose_ports(engine, None, asked)
        new = _start(engine, state, home, chosen, cancel)
    finally:
        _promised.difference_update(chosen.values())
    record.put(engine.name, new)
    return endpoint_of(engine.name, new, started=True)


def _start(engine: Engine, state: Path, home: Path, chosen: dict[str, int], cancel: threading.Event) -> Entry:
    """Start it and wait until it is ready; nothing of it is left where that fails."""
    marker = _marker(state, engine.name)
    log = log_path(home, engine.name)
    log.parent.mkdir(exist_ok=True)
    if log.exists():  # an error then shows the lines of this start, and logs do not grow for ever
        log.replace(log.with_name(f"{engine.name}.before.log"))
    note(f"{engine.title}: starting on {engine.address(chosen)}")
    began = time.monotonic()
    running: Process | None = None
    try:
        running = engine.launch(Launch(home=home, log=log, ports=chosen, marker=marker, cancel=cancel))
        new = Entry(
            address=engine.address(chosen),
            log=str(log_path(state / engine.name, engine.name)),  # by the link, where there is one
            pid=running.pid,
            began=running.began,
            ports=chosen,
            options=engine.options,
        )
        version = wait_ready(engine, new, cancel)
    except BaseException:
        if running:
            process.stop([running], patience_s=2.0)
        _sweep(marker, 2.0)
        raise
    note(f"{engine.title}: ready in {time.monotonic() - began:.1f} s")
    return replace(new, version=version)


def _refuse_other(engine: Engine, entry: Entry, options: Options) -> None:
    """An engine that runs is not silently another one than was asked for."""
    asked: dict[str, str] = {}
    if engine.name == "elasticsearch" and options.es_version:
        asked["version"] = engine.options["version"]
    if engine.name == "elasticsearch" and options.es_secure is not None:
        asked["security"] = engine.options["security"]
    if engine.name == "elasticsearch" and options.es_plugin is not None:
        asked["plugin"] = engine.options["plugin"]
    if engine.name == "triton" and options.model_repository:
        asked["model_repository"] = engine.options["model_repository"]
    now = dict(entry.options)
    if engine.name in options.ports:
        role = next(iter(engine.first_ports))
        asked["port"], now["port"] = str(options.ports[engine.name]), str(entry.ports[role])
    for key, value in asked.items():
        if now.get(key, value) != value:
            raise StackError(
                engine.title,
                f"runs already with {key.replace('_', ' ')} {now[key]}, not {value}",
                hint=f"`rank-cli stack down {engine.name}`, then start it again",
            )


def _choose_ports(engine: Engine, entry: Entry | None, asked: int | None) -> dict[str, int]:
    """The ports it had, if it gets them back; else preferred or free ones."""
    chosen: dict[str, int] = {}
    with _port_choice:
        for role, preferred in engine.first_ports.items():
            if asked is not None and role == next(iter(engine.first_ports)):
                chosen[role] = ports.demand(engine.title, asked, PORT_OPTIONS[engine.name])
            elif entry and role in entry.ports and ports.wait_free(entry.ports[role], 10.0):
                chosen[role] = entry.ports[role]
            else:
                if entry and role in entry.ports:
                    note(f"{engine.title}: its port {entry.ports[role]} was taken meanwhile")
                chosen[role] = ports.choose(preferred, taken={*_promised, *chosen.values()})
        _promised.update(chosen.values())
    return chosen


def defect_of(engine: Engine, entry: Entry) -> str | None:
    """Why an engine that runs here has to be started again; None where it need not, or does not answer."""
    if entry.docker or not entry.process.alive:
        return None
    with contextlib.suppress(NotReady):
        return engine.defect(entry.ports)
    return None


def wait_ready(engine: Engine, entry: Entry, cancel: threading.Event) -> str:
    """Ask until it is ready; its version.

    Raises:
        StackError: its process ended, or it was not ready in time.
    """
    deadline = time.monotonic() + engine.start_timeout_s
    hint = f"read the whole log with `rank-cli stack logs {engine.name}`"
    log = Path(entry.log)
    while True:
        version, reason = None, ""
        try:
            version = engine.probe(entry.address, entry.ports)
        except NotReady as e:
            reason = str(e)
        # Another server may answer on the port that ours could not get.
        if not entry.docker and not entry.process.alive:
            raise StackError(engine.title, "ended while starting", hint=hint, log_tail=reasons(log))
        if version is not None:
            return version
        if time.monotonic() > deadline:
            raise StackError(
                engine.title,
                f"is not ready on {entry.address} after {engine.start_timeout_s:.0f} s: {reason}",
                hint=f"{hint}, or end it with `rank-cli stack down {engine.name}`",
                log_tail=reasons(log),
            )
        if cancel.wait(0.2):
            raise Cancelled


def stop(name: str, entry: Entry | None, state: Path) -> bool:
    """Stop one engine and whatever it left; whether anything ran."""
    running = {Process.of(pid) for pid in process.marked(_marker(state, name))}
    if entry and entry.process.alive:
        # The engine first: it ends its own children in good order.
        running.add(entry.process)
        process.stop([entry.process], patience_s=PATIENCE_S)
    process.stop(running, patience_s=2.0 if entry else PATIENCE_S)
    return bool(running)


def endpoint_of(name: str, entry: Entry, *, started: bool) -> Endpoint:
    """The endpoint that a record speaks of."""
    return Endpoint(
        engine=name,
        address=entry.address,
        pid=entry.pid,
        started=started,
        version=entry.version,
        log=Path(entry.log) if entry.log else None,
    )


def log_path(home: Path, name: str) -> Path:
    """The log of the engine that writes in `home`."""
    return home / "logs" / f"{name}.log"


def _sweep(marker: str, patience_s: float) -> None:
    """End what an engine left: children of one that was killed, or all of one whose record was lost."""
    process.stop([Process.of(pid) for pid in process.marked(marker)], patience_s=patience_s)


def _marker(state: Path, name: str) -> str:
    return f"{state}:{name}"
