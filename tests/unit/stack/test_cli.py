import json

import pytest
import yaml
from typer.testing import CliRunner

import stack
from ranking.cli.stack import app
from ranking.errors import StackError
from stack import Endpoint, docker

run = CliRunner().invoke


def test_up_prints_one_json_object_on_stdout(monkeypatch):
    asked = {}

    def up(engines, *, options, use_docker):
        asked.update(engines=engines, ports=options.ports, docker=use_docker)
        return {
            "kafka": Endpoint(engine="kafka", address="127.0.0.1:9092", pid=7, started=True, version="4.3.1")
        }

    monkeypatch.setattr(stack, "up", up)
    result = run(app, ["up", "kafka", "--kafka-port", "9092", "--format", "json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["engines"][0] == {
        "engine": "kafka",
        "state": "ready",
        "address": "127.0.0.1:9092",
        "version": "4.3.1",
        "pid": 7,
        "started": True,
        "managed": True,
        "log": None,
    }
    assert asked == {"engines": ["kafka"], "ports": {"kafka": 9092}, "docker": False}


def test_status_of_nothing_is_a_table_of_stopped_engines():
    result = run(app, ["status"])
    assert result.exit_code == 0
    assert result.stdout.count("stopped") == 3


def test_down_of_nothing_says_so_on_stderr():
    result = run(app, ["down"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing of ours was running" in result.stderr


def test_docker_without_an_engine_is_one_sentence(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StackError, match="Docker: `docker` is not on the PATH") as caught:
        docker.require_engine()
    assert "leave --docker out" in caught.value.hint


def test_containers_listen_where_the_record_says_and_on_this_machine_only():
    services = yaml.safe_load(docker.compose_file().read_text())["services"]
    assert set(services) == set(stack.ENGINES)
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        published = {int(port.split(":")[1]) for port in service["ports"]}
        assert published == set(docker.PORTS[name].values())
        assert service["healthcheck"]
