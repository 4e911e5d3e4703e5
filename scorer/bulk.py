"""Bulk requests to Elasticsearch, sent again for what may pass: what the ingest and the backfill share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import stamina

from ranking.errors import ServerError

T = TypeVar("T")
ENGINE: Final = "Elasticsearch"
PASSING_STATUS: Final = frozenset({429, 502, 503, 504})
PASSING_TYPES: Final = frozenset({"cluster_block_exception", "unavailable_shards_exception"})
FATAL_TYPES: Final = frozenset({"index_not_found_exception", "security_exception"})


class _TryAgain(Exception):
    """Something was refused that may be taken later."""


def send_until_taken(
    pending: Sequence[T],
    send: Callable[[Sequence[T]], tuple[Sequence[T], str]],
    *,
    what: str,
    wait_s: float | None,
    stop: threading.Event | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> None:
    """Send, and again with jittered backoff what `send` gives back.

    Args:
        pending: what is to be written.
        send: sends once; gives back what to send again, and why.
        what: its name in an error, in the plural.
        wait_s: how long to go on; None for ever, 0 sends once.
        stop: once set, ends at the next failed attempt.
        on_wait: told why, when waiting begins.

    Raises:
        ServerError: something is left after `wait_s`.
    """
    told = False

    def again(error: Exception) -> bool:
        nonlocal told
        if not isinstance(error, _TryAgain) or (stop is not None and stop.is_set()):
            return False
        if on_wait and not told:
            on_wait(f"{ENGINE}: {error}")
        told = True
        return True

    try:
        for attempt in stamina.retry_context(
            on=again,
            attempts=1 if wait_s == 0 else None,
            timeout=wait_s or None,
            wait_initial=0.2,
            wait_max=5.0,
            wait_jitter=1.0,
        ):
            with attempt:
                pending, why = send(pending)
                _raise_if(pending, why)
    except _TryAgain as e:
        raise ServerError(
            ENGINE,
            f"{len(pending)} {what} are not written yet: {e}",
            hint="nothing is lost; run `rank-cli stack status`, then the same command again",
        ) from e


def _raise_if(pending: Sequence[object], why: str) -> None:
    if pending:
        raise _TryAgain(why)


__all__ = ["ENGINE", "FATAL_TYPES", "PASSING_STATUS", "PASSING_TYPES", "send_until_taken"]
