"""Local processes: started once, found again, stopped by pid.

A pid alone is not a name, since the kernel hands it out again; a process is its pid and the moment it
began. Each engine also carries `RANK_STACK=<state folder>:<engine>` in its environment, by which its
children, and engines whose record was lost, are found (where there is a /proc).
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARKER = "RANK_STACK"
PROC = Path("/proc")
FRAME = re.compile(r"\s+(at [\w.$/@-]+\(|at [\w.]+/|\.\.\. \d+ more)")

# Popen handles of what this interpreter started, kept so that its dead children are reaped.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Process:
    """A process that can be told from a later one with the same pid."""

    pid: int
    began: str  # when it began, in the words of the operating system; "" where it is gone

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has `pid` now."""
        return cls(pid, began(pid) or "")

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return bool(self.began) and began(self.pid) == self.began


def began(pid: int) -> str | None:
    """When the process with `pid` began; None where there is none, or only a zombie."""
    if child := _children.get(pid):
        child.poll()
    if not PROC.is_dir():
        return _began_by_ps(pid)
    try:
        # The command's name, in parentheses, may hold spaces: what follows it is split.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except (OSError, IndexError):
        return None
    state, ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{ticks}"


def _began_by_ps(pid: int) -> str | None:
    said = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return said.stdout.strip() or None


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    marker: str,
    env: Mapping[str, str],
    cwd: Path,
    user: tuple[int, int] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, so that Ctrl-C in a terminal does not reach it.

    Args:
        command: program and arguments.
        log: file that its output is appended to.
        marker: value of RANK_STACK, for `marked`.
        env: what is added to our environment.
        cwd: its working directory.
        user: (uid, gid) to run as, where that is not us.
    """
    with log.open("ab") as sink:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **env, MARKER: marker},
            start_new_session=True,
            user=user[0] if user else None,
            group=user[1] if user else None,
            extra_groups=[] if user else None,
        )
    _children[child.pid] = child
    return child


def give(path: Path, user: tuple[int, int]) -> None:
    """Make a folder and what is in it belong to `user`."""
    for entry in (path, *path.rglob("*")):
        os.chown(entry, *user, follow_symlinks=False)


def marked(marker: str) -> list[int]:
    """Pids of all processes started with this marker, their children included."""
    wanted = f"{MARKER}={marker}".encode()
    found = []
    for entry in PROC.glob("[0-9]*") if PROC.is_dir() else ():
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0") and began(int(entry.name)):
                found.append(int(entry.name))
    return found


def count(*words: str) -> int:
    """How many processes run whose command line holds all of these."""
    found = 0
    for entry in PROC.glob("[0-9]*") if PROC.is_dir() else ():
        with contextlib.suppress(OSError):  # a zombie has no command line
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found += all(word in line for word in words)
    return found


def stop(processes: Iterable[Process], *, patience_s: float) -> None:
    """Ask each process to end (SIGTERM); after `patience_s`, make it (SIGKILL)."""
    waiting = [p for p in processes if p.alive]
    for sign, seconds in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 10.0)):
        for process in waiting:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, sign)
        deadline = time.monotonic() + seconds
        while (waiting := [p for p in waiting if p.alive]) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not waiting:
            return


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log; empty where there is none."""
    try:
        with log.open("rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - 400 * lines))
            text = f.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def reasons(log: Path, lines: int = 15) -> str:
    """The last lines of a log that a person would read: stack frames of Java are left out."""
    said = [line for line in tail(log, 400).splitlines() if not FRAME.match(line)]
    return "\n".join(line[:300] for line in said[-lines:])
