"""The demo: the main job, end to end, on real engines. `demo.road` is the main path, in the order it runs."""

from __future__ import annotations

from demo.road import DemoOptions, DemoResult, run_demo

__all__ = ["DemoOptions", "DemoResult", "run_demo"]
