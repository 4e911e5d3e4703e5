"""The Chromium that pages are measured in."""

from __future__ import annotations

import shutil


def chromium() -> str:
    """Path of this machine's Chromium or Chrome.

    Raises:
        RuntimeError: there is none.
    """
    for name in ("chromium", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise RuntimeError("no Chromium; run `apt-get install chromium`")
