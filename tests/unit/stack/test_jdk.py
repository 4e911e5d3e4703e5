from pathlib import Path

import pytest

from ranking.errors import StackError
from stack import jdk


@pytest.fixture
def java(tmp_path, monkeypatch):
    """Make Java installations that answer as told; the system has no others."""
    folder = tmp_path / "jvm"
    folder.mkdir()
    monkeypatch.setattr(jdk, "JVM_FOLDERS", (folder,))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(jdk.shutil, "which", lambda name: None)

    def install(name: str, version: str, *, full: bool = True, into: Path = folder) -> Path:
        home = into / name
        (home / "bin").mkdir(parents=True)
        program = home / "bin" / "java"
        modules = "java.base@1" + ("\\njdk.jlink@1" if full else "")
        program.write_text(
            "#!/bin/sh\n"
            f'if [ "$1" = --list-modules ]; then printf "{modules}\\n"; '
            f"else echo 'openjdk version \"{version}\" 2026-01-01' >&2; fi\n"
        )
        program.chmod(0o755)
        return home

    return install


def test_the_newest_in_the_jvm_folder_is_taken(java):
    java("java-21-openjdk-amd64", "21.0.2")
    newest = java("temurin-25-jdk-amd64", "25")
    java("java-17-openjdk-amd64", "17.0.15")
    assert jdk.find_jdk("Elasticsearch").home == newest


def test_java_home_comes_first(java, tmp_path, monkeypatch):
    java("temurin-25-jdk", "25.0.3")
    mine = java("mine", "21.0.1", into=tmp_path)
    monkeypatch.setenv("JAVA_HOME", str(mine))
    assert jdk.find_jdk("Elasticsearch").home == mine


def test_an_unfit_java_home_is_passed_over(java, tmp_path, monkeypatch):
    fit = java("temurin-25-jdk", "25.0.3")
    monkeypatch.setenv("JAVA_HOME", str(java("mine", "17.0.1", into=tmp_path)))
    assert jdk.find_jdk("Elasticsearch").home == fit


def test_misfits_are_named_with_what_they_lack(java):
    java("java-17-openjdk", "17.0.15")
    java("jre-25", "25.0.1", full=False)
    with pytest.raises(StackError) as caught:
        jdk.find_jdk("Elasticsearch")
    assert "jre-25 is Java 25 without jdk.jlink" in str(caught.value)
    assert "java-17-openjdk is Java 17" in str(caught.value)
    assert "JAVA_HOME" in caught.value.hint


def test_no_java_at_all_says_what_to_install(java):
    with pytest.raises(StackError, match="needs a full JDK 21 or newer, and no Java was found") as caught:
        jdk.find_jdk("Elasticsearch")
    assert "temurin-25-jdk" in caught.value.hint


def test_java_8_counts_as_8(java):
    assert jdk.inspect(java("jdk1.8.0_392", "1.8.0_392")).version == 8


def test_a_jdk_that_the_engine_user_cannot_enter_is_passed_over(java, tmp_path):
    home = java("temurin-25-jdk", "25.0.3")
    home.chmod(0o700)
    assert jdk.find_jdk("Kafka").home == home
    with pytest.raises(StackError, match="in a folder closed to others"):
        jdk.find_jdk("Elasticsearch", for_other_user=True)
