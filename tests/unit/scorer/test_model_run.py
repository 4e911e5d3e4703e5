"""A whole training run, small: what it writes loads, scores, and is the same when run again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ranking.cli.scorer import app
from ranking.errors import InputError
from scorer.calibration import DOMAIN_FILE
from scorer.model.scorer import load_scorer
from scorer.model.tower import COMPACT_FOLDER
from scorer.training.config import TrainConfig
from scorer.training.degrade import KINDS
from scorer.training.evaluate import at_even_steps, degraded_accuracy, evaluate
from scorer.training.labels import read_labels
from scorer.training.run import train

SMALL = TrainConfig(start="random", epochs=1, batch=8, serps=2, n_degraded=1)
cli = CliRunner()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Sixteen labelled photos in four pages, where brighter is better, and four photos without labels."""
    folder, rng = tmp_path_factory.mktemp("shop"), np.random.default_rng(0)
    lines = []
    for page in range(4):
        category = ("hat", "shoes")[page % 2]
        (folder / "train" / category).mkdir(parents=True, exist_ok=True)
        images, scores = [], []
        for i in range(5):
            name, light = f"train/{category}/{page}-{i}.jpg", 60 + 40 * i
            Image.fromarray(rng.integers(light - 40, light, (50, 40, 3), dtype=np.uint8)).save(folder / name)
            if i < 4:
                images.append(name)
                scores.append(2 * i + 1)
        line = {"serp_id": f"p{page}", "category": category, "judge": "a", "images": images, "scores": scores}
        lines.append(json.dumps(line))
    (folder / "labels.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def run(shop, tmp_path_factory):
    return train(shop, shop / "labels.jsonl", tmp_path_factory.mktemp("run"), SMALL)


def test_a_run_leaves_a_scorer_and_its_record(run):
    assert load_scorer(run.folder).version == run.version
    assert TrainConfig.model_validate_json((run.folder / "config.json").read_text()) == SMALL
    phases = [json.loads(line)["phase"] for line in (run.folder / "losses.jsonl").read_text().splitlines()]
    assert phases == ["photos", "views", "views", "views", "train"]
    assert json.loads((run.folder / "metrics.json").read_text())["n_serps"] == 4
    assert not (run.folder / DOMAIN_FILE).exists()  # sixteen photos do not say what is usual


def test_the_same_run_again_gives_the_same_weights(shop, run, tmp_path):
    assert train(shop, shop / "labels.jsonl", tmp_path, SMALL).version == run.version


def test_another_seed_gives_other_weights(shop, run, tmp_path):
    other = SMALL.model_copy(update={"seed": 1})
    assert train(shop, shop / "labels.jsonl", tmp_path, other).version != run.version


def test_unlabelled_photos_beside_the_labelled_ones_are_used_and_no_others(shop, run):
    (shop / "validation").mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(shop / "validation" / "held-out.png")
    first = json.loads((run.folder / "losses.jsonl").read_text().splitlines()[0])
    assert first == {"phase": "photos", "n_photos": 20, "n_serps": 4}


def test_a_head_on_a_frozen_tower_learns_what_is_easy(shop, tmp_path):
    config = TrainConfig(tower=f"local-dir:{COMPACT_FOLDER}", head_lr=3e-3, head_epochs=60)
    trained = train(shop, shop / "labels.jsonl", tmp_path, config)
    scorer = load_scorer(tmp_path)
    assert trained.version.startswith("custom-")
    result = evaluate(scorer, shop, read_labels(shop / "labels.jsonl"))
    assert result.overall.value > 90.0
    assert result.baselines["brightness"].value == 100.0
    assert set(result.by_category) == {"hat", "shoes"}
    assert result.overall.n_pairs == 4 * 6


def test_degraded_accuracy_is_a_share_for_every_kind(shop, run):
    names = [f"train/hat/0-{i}.jpg" for i in range(3)]
    found = degraded_accuracy(load_scorer(run.folder), shop, names, severities=(0.5,))
    assert (found.n_photos, set(found.shares)) == (3, set(KINDS))
    thirds = [3 * share[0.5] / 100 for share in found.shares.values()]
    assert all(third == pytest.approx(round(third)) and 0 <= third <= 3 for third in thirds)
    assert found.means()[0.5] == pytest.approx(100 * sum(thirds) / 3 / len(KINDS))


def test_some_photos_at_even_steps():
    assert at_even_steps("abcdefgh", 3) == ["a", "e", "h"]
    assert at_even_steps("ab", 9) == ["a", "b"]


def test_labels_that_name_an_absent_photo_are_refused(shop, tmp_path):
    line = {"serp_id": "x", "category": "hat", "images": ["train/hat/0-0.jpg", "gone.jpg"], "scores": [1, 2]}
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps(line))
    with pytest.raises(InputError, match=r"gone\.jpg does not exist"):
        train(shop, path, tmp_path / "out", SMALL)


def test_score_prints_a_table_and_json(shop):
    photo = str(shop / "train/hat/0-0.jpg")
    table = cli.invoke(app, ["score", photo])
    assert table.exit_code == 0
    assert "0-0.jpg" in table.stdout
    data = json.loads(cli.invoke(app, ["score", photo, "--format", "json"]).stdout)
    assert 0.0 <= data["photos"][0]["score"] <= 1.0
    assert data["model_version"] == load_scorer().version


def test_a_broken_photo_has_no_score_and_the_others_have(shop, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    result = cli.invoke(app, ["score", str(broken), str(shop / "train/hat/0-0.jpg"), "--format", "json"])
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)["photos"]
    assert first["score"] is None
    assert "not an image" in first["error"]
    assert second["score"] is not None


def test_evaluate_prints_accuracy_with_an_interval(shop):
    arguments = ["evaluate", "--photos", str(shop), "--labels", str(shop / "labels.jsonl")]
    data = json.loads(cli.invoke(app, [*arguments, "--format", "json"]).stdout)
    assert data["overall"]["low"] <= data["overall"]["value"] <= data["overall"]["high"]
    table = cli.invoke(app, arguments).stdout
    assert "flat background" in table
    assert "95 % interval" in table


def test_train_writes_a_scorer_folder(shop, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(SMALL.model_dump_json())
    arguments = [
        "--photos",
        str(shop),
        "--labels",
        str(shop / "labels.jsonl"),
        "--out",
        str(tmp_path / "run"),
    ]
    result = cli.invoke(app, ["train", *arguments, "--config", str(config), "--format", "json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["model_version"] == load_scorer(tmp_path / "run").version
