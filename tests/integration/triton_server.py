"""A Triton of its own for tests that load models into it, crowd it or kill it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ranking.errors import StackError
from scorer.serving import Exported, ScoreClient, ServingOptions, load_into, write_repository
from stack import Options, down, up
from tests.integration.conftest import missing

MODEL = os.environ.get("RANK_TEST_MODEL", "compact")  # any scorer folder will do


Write = Callable[[Path], Exported]  # writes a model into the repository at a path


def _torch(repository: Path) -> Exported:
    return write_repository(repository, MODEL, options=ServingOptions())


class TritonServer:
    """Started over a fresh repository that holds `MODEL`; can be killed and started again."""

    def __init__(self, folder: Path, write: Write | None = None) -> None:
        self.repository = folder / "models"
        self._state = folder / "state"
        self.exported: Exported = (write or _torch)(self.repository)
        self.start()

    def start(self) -> None:
        options = Options(model_repository=self.repository)
        endpoint = up(["triton"], options=options, state_dir=self._state)["triton"]
        assert endpoint.address is not None
        assert endpoint.pid is not None
        self.url, self.pid = endpoint.address, endpoint.pid

    def kill(self) -> None:
        os.kill(self.pid, 9)

    def load(self, exported: Exported | None = None) -> ScoreClient:
        return load_into(exported or self.exported, self.url)

    def stop(self) -> None:
        down(["triton"], state_dir=self._state, purge=True)


@contextmanager
def own_triton(folder: Path, write: Write | None = None) -> Iterator[TritonServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TRITON_URL", raising=False)
        try:
            server = TritonServer(folder, write)
        except StackError as e:
            missing(str(e))
            raise
        try:
            yield server
        finally:
            server.stop()
