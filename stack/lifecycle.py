"""`up`, `down` and `status` of the local engines.

An engine that the environment names (`ELASTICSEARCH_URL`, `TRITON_URL`, `KAFKA_BOOTSTRAP`) is asked
whether it is ready and otherwise left alone; the others are `stack.local`'s, or `stack.docker`'s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ranking.errors import StackError
from ranking.refusal import without_login
from ranking.settings import get_settings
from stack import docker, local
from stack.bundle import DEFAULT_VERSION, resolve_version
from stack.elasticsearch import Elasticsearch
from stack.endpoint import ENGINES, Endpoint
from stack.engine import Engine, NotReady
from stack.kafka import Kafka
from stack.local import Options
from stack.logs import read
from stack.paths import remove_home
from stack.progress import note
from stack.record import ADDRESS_KEYS, Entry, Record, locked
from stack.secure import Security
from stack.triton import Triton

EXTERNAL_PATIENCE_S = 10.0  # how long an engine that the environment names may take to answer


def up(
    engines: Iterable[str] = (),
    *,
    options: Options | None = None,
    state_dir: Path | None = None,
    use_docker: bool = False,
) -> dict[str, Endpoint]:
    """Start the engines that do not run yet, in parallel, and wait until all are ready.

    Args:
        engines: names from ENGINES; all three where empty.
        options: how to start what is not running.
        state_dir: where records, logs and data lie; the settings' folder where None.
        use_docker: start containers of compose.yaml in place of local processes.

    Returns:
        One endpoint per engine, by name.

    Raises:
        StackError: an engine cannot be fetched or started, or does not answer.
    """
    names = _names(engines)
    options = options or Options()
    state = _state_dir(state_dir)
    record = Record(state)
    cancel = threading.Event()
    with locked(state / "stack.lock", "waiting for another `rank-cli stack` in this folder"):
        made = {name: _engine(name, options, state, record) for name in names}
        given = {name: address for name in names if (address := _external(name))}
        found = {name: _check_external(name, address, made[name]) for name, address in given.items()}
        ours = [name for name in names if name not in given]
        if use_docker and ours:
            if options.es_secure and "elasticsearch" in ours:
                raise StackError("Elasticsearch", "has no --secure as a container", hint="leave --docker out")
            found |= docker.up(ours, record)
            return {name: found[name] for name in names}
        with ThreadPoolExecutor(max_workers=len(ENGINES)) as pool:
            futures = {
                name: pool.submit(local.ensure, made[name], state, record, options, cancel) for name in ours
            }
            try:
                failures = [e for future in futures.values() if (e := future.exception())]
            except BaseException:  # Ctrl-C: end what is being started, keep what runs
                cancel.set()
                raise
        for failure in failures[1:]:
            note(f"error: {failure}")
        if failures:
            raise failures[0]
        found |= {name: future.result() for name, future in futures.items()}
    return {name: found[name] for name in names}


def down(engines: Iterable[str] = (), *, state_dir: Path | None = None, purge: bool = False) -> list[str]:
    """Stop what `up` started, and nothing else.

    Args:
        engines: names from ENGINES; all three where empty.
        state_dir: as for `up`.
        purge: delete data and logs too.

    Returns:
        Names of the engines that were stopped.
    """
    state = _state_dir(state_dir)
    record = Record(state)
    names = _names(engines)
    with locked(state / "stack.lock", "waiting for another `rank-cli stack` in this folder"):
        entries = record.entries()
        with ThreadPoolExecutor(max_workers=len(ENGINES)) as pool:
            stopped = list(pool.map(lambda name: _stop(name, entries.get(name), state), names))
        for name in names:
            record.remove(name)
            if purge:
                remove_home(state, name)
    return [name for name, was_running in zip(names, stopped, strict=True) if was_running]


def status(engines: Iterable[str] = (), *, state_dir: Path | None = None) -> dict[str, Endpoint]:
    """How each engine is, by name. Starts nothing."""
    state = _state_dir(state_dir)
    record = Record(state)
    names = _names(engines)
    with ThreadPoolExecutor(max_workers=len(ENGINES)) as pool:
        return dict(zip(names, pool.map(lambda name: _look(name, state, record), names), strict=True))


def logs(
    engine: str, *, lines: int = 50, follow: bool = False, state_dir: Path | None = None
) -> Iterator[str]:
    """The last lines of an engine's log, whether it runs or not; with `follow`, then what is added.

    Raises:
        StackError: it never ran here.
    """
    (name,) = _names([engine])
    state = _state_dir(state_dir)
    entry = Record(state).get(name)
    if entry and entry.docker:
        yield from docker.logs(name, lines, follow=follow)
        return
    log = local.log_path(state / name, name)
    if not log.exists():
        raise StackError(_title(name), "has no log here", hint=f"start it with `rank-cli stack up {name}`")
    yield from read(log, lines=lines, follow=follow)


def _names(engines: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(engines)) or list(ENGINES)
    if unknown := [name for name in wanted if name not in ENGINES]:
        raise StackError(
            "stack", f"no engine is called {unknown[0]!r}", hint=f"take any of {', '.join(ENGINES)}"
        )
    return wanted


def _state_dir(given: Path | None) -> Path:
    state = given or get_settings().state_dir
    state.mkdir(parents=True, exist_ok=True)
    return state.resolve()


def _title(name: str) -> str:
    return {"elasticsearch": Elasticsearch.title, "triton": Triton.title, "kafka": Kafka.title}[name]


def _external(name: str) -> str | None:
    """The address the environment names."""
    address = getattr(get_settings(), ADDRESS_KEYS[name])
    return str(address) if address else None


def _engine(name: str, options: Options, state: Path, record: Record) -> Engine:
    """The engine as asked for; what was not asked for is as it was when it last started."""
    entry = record.get(name)
    before = entry.options if entry else {}
    match name:
        case "elasticsearch":
            wanted = options.es_version or before.get("version") or DEFAULT_VERSION
            secure = before.get("security") == "on" if options.es_secure is None else options.es_secure
            return Elasticsearch(
                version=resolve_version(wanted),
                heap=options.es_heap,
                security=Security(state / name / "secure") if secure else None,
                plugin=before.get("plugin") != "off" if options.es_plugin is None else options.es_plugin,
            )
        case "triton":
            earlier = Path(before["model_repository"]) if "model_repository" in before else None
            repository = options.model_repository or earlier or state / "triton" / "models"
            return Triton(model_repository=repository.resolve())
        case _:
            return Kafka(heap=options.kafka_heap)


def _check_external(name: str, address: str, engine: Engine) -> Endpoint:
    """An engine that the environment names must be ready; it is not ours to start."""
    deadline = time.monotonic() + EXTERNAL_PATIENCE_S
    while True:
        try:
            version = engine.probe(address, None)
        except NotReady as e:
            if time.monotonic() > deadline:
                variable = ADDRESS_KEYS[name].upper()
                raise StackError(
                    engine.title,
                    f"{variable} names {without_login(address)}, which is not ready: {e}",
                    hint=f"start that server, or unset {variable} to use a local one",
                ) from e
            time.sleep(0.5)
        else:
            return Endpoint(engine=name, address=address, version=version, managed=False)


def _look(name: str, state: Path, record: Record) -> Endpoint:
    engine = _engine(name, Options(), state, record)
    if address := _external(name):
        try:
            version = engine.probe(address, None)
        except NotReady:
            return Endpoint(engine=name, address=address, managed=False, state="not answering")
        return Endpoint(engine=name, address=address, version=version, managed=False)
    entry = record.get(name)
    if entry is None or not (entry.docker or entry.process.alive):
        log = local.log_path(state / name, name)
        return Endpoint(engine=name, address=None, state="stopped", log=log if log.exists() else None)
    try:
        engine.probe(entry.address, entry.ports)
    except NotReady:
        return replace(local.endpoint_of(name, entry, started=False), state="not answering")
    if local.defect_of(engine, entry):
        return replace(local.endpoint_of(name, entry, started=False), state="broken")
    return local.endpoint_of(name, entry, started=False)


def _stop(name: str, entry: Entry | None, state: Path) -> bool:
    """Stop one engine; whether anything ran."""
    if entry and entry.docker:
        docker.down(name)
        return True
    return local.stop(name, entry, state)
