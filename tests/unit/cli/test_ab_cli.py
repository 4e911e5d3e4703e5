"""`rank-cli ab` as a user meets it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ranking.cli import full_app
from ranking.errors import InputError
from replay import ab

run = CliRunner()


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ab") / "users.parquet"
    done = run.invoke(full_app(), ["ab", "simulate", str(path), "--users", "30000", "--seed", "3"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"wrote 30000 simulated users to {path}" in done.stderr
    return path


def test_the_table_goes_to_stdout_and_what_was_checked_to_stderr(users: Path) -> None:
    done = run.invoke(full_app(), ["ab", "analyze", str(users), "--platform", "web", "--effect", "2%"])
    assert done.exit_code == 0
    assert "web (simulated users)" in done.stdout
    assert "additive/control" in done.stdout
    assert "ATPU (via search)" in done.stdout
    assert "days needed" in done.stdout
    assert "ios (simulated" not in done.stdout
    assert "as assigned on all" in done.stderr


def test_json_has_every_figure_unrounded(users: Path) -> None:
    done = run.invoke(full_app(), ["ab", "analyze", str(users), "--format", "json"])
    data = json.loads(done.stdout)
    assert (data["users"], data["days"], data["simulated"]) == (30000, 14.0, True)
    assert data["sample_ratio_mismatch"] is False
    row = next(one for one in data["results"] if one["platform"] == "web" and one["metric"] == "ATPU")
    expected = ab.analyze(ab.read_users(users)).find("ATPU", "additive", "web")
    assert (row["t"], row["ratio"], row["p_adjusted"]) == (expected.t, expected.ratio, expected.p_adjusted)


def test_a_mismatch_withholds_the_figures_and_exits_2(tmp_path: Path) -> None:
    table = ab.simulate_users(12_000, seed=4)
    kept = [i for i, name in enumerate(table["variant"].to_pylist()) if name != "additive" or i % 3]
    path, page = tmp_path / "users.parquet", tmp_path / "page.html"
    ab.write_users(path, table.take(pa.array(kept)))
    done = run.invoke(full_app(), ["ab", "analyze", str(path), "--html", str(page)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "SAMPLE RATIO MISMATCH on all" in done.stderr
    assert "--despite-mismatch" in done.stderr
    assert not page.exists()
    withheld = run.invoke(full_app(), ["ab", "analyze", str(path), "--format", "json"])
    assert withheld.exit_code == 2
    assert json.loads(withheld.stdout)["results"] == []
    shown = run.invoke(full_app(), ["ab", "analyze", str(path), "--despite-mismatch", "--html", str(page)])
    assert shown.exit_code == 2
    assert "additive/control" in shown.stdout
    assert "do not trust the figures" in page.read_text()
    split = "control=3,additive=2,multiplicative=3"
    assert run.invoke(full_app(), ["ab", "analyze", str(path), "--split", split]).exit_code == 0


def test_rejects_are_counted_and_written(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    rows = [f"u{i},{'control' if i % 2 else 'additive'},{i % 3}" for i in range(40)]
    path.write_text("\n".join(["user_id,variant,purchases", *rows, "u40,control,-1", "u41,control,x"]) + "\n")
    words = ["ab", "analyze", str(path), "--rejects", str(tmp_path / "rejects.csv")]
    done = run.invoke(full_app(), words)
    assert done.exit_code == 0
    assert "2 of 42 rows left out: purchases is below 0 (1), purchases is missing" in done.stderr
    assert (tmp_path / "rejects.csv").read_text().splitlines()[1:] == [
        "41,purchases is below 0",
        "42,purchases is missing or not a number",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--effect", "big"], "is no relative change"),
        (["--split", "control"], "is not VARIANT=WEIGHT"),
        (["--platform", "tv"], "no user is on platform 'tv'"),
        (["--control", "old"], "no user is in variant 'old'"),
        (["--metric", "profit"], "a metric reads 'profit', which users.parquet lacks"),
        (["--adjust", "no"], "no adjustment 'no'"),
    ],
)
def test_a_wrong_option_is_one_sentence(users: Path, words: list[str], message: str) -> None:
    done = run.invoke(full_app(), ["ab", "analyze", str(users), *words])
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)


def test_the_page_stands_alone_and_is_well_formed(users: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run.invoke(full_app(), ["ab", "analyze", str(users), "--html", str(page)])
    assert done.exit_code == 0
    text = page.read_text()
    assert "http" not in text.replace("http-equiv", "")
    assert "simulated users" in text
    open_tags: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "line", "circle"):
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert tag in ("line", "circle") or open_tags.pop() == tag

    Checker().feed(text)
    assert open_tags == []
    assert text.count('<tr class="') == 4 * 2 * (
        4 * 2 + 2
    )  # places, variants, metrics with and without CUPED
