"""The W3C trace context of the caller, as headers of a request; Triton's trace mode continues it.

Where opentelemetry-api is not installed, or no span is current, there are none.
"""

from __future__ import annotations

from importlib import import_module


def trace_headers() -> dict[str, str]:
    """`traceparent`, and `tracestate` where there is one; empty outside a span."""
    try:
        propagate = import_module("opentelemetry.propagate")  # an option, not a requirement
    except ImportError:
        return {}
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


__all__ = ["trace_headers"]
