"""Apache Beam, where it is installed: which runners there are, and the local one with worker processes."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any, Final

from ranking.errors import InputError, RankError

RUNNERS: Final = {
    "direct": "DirectRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
    "dataflow": "DataflowRunner",
    "portable": "PortableRunner",
    "prism": "PrismRunner",
}
_SECRET = re.compile(r"passw|secret|token|credential|api[_-]?key", re.IGNORECASE)
_WHERE = re.compile(r"\s*\[while running .*\]$", re.DOTALL)
_CLASS = re.compile(r"^(?:[\w.]+\.)?(?:\w+(?:Error|Exception)): ")


def require_beam(otherwise: str) -> Any:
    """The `apache_beam` module, its chatter at import and later switched off.

    Args:
        otherwise: what can be done without it, for the hint; empty where nothing can.

    Raises:
        InputError: it is not installed.
    """
    logging.getLogger().setLevel(logging.ERROR)  # Beam says at import what is not installed, and more later
    if not os.environ.get("RANK_DEBUG"):
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # an error is raised too: said once
    try:
        import apache_beam
    except ImportError as e:
        hint = "pip install 'rank-toolkit[ingest]'" + (f", or {otherwise}" if otherwise else "")
        raise InputError("a Beam runner needs Apache Beam", hint=hint) from e
    return apache_beam


def check_runner(runner: str, others: Sequence[str] = ()) -> None:
    """See that there is such a runner.

    Raises:
        InputError: there is none; the hint names those that there are.
    """
    if runner not in RUNNERS:
        known = ", ".join([*others, *RUNNERS])
        raise InputError(f"there is no runner {runner!r}", hint=f"there are {known}")


def check_options(options: Sequence[str]) -> None:
    """Refuse flags that carry a secret: runners log their options, and show them on their pages.

    Raises:
        InputError: such a flag; its value is not repeated.
    """
    for option in options:
        name = option.partition("=")[0]
        if not name.startswith("--"):
            raise InputError(f"a flag for Beam begins with --, and {name!r} does not")
        if _SECRET.search(name):
            raise InputError(
                f"{name} looks like a secret, and runners log their options",
                hint="give workers their secrets in the environment; docs/backfill.md says how",
            )


def new_pipeline(flags: Sequence[str], engine: Any = None) -> Any:
    """A pipeline with these flags.

    Args:
        flags: of Beam and of the runner.
        engine: a runner, or its name; what the flags name where None.

    Raises:
        InputError: the runner lacks flags, or refuses some.
    """
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions

    try:
        return apache_beam.Pipeline(engine, PipelineOptions(list(flags)))
    except (ValueError, ImportError) as e:
        said = " ".join(line.strip() for line in str(e).splitlines() if line.strip())
        raise InputError(f"Beam: {said}", hint="docs/backfill.md has the flags of each runner") from e


def worker_processes() -> Any:
    """The DirectRunner that starts worker processes, whose chatter goes nowhere.

    Named by its class: the name DirectRunner may mean one that fetches a binary, or that works on one thread.
    """
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    command = f"{shlex.quote(sys.executable)} -m apache_beam.runners.worker.sdk_worker_main 2>{os.devnull}"
    return FnApiRunner(default_environment=SubprocessSDKEnvironment.from_command_string(command))


def in_this_process() -> Any:
    """The DirectRunner that works in this process, on one thread."""
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

    return FnApiRunner()


def worker_failed(error: Exception) -> RankError:
    """What a worker said, without its traceback: an error that crossed Beam arrives as text."""
    text = _WHERE.sub("", str(error).strip())
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return RankError(f"a worker failed: {_CLASS.sub('', said[-1]) if said else error}")


__all__ = [
    "RUNNERS",
    "check_options",
    "check_runner",
    "in_this_process",
    "new_pipeline",
    "require_beam",
    "worker_failed",
    "worker_processes",
]
