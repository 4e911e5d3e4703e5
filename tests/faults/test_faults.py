"""The faults that `make test` runs; `make faults` runs all of them, longer, and writes the figures down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ranking.errors import RankError
from tests.faults.catalogue import FAULTS, QUICK
from tests.faults.run import Ground, run_fault
from tests.integration.conftest import missing

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    try:
        made = Ground()
    except RankError as e:
        missing(str(e))
        raise
    yield made
    made.es.close()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="memory and pids are read in /proc")
@pytest.mark.parametrize("name", QUICK)
def test_nothing_is_lost_or_written_over_by_older_data(ground: Ground, name: str) -> None:
    fault = FAULTS[name]
    if outside := set(fault.kills) & set(ground.engines.external):
        pytest.skip(f"the environment names {', '.join(outside)}, which is not ours to kill")
    figures = run_fault(ground, fault, n_messages=300)
    assert figures.problems() == []
    assert (figures.duplicates, figures.out_of_order) == (14, 14)  # 5 % of 286 changes
    assert figures.published == 300 + figures.poison
