"""The command line as a user meets it: fast, helpful, and one sentence where something is wrong."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from docs.reference import TARGET, commands, reference
from ranking.cli import main
from ranking.settings import get_settings

HEAVY = (
    *("torch", "onnx", "onnxruntime", "locust", "apache_beam", "tritonclient", "open_clip", "faststream"),
    *("openai", "textblob", "starlette", "uvicorn"),
)


def process(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from ranking.cli import main; main()", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), **env},
        timeout=60,
    )


def rank_cli(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """What a process of its own would print and leave, from this one: its start is most of the time."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        for name, value in env.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["rank-cli", *words])
        get_settings.cache_clear()
        try:
            main()
            code = 0
        except SystemExit as e:
            code = int(e.code or 0)
        finally:
            get_settings.cache_clear()
    return subprocess.CompletedProcess(words, code, stdout.getvalue(), stderr.getvalue())


def cpu_seconds(*statements: str) -> list[float]:
    """User and system time of each, the cheapest of five runs in turn: engines start beside the tests."""
    cheapest = [float("inf")] * len(statements)
    for _ in range(5):
        for i, statement in enumerate(statements):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", statement], capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            cheapest[i] = min(cheapest[i], spent)
    return cheapest


def test_help_costs_little_more_than_its_parser() -> None:
    words = "import sys; sys.argv = ['rank-cli', {}'--help']; from ranking.cli import main; main()"
    bare, of_boost, of_all = cpu_seconds("import typer.main", words.format("'boost', "), words.format(""))
    assert of_boost < 4 * bare
    assert of_all < 7 * bare  # loads every noun


@pytest.mark.parametrize(
    "statement", ["from ranking.cli import full_app; full_app()", "import ranking, replay; ranking.Profile"]
)
def test_what_is_heavy_is_not_loaded(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("words", sorted(commands()), ids=" ".join)
def test_every_command_says_what_it_does_with_an_example(words: tuple[str, ...]) -> None:
    text = commands()[words].help or ""
    assert f"Example: rank-cli {' '.join(words)}" in " ".join(text.split())
    assert all(getattr(parameter, "help", "") for parameter in commands()[words].params)


def test_the_reference_is_that_of_the_code() -> None:
    assert TARGET.read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_print_query_gives_a_body_with_a_pinned_clock_and_needs_no_server() -> None:
    done = rank_cli("apply-boost", "additive", "--print-query", "red dress", "--at", "2026-11-20T09:00:00Z")
    body = json.loads(done.stdout)
    assert done.returncode == 0
    assert body["query"]["function_score"]["functions"][0]["gauss"]["created_at"]["origin"] == 1795165200000


def test_the_stored_body_names_its_script_and_sends_the_clock_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nexecution: script_score\nimage: {mode: additive, weight: 3}\n")
    at = ("--at", "1795165200000")
    done = rank_cli("apply-boost", str(path), "--print-query", "red dress", "--stored", *at)
    script = json.loads(done.stdout)["query"]["script_score"]["script"]
    assert set(script) == {"id", "params"}
    assert script["id"].startswith("rank-profile-mine-")
    assert f"runs {script['id']}" in done.stderr
    nested = rank_cli("apply-boost", "additive", "--print-query", "red dress", "--stored", *at)
    assert json.loads(nested.stdout)["query"]["function_score"]
    assert "the body is complete" in nested.stderr


def test_two_files_are_compared_without_a_server(tmp_path: Path) -> None:
    for name, weight in (("a", 3), ("b", 4)):
        (tmp_path / f"{name}.yaml").write_text(f"name: mine\nimage: {{mode: additive, weight: {weight}}}\n")
    sides = [str(tmp_path / f"{name}.yaml") for name in "ab"]
    env = {"ELASTICSEARCH_URL": "http://127.0.0.1:1", "RANK_STATE_DIR": str(tmp_path)}
    found = json.loads(rank_cli("boost", "diff", *sides, "--format", "json", **env).stdout)
    assert found["differences"] == [{"key": "image.weight", "before": 3.0, "after": 4.0}]
    assert not found["same_formula"]
    assert rank_cli("boost", "diff", *sides, **env).returncode == 0
    assert "the same formula" in rank_cli("boost", "diff", sides[0], sides[0], **env).stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("boost", "lint", "nothing.yaml"), 1, "no such file"),
        (("search", "x", "--at", "yesterday"), 1, "not a time"),
        (("search", "x", "--html", "x.html"), 1, "add --compare"),
        (("boost", "diff", "control", "nothing.yaml"), 1, "no such file"),
        (("boost", "rollback", "mine", "--yes"), 1, "nothing answers"),
        (("search", "x", "--platform", "fridge"), 1, "web, ios, android"),
        (("serve", "--port", "0"), 1, "nothing answers"),
        (("serve", "--host", "0.0.0.0", "--port", "0"), 1, "--allow-remote"),
        (("serve", "--profile", "nothing.yaml", "--reports", ".", "--port", "0"), 1, "no such file"),
        (("serve", "--profile", "a/x.yaml", "--profile", "b/x.yaml"), 1, "two are called x"),
        (("replay", "verify", "no-such-folder"), 1, "no captured searches"),
        (("replay", "run", "x", "--shift", "1w"), 1, "not a duration"),
    ],
)
def test_a_mistake_gets_one_sentence(words: tuple[str, ...], code: int, says: str, tmp_path: Path) -> None:
    env = {"ELASTICSEARCH_URL": "http://127.0.0.1:1", "RANK_STATE_DIR": str(tmp_path)}
    done = rank_cli(*words, **env)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    done = process("search", "x", ELASTICSEARCH_URL="http://127.0.0.1:1", RANK_STATE_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "nothing answers" in done.stderr
    assert "rank-cli stack up" in done.stderr
    assert (
        "Traceback" in process("search", "x", ELASTICSEARCH_URL="http://127.0.0.1:1", RANK_DEBUG="1").stderr
    )
