"""`rank-cli`: one module per noun. A command parses, calls and prints; the work is done elsewhere.

Nothing heavy is imported here: a noun's module imports typer and the standard library only, and each
command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from typing import Final

import typer

from ranking.errors import RankError

# Top-level commands: `apply-boost` is the function apply_boost of the module apply_boost.
COMMANDS: Final = ("demo", "doctor", "apply-boost", "search", "serve", "similar")
NOUNS: Final = (
    "stack",
    "templates",
    "index",
    "boost",
    "plugin",
    "scorer",
    "ingest",
    "replay",
    "ab",
    "rollout",
    "loadtest",
    "monitor",
)


def app_of(names: tuple[str, ...]) -> typer.Typer:
    """The application with these commands and nouns registered."""
    app = typer.Typer(
        name="rank-cli",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def _root() -> None:
        """Boost Elasticsearch ranking with an image-quality score, and replay any past search exactly."""

    for name in names:
        module = import_module(f"ranking.cli.{name.replace('-', '_')}")
        if name in COMMANDS:
            app.command(name)(getattr(module, name.replace("-", "_")))
        else:
            app.add_typer(module.app, name=name)
    return app


@cache
def full_app() -> typer.Typer:
    """The application with everything registered."""
    return app_of(COMMANDS + NOUNS)


def _asked_app() -> typer.Typer:
    """The application with what the command line names: the others need not be loaded for it."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    if first in COMMANDS + NOUNS and not any(name.endswith("_COMPLETE") for name in os.environ):
        return app_of((first,))
    return full_app()


def main() -> None:
    """Entry point of `rank-cli`: exit 0 done, 1 error, 2 `--check` found something.

    What is printed of an error, tracebacks included, holds no secret that the process was given.
    """
    try:
        _asked_app()()
    except Exception as e:
        from traceback import format_exception

        from ranking.cli._errors import explain_error
        from ranking.secret import hide

        plain = isinstance(e, RankError) and not os.environ.get("RANK_DEBUG")
        text = (
            explain_error(e) if plain and isinstance(e, RankError) else "".join(format_exception(e)).rstrip()
        )
        print(hide(text), file=sys.stderr)
        raise SystemExit(1) from None


__all__ = ["app_of", "full_app", "main"]
