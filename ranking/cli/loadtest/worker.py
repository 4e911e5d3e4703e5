"""`rank-cli loadtest worker`."""

from __future__ import annotations


def worker() -> None:
    """Send what a load test on another machine says, on standard input. Its --worker starts this here.

    Example: rank-cli loadtest worker, as in --worker "ssh load2 rank-cli loadtest worker"
    """
    import importlib.util
    import os
    import sys

    from loadtest import LoadError
    from loadtest.sender import WORKER
    from ranking.errors import InputError

    if sys.stdin.isatty():
        raise InputError(
            "a worker gets its work on standard input, from a load test",
            hint="give this command to its --worker, behind ssh or `kubectl exec -i`",
        )
    if importlib.util.find_spec("locust") is None:
        raise LoadError("Locust is not installed", hint="pip install 'rank-toolkit[loadtest]'")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", str(WORKER)])
