"""The same three engines as containers of `compose.yaml`, where a Docker engine answers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from ranking.errors import StackError
from stack.endpoint import Endpoint
from stack.record import Entry, Record

ADDRESSES = {
    "elasticsearch": "http://127.0.0.1:9200",
    "triton": "127.0.0.1:8001",
    "kafka": "127.0.0.1:9092",
}
PORTS = {
    "elasticsearch": {"http": 9200},
    "triton": {"grpc": 8001, "http": 8000, "metrics": 8002},
    "kafka": {"broker": 9092},
}


def up(engines: Sequence[str], record: Record) -> dict[str, Endpoint]:
    """Start containers and wait until Docker calls them healthy.

    Raises:
        StackError: no Docker engine answers, or a container does not start.
    """
    require_engine()
    running = {name for name in engines if (entry := record.get(name)) and entry.docker}
    for name in engines:
        entry = record.get(name)
        if entry and not entry.docker and entry.process.alive:
            raise StackError(
                name.capitalize(),
                f"runs already as a local process (pid {entry.pid})",
                hint=f"`rank-cli stack down {name}`, then start it with --docker again",
            )
    _compose(["up", "--detach", "--wait", *engines])
    found = {}
    for name in engines:
        record.put(name, Entry(address=ADDRESSES[name], log="", ports=PORTS[name], docker=True))
        found[name] = Endpoint(engine=name, address=ADDRESSES[name], started=name not in running)
    return found


def down(engine: str) -> None:
    """Stop and remove one container; its volume stays."""
    _compose(["rm", "--stop", "--force", engine])


def logs(engine: str, lines: int, *, follow: bool = False) -> Iterator[str]:
    """The last lines that a container printed; with `follow`, then each new one."""
    command = ["docker", "compose", "--file", str(compose_file()), "logs", "--no-log-prefix"]
    command += ["--tail", str(lines), *(["--follow"] if follow else []), engine]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        yield from (line.rstrip("\n") for line in child.stdout or ())


def require_engine() -> None:
    """Make sure that a Docker engine answers.

    Raises:
        StackError: none does.
    """
    hint = "start Docker, or leave --docker out: the engines then run as local processes"
    if shutil.which("docker") is None:
        raise StackError("Docker", "`docker` is not on the PATH", hint=hint)
    for question, no in ((["info"], "no engine answers"), (["compose", "version"], "has no compose plugin")):
        try:
            answer = subprocess.run(["docker", *question], capture_output=True, timeout=20, check=False)
        except subprocess.TimeoutExpired:
            raise StackError("Docker", no, hint=hint) from None
        if answer.returncode != 0:
            raise StackError("Docker", no, hint=hint)


def compose_file() -> Path:
    """`compose.yaml` of the checkout.

    Raises:
        StackError: there is none here.
    """
    for folder in (Path.cwd(), Path(__file__).resolve().parent.parent):
        if (folder / "compose.yaml").is_file():
            return folder / "compose.yaml"
    raise StackError("Docker", "compose.yaml is not here", hint="run this in a checkout of the project")


def _compose(arguments: Sequence[str]) -> str:
    done = subprocess.run(
        ["docker", "compose", "--file", compose_file(), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(
            "Docker",
            f"`docker compose {arguments[0]}` failed",
            hint="read what it said and try again",
            log_tail="\n".join(done.stderr.splitlines()[-15:]),
        )
    return done.stdout
