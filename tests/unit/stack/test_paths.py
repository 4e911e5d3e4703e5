import os
import shutil

import pytest

from stack import paths
from stack.paths import cache_dir, engine_home, open_to_all, remove_home

US = (os.getuid(), os.getgid())


@pytest.fixture
def shared(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "SHARED_STATE", tmp_path / "var")
    return tmp_path / "var"


def test_under_root_a_cache_that_others_cannot_enter_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "running_as_root", lambda: True)
    monkeypatch.setattr(paths, "SHARED_CACHE", tmp_path / "var-cache")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(closed))
    assert not open_to_all(closed)
    assert cache_dir() == tmp_path / "var-cache"


def test_without_another_user_the_home_is_in_the_state_folder(state, shared):
    assert engine_home(state, "kafka") == state / "kafka"


def test_for_another_user_the_home_is_elsewhere_and_linked(state, shared):
    home = engine_home(state, "elasticsearch", owner=US)
    assert home.is_relative_to(shared)
    assert (state / "elasticsearch").resolve() == home
    (home / "data").mkdir()
    assert engine_home(state, "elasticsearch", owner=US) == home
    assert (home / "data").is_dir()


def test_what_a_deleted_state_folder_left_does_not_come_back(state, shared):
    home = engine_home(state, "elasticsearch", owner=US)
    (home / "data").mkdir()
    (state / "elasticsearch").unlink()
    assert list(engine_home(state, "elasticsearch", owner=US).iterdir()) == []


def test_a_home_that_was_deleted_is_made_again(state, shared):
    home = engine_home(state, "elasticsearch", owner=US)
    shutil.rmtree(shared)
    assert engine_home(state, "elasticsearch", owner=US) == home
    assert home.is_dir()


def test_a_home_from_before_is_moved_and_kept(state, shared):
    (engine_home(state, "elasticsearch") / "data").mkdir()
    assert (engine_home(state, "elasticsearch", owner=US) / "data").is_dir()


def test_a_copied_checkout_gets_a_home_of_its_own(state, shared, tmp_path):
    original = engine_home(state, "elasticsearch", owner=US)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "elasticsearch").symlink_to(original)
    assert engine_home(copy, "elasticsearch", owner=US) != original
    assert original.is_dir()


def test_purge_deletes_its_own_home_and_no_other(state, shared, tmp_path):
    original = engine_home(state, "elasticsearch", owner=US)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "elasticsearch").symlink_to(original)
    remove_home(copy, "elasticsearch")
    assert original.is_dir()
    remove_home(state, "elasticsearch")
    assert not original.parent.exists()
    assert not (state / "elasticsearch").is_symlink()


def test_what_deleted_state_folders_left_is_swept(state, shared, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    left = engine_home(gone, "elasticsearch", owner=US)
    (gone / "elasticsearch").unlink()
    gone.rmdir()
    engine_home(state, "elasticsearch", owner=US)
    assert not left.exists()
