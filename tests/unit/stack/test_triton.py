import importlib.util

import pytest

from ranking.errors import StackError
from stack import triton


def test_a_missing_wheel_says_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StackError, match="nvidia-pytriton") as caught:
        triton._wheel()
    assert "TRITON_URL" in caught.value.hint


def test_a_python_without_a_stub_names_those_that_have_one(monkeypatch, tmp_path):
    stubs = tmp_path / "pytriton" / "tritonserver" / "python_backend_stubs"
    for version in ("3.10", "3.9"):
        (stubs / version).mkdir(parents=True)
    spec = type("Spec", (), {"origin": str(tmp_path / "pytriton" / "__init__.py")})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(StackError, match=rf"no stub for Python {triton.PYTHON}, only for 3\.9, 3\.10"):
        triton._wheel()
