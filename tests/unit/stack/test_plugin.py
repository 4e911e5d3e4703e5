"""The plugin's builds: for which server, of which sources."""

import re
import shutil
import tomllib
import zipfile
from pathlib import Path

import pytest

from ranking.errors import StackError
from stack import plugin

ROOT = Path(__file__).parents[3]


def server(folder, *jars):
    (folder / "lib").mkdir(parents=True)
    for jar in jars:
        (folder / "lib" / jar).touch()
    return folder


def test_the_version_is_that_of_the_servers_jar_and_not_of_its_neighbours(tmp_path):
    home = server(
        tmp_path / "es", "elasticsearch-cli-9.9.9.jar", "elasticsearch-9.4.3.jar", "lucene-core-10.4.0.jar"
    )
    assert plugin.server_version(home) == "9.4.3"


def test_a_folder_that_is_no_server_is_named_with_what_to_give_instead(tmp_path):
    with pytest.raises(StackError, match="is not the folder of an Elasticsearch server") as refused:
        plugin.server_version(tmp_path)
    assert "bin, lib and modules" in refused.value.hint


def test_a_build_for_another_version_is_not_installed(tmp_path):
    home = server(tmp_path / "es", "elasticsearch-9.4.4.jar")
    made = plugin.Build(tmp_path / "x.zip", "9.4.3", "abc")
    with pytest.raises(StackError, match=r"built for 9\.4\.3, and .* is 9\.4\.4"):
        plugin.install(made, home)


def test_other_sources_are_another_build_and_their_tests_are_not(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "plugin", tmp_path / "plugin", ignore=shutil.ignore_patterns("target"))
    monkeypatch.setattr(plugin, "SOURCES", tmp_path / "plugin")
    before = plugin._digest()
    next((tmp_path / "plugin" / "src" / "test").rglob("*.java")).write_text("// changed")
    assert plugin._digest() == before
    next((tmp_path / "plugin" / "src" / "es8").rglob("*.java")).write_text("// changed")
    assert plugin._digest() != before


def test_without_the_sources_the_sentence_says_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin, "SOURCES", tmp_path)
    with pytest.raises(StackError, match="they come with a checkout"):
        plugin.build(server(tmp_path / "es", "elasticsearch-9.4.3.jar"))


def test_an_earlier_version_is_replaced_whole(tmp_path):
    (tmp_path / "plugins" / plugin.NAME).mkdir(parents=True)
    (tmp_path / "plugins" / plugin.NAME / "rank-boost-old.jar").touch()
    archive = tmp_path / "new.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("plugin-descriptor.properties", "name=rank-boost")
    folder = plugin.unpack(archive, tmp_path)
    assert [path.name for path in folder.iterdir()] == ["plugin-descriptor.properties"]


def test_plugin_and_toolkit_have_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    pom = (ROOT / "plugin" / "pom.xml").read_text()
    assert re.search(r"<artifactId>rank-boost</artifactId>\s*<version>(.*?)</version>", pom)[1] == version
