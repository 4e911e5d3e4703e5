from __future__ import annotations

from pathlib import Path

import pytest

from marketplace import Marketplace, generate

NOW_MS = 1_760_000_000_000


@pytest.fixture(scope="session")
def town() -> Marketplace:
    """A marketplace without photos: quick."""
    return generate(1200, 120, seed=7, now_ms=NOW_MS, photo_dir=None)


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered")
