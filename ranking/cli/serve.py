"""`rank-cli serve`: the workbench, a page for engineers on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import (
    AtOption,
    IndexOption,
    PhotosRoot,
    PlatformOption,
    check_platform,
    clock,
    index_name,
    profile_named,
)

if TYPE_CHECKING:
    from ranking.profile import Profile


def serve(
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile",
            help="File, shipped or published name, or NAME@VERSION, to choose from; the first two are "
            "baseline and contender. Files are read anew at every search.",
        ),
    ] = None,
    captures: Annotated[
        Path | None,
        typer.Option(
            "--captures", exists=True, file_okay=False, help="Capture folder whose searches can be replayed."
        ),
    ] = None,
    reports: Annotated[
        Path | None,
        typer.Option(
            "--reports", exists=True, file_okay=False, help="Folder of replay reports (*.html) to open."
        ),
    ] = None,
    photos_root: PhotosRoot = None,
    allow_save: Annotated[
        Path | None,
        typer.Option(
            "--allow-save",
            metavar="DIR",
            file_okay=False,
            help="The page may save profiles here, as new files; without it, it is read-only.",
        ),
    ] = None,
    platform: PlatformOption = None,
    at: AtOption = None,
    host: Annotated[str, typer.Option("--host", help="Address of this machine to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8642,
    allow_remote: Annotated[
        bool,
        typer.Option("--allow-remote", help="--host may be reached from other machines: it has no login."),
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Serve the workbench: search live, compare profiles, move sliders, replay captured searches.

    A page on this machine, read-only unless --allow-save names a folder; Ctrl-C stops it.

    Example: rank-cli serve --index rank-demo --photos-root .rank/demo/photos --captures .rank/demo/captures
    """
    _check_installed()
    from ranking.errors import ServerError
    from ranking.es import connect
    from workbench import Workbench, listen

    workbench = Workbench(
        open_cluster=connect,
        index=index_name(index),
        given=_given(profile or []),
        platform=check_platform(platform),
        at_ms=None if at is None else clock(at),
        photos_root=photos_root,
        captures_folder=captures,
        reports_folder=reports,
        save_folder=allow_save,
    )
    server = listen(workbench, host, port, allow_remote=allow_remote)
    try:
        connect().close()
    except ServerError as e:
        if captures is None and reports is None:
            raise
        out.note(f"no live search: {e}")
    for read in workbench.given.values():
        read()
    url = server.url if allow_save is None else server.url_to_save
    if fmt is out.Format.json:
        out.as_json({"url": url, "host": server.host, "port": server.port, "read_only": allow_save is None})
    else:
        out.raw(url)
    _flush()
    saving = "read-only" if allow_save is None else f"profiles are saved to {allow_save}"
    out.note(f"index {workbench.index}, {saving}; Ctrl-C stops it")
    if open_page:
        import webbrowser

        webbrowser.open(url)
    server.run()


def _given(names: list[str]) -> dict[str, Callable[[], Profile]]:
    from ranking.errors import InputError

    found: dict[str, Callable[[], Profile]] = {}
    for name in names:
        if _label(name) in found:
            raise InputError(f"--profile: two are called {_label(name)}", hint="rename one of the files")
        found[_label(name)] = _reader(name)
    return found


def _label(name: str) -> str:
    """A file is called by its name without the ending."""
    return Path(name).stem if "/" in name or name.endswith((".yaml", ".yml", ".json")) else name


def _reader(name: str) -> Callable[[], Profile]:
    def read() -> Profile:
        from ranking.errors import ConfigError
        from ranking.es import connect
        from ranking.profile import find_profile

        if "@" not in name:
            try:
                return find_profile(name)
            except ConfigError:
                if "/" in name or name.endswith((".yaml", ".yml", ".json")):
                    raise
        return profile_named(connect(), name)

    return read


def _flush() -> None:
    """The address must be seen before the server blocks, in a pipe too."""
    import sys

    sys.stdout.flush()


def _check_installed() -> None:
    """Raises InputError where the extra is not installed."""
    from importlib.util import find_spec

    from ranking.errors import InputError

    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise InputError("the workbench is not installed", hint="pip install 'rank-toolkit[serve]'")
