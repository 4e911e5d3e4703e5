"""Folders of the stack: a cache shared by all checkouts, and the state of one checkout.

Elasticsearch refuses to run as root, so under root it runs as `nobody`, who cannot look into /root nor
into a checkout made by mktemp. Under root, then, the cache is /var/cache/rank-toolkit and what
Elasticsearch writes lies in /var/lib/rank-toolkit, linked from the state folder.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
from pathlib import Path

from ranking.errors import StackError
from stack.process import marked

SHARED_STATE = Path("/var/lib/rank-toolkit")
SHARED_CACHE = Path("/var/cache/rank-toolkit")
OWNER = "state_dir"  # file in a shared state folder that names the state folder it belongs to
GB = 1e9


def running_as_root() -> bool:
    """Whether this process is root."""
    return os.geteuid() == 0


def unprivileged_user() -> tuple[int, int] | None:
    """(uid, gid) an engine that refuses root is started with; None where we are not root."""
    if not running_as_root():
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return nobody.pw_uid, nobody.pw_gid


def cache_dir() -> Path:
    """Where downloads are kept. Made if missing; readable for every user under root."""
    base = os.environ.get("XDG_CACHE_HOME")
    cache = Path(base) / "rank-toolkit" if base else Path.home() / ".cache" / "rank-toolkit"
    if running_as_root() and not (base and open_to_all(Path(base))):
        cache = SHARED_CACHE
    cache.mkdir(parents=True, exist_ok=True)
    return cache.resolve()


def open_to_all(path: Path) -> bool:
    """Whether any user may pass through `path` and each folder above it."""
    path = path.resolve()
    existing = [p for p in (path, *path.parents) if p.exists()]
    return all(p.stat().st_mode & stat.S_IXOTH for p in existing)


def engine_home(state_dir: Path, engine: str, *, owner: tuple[int, int] | None = None) -> Path:
    """The folder `engine` writes in, made if missing.

    Args:
        state_dir: the state folder of this checkout.
        engine: name of the engine, also the folder's name.
        owner: the user it runs as, where that is not us; the folder is then under SHARED_STATE and
            `state_dir/engine` links to it.

    Raises:
        StackError: it belongs to another user.
    """
    link = state_dir / engine
    if owner is None:
        link.mkdir(parents=True, exist_ok=True)
        if not os.access(link, os.W_OK):
            raise StackError(
                engine.capitalize(),
                f"{link} belongs to another user",
                hint="run as that user, or set RANK_STATE_DIR to a folder of your own",
            )
        return link.resolve()
    target = _shared_home(state_dir, engine)
    if not (link.is_symlink() and link.resolve() == target and target.is_dir()):
        _sweep_shared()
        # The state folder was deleted or never was: what an earlier one left must not come back.
        remove_tree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        state_dir.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():  # copied from another checkout, whose data is not ours
            link.unlink()
        elif link.exists():  # from a time when we were not root
            shutil.move(link, target)
        target.mkdir(exist_ok=True)
        link.symlink_to(target)
        (target.parent / OWNER).write_text(str(state_dir.resolve()))
    target.mkdir(exist_ok=True)
    os.chown(target, *owner)
    return target


def remove_home(state_dir: Path, engine: str) -> None:
    """Delete what `engine` wrote for this checkout."""
    link = state_dir / engine
    if not link.is_symlink():
        remove_tree(link)
        return
    if link.resolve() == _shared_home(state_dir, engine):
        remove_tree(link.resolve())
        if _only_file(link.resolve().parent) == OWNER:
            remove_tree(link.resolve().parent)
    link.unlink()


def _shared_home(state_dir: Path, engine: str) -> Path:
    return SHARED_STATE / hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:12] / engine


def _only_file(folder: Path) -> str | None:
    names = [path.name for path in folder.iterdir()]
    return names[0] if len(names) == 1 else None


def _sweep_shared() -> None:
    """Delete what state folders left that no longer exist, unless an engine still runs on it."""
    for owner in SHARED_STATE.glob(f"*/{OWNER}"):
        state = Path(owner.read_text())
        if not state.exists() and not any(marked(f"{state}:{path.name}") for path in owner.parent.iterdir()):
            remove_tree(owner.parent)


def remove_tree(path: Path) -> None:
    """Delete a folder; nothing where there is none."""
    if path.exists():
        shutil.rmtree(path)


def require_space(engine: str, folder: Path, need_bytes: float) -> None:
    """Refuse before a disk runs full.

    Raises:
        StackError: fewer than `need_bytes` are free where `folder` is.
    """
    free = shutil.disk_usage(folder).free
    if free < need_bytes:
        raise StackError(
            engine,
            f"needs {need_bytes / GB:.1f} GB of free disk in {folder}, and {free / GB:.1f} GB are free",
            hint="free some space and run `rank-cli stack up` again; "
            "XDG_CACHE_HOME moves the downloads and RANK_STATE_DIR the data",
        )
