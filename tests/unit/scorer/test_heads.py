"""Heads on frozen towers: pairs, loss, resume, grid, and the embeddings that are computed once."""

from __future__ import annotations

import json
import math

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from ranking.cli.scorer import app
from ranking.errors import ConfigError, InputError
from scorer.calibration import read_domain
from scorer.model.photo import PhotoError
from scorer.model.scorer import load_scorer
from scorer.model.tower import load_tower
from scorer.training import embeddings, frozen
from scorer.training.clip_score import clip_scores
from scorer.training.config import TrainConfig
from scorer.training.embeddings import embed_photos, tower_key
from scorer.training.frozen import CHECKPOINT, head_material, train_head
from scorer.training.grid import read_grid
from scorer.training.labels import Serp, read_labels
from scorer.training.measures import click_accuracy
from scorer.training.pairs import all_pairs, page_pairs
from scorer.training.run import train
from tests.unit.scorer.tiny import made

cli = CliRunner()


def page(truth, clicked=None, name="p"):
    images = tuple(f"{name}-{i}.jpg" for i in range(len(truth)))
    return Serp(name, "hat", images, np.array(truth, dtype=float), 1, clicked)


def pairs_of(*args, **options):
    return {(int(a), int(b)) for a, b in page_pairs(*args, **options)}


def test_all_pairs_without_ties():
    assert pairs_of(page([7, 4, 4])) == {(0, 1), (0, 2)}
    assert pairs_of(page([3, 3])) == set()


def test_beside_the_clicked_photo_only_those_scored_lower_are_used():
    # clicked: place 2 with score 5. Place 1 scored higher and place 4 the same: neither is used
    found = pairs_of(page([3, 9, 5, 1, 5], clicked=2))
    assert found == {(2, 0), (2, 3), (0, 3)}


def test_a_clicked_photo_that_is_scored_lowest_makes_no_pair():
    assert pairs_of(page([3, 9, 1], clicked=2)) == set()


def test_at_most_k_photos_a_page_and_the_clicked_one_is_among_them():
    assert len(page_pairs(page(range(12)))) == 8 * 7 / 2
    assert {a for a, _ in pairs_of(page([*range(10), 99], clicked=10), max_photos=3)} >= {10}
    assert len(pairs_of(page([*range(10), 99], clicked=10), max_photos=3)) == 3


def test_pairs_of_several_pages_are_rows_of_one_table():
    rows = [np.array([4, 5]), np.array([0, 1, 2])]
    found = all_pairs([page([1, 2]), page([1, 1, 3], name="q")], rows)
    assert {tuple(pair) for pair in found.tolist()} == {(5, 4), (2, 0), (2, 1)}
    assert all_pairs([], []).shape == (0, 2)


def test_click_accuracy_of_hand_made_pages():
    # page 1: the clicked 0.5 beats one of two others; page 2: it ties with its only other
    found = click_accuracy([(1, np.array([0.9, 0.5, 0.1])), (0, np.array([0.3, 0.3]))])
    assert (found.value, found.n_pairs) == (pytest.approx(50.0), 3)
    assert math.isnan(click_accuracy([]).value)


@pytest.fixture(scope="module")
def tower_spec(tmp_path_factory):
    """A CLIP of a few thousand weights, with open_clip's own tokenizer's vocabulary."""
    folder = tmp_path_factory.mktemp("clip") / "tiny"
    folder.mkdir()
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
    cfg = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    torch.manual_seed(3)
    model = open_clip.model.CLIP(**cfg)
    preprocess = {"size": 32, "mean": [0.5] * 3, "std": [0.25] * 3}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": cfg, "preprocess_cfg": preprocess})
    )
    weights = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Seventeen pages of four photos, brighter is better; four for validation, every second with a click."""
    folder, rng = tmp_path_factory.mktemp("shop"), np.random.default_rng(0)
    lines = []
    for number in range(17):
        images, lights = [], rng.permutation([50, 110, 170, 230])
        for i, light in enumerate(lights):
            name = f"{number}-{i}.png"
            Image.fromarray(rng.integers(light - 40, light, (40, 40, 3), dtype=np.uint8)).save(folder / name)
            images.append(name)
        line = {
            "serp_id": f"p{number}",
            "category": "hat",
            "images": images,
            "scores": (lights // 25).tolist(),
        }
        if number % 2:
            line |= {"clicked": int(lights.argmax()), "query": "red hat", "ctr": [0.1, None, 0.0, 0.3]}
        lines.append(json.dumps(line))
    (folder / "validation.jsonl").write_text("\n".join(lines[:4]))
    (folder / "train.jsonl").write_text("\n".join(lines[4:]))
    return folder


def config(spec, **changed):
    return TrainConfig(tower=spec, head_epochs=12, head_lr=3e-3, head_batch=16, hidden=(16,), **changed)


def material(shop, spec, cache):
    return head_material(
        shop,
        read_labels(shop / "train.jsonl"),
        load_tower(spec),
        cache,
        validation=read_labels(shop / "validation.jsonl"),
    )


def weights(folder):
    return load_scorer(folder).head.state_dict()


def test_a_run_that_was_stopped_ends_as_one_that_was_not(shop, tower_spec, tmp_path):
    ready, settings = material(shop, tower_spec, tmp_path / "cache"), config(tower_spec)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    train_head(ready, whole, settings, lambda _: None)

    def stop_in_the_fifth_epoch(row):
        if row.get("epoch") == 4.0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_head(ready, parts, settings, stop_in_the_fifth_epoch)
    rows = []
    train_head(ready, parts, settings, rows.append)
    assert rows[0] == {"phase": "resumed", "epoch": 4.0}
    assert all(torch.equal(v, weights(parts)[k]) for k, v in weights(whole).items())


def test_a_checkpoint_of_another_config_is_not_taken_up(shop, tower_spec, tmp_path):
    ready, rows = material(shop, tower_spec, tmp_path / "cache"), []
    train_head(ready, tmp_path, config(tower_spec), lambda _: None)
    train_head(ready, tmp_path, config(tower_spec, focal_gamma=0.0), rows.append)
    assert rows[0]["phase"] == "head"
    (tmp_path / CHECKPOINT).write_bytes(b"cut")
    with pytest.raises(InputError, match=r"checkpoint\.pt is broken"):
        train_head(ready, tmp_path, config(tower_spec), rows.append)


def test_the_best_epoch_is_kept_and_training_stops_when_it_is_not_beaten(
    shop, tower_spec, tmp_path, monkeypatch
):
    told = iter([60.0, 80.0, 70.0, 75.0, 79.0, 99.0])
    monkeypatch.setattr(frozen._State, "_validation_opa", lambda _: next(told))
    rows = []
    found = train_head(
        material(shop, tower_spec, tmp_path / "c"), tmp_path, config(tower_spec, head_patience=3), rows.append
    )
    assert found == 80.0
    assert [row["validation_opa"] for row in rows] == [60.0, 80.0, 70.0, 75.0, 79.0]
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert all(torch.equal(v, weights(tmp_path)[k]) for k, v in state["best"].items())


def test_one_step_is_the_step_that_torchs_own_parts_take(shop, tower_spec, tmp_path):
    """A second implementation: cross-entropy of torch over two logits, its AdamW, one batch of all pairs."""
    ready = material(shop, tower_spec, tmp_path / "cache")
    ready = frozen.HeadMaterial(ready.tower, ready.whole, ready.whole, ready.pairs, ready.held_out[:0], ())
    settings = config(tower_spec, focal_gamma=0.0, dropout=0.0)
    settings = settings.model_copy(update={"head_epochs": 1, "head_batch": 10_000})
    torch.manual_seed(settings.seed)
    twin = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.GELU(), torch.nn.Linear(16, 1))
    optimizer = torch.optim.AdamW(twin.parameters(), lr=3e-3, weight_decay=1e-3)
    x = torch.nn.functional.normalize(ready.whole, dim=1) * 4.0
    logits = twin(x)[:, 0][ready.pairs]
    torch.nn.functional.cross_entropy(logits, torch.zeros(len(ready.pairs), dtype=torch.long)).backward()
    optimizer.step()
    train_head(ready, tmp_path, settings, lambda _: None)
    found = list(weights(tmp_path).values())[:-1]  # a margin does not depend on the last bias
    for ours, theirs in zip(found, list(twin.state_dict().values())[:-1], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_a_run_learns_measures_itself_and_leaves_its_record(shop, tower_spec, tmp_path):
    run = train(
        shop,
        shop / "train.jsonl",
        tmp_path,
        config(tower_spec).model_copy(update={"head_epochs": 60, "head_lr": 1e-2}),
        validation=shop / "validation.jsonl",
    )
    assert run.validation_opa > 90.0
    assert run.validation_ca > 90.0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["validation"]["opa"]["value"] == run.validation_opa
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert run.version in card
    assert f"| OPA | {run.validation_opa:.1f} |" in card
    assert not (tmp_path / CHECKPOINT).exists()
    domain = read_domain(tmp_path, run.version)
    assert (domain.n_photos, domain.features.shape[1]) == (52, 16)  # of the labelled photos


def test_a_grid_keeps_the_best_and_trains_nothing_twice(shop, tower_spec, tmp_path):
    path, out = tmp_path / "grid.json", tmp_path / "run"
    path.write_text('{"focal_gamma": [0, 2], "head_lr": [1e-9, 1e-2]}')
    start = config(tower_spec).model_copy(update={"head_epochs": 40, "head_patience": 40})
    grid = read_grid(path, start)
    assert [(c.focal_gamma, c.head_lr) for c in grid] == [(0, 1e-9), (0, 1e-2), (2, 1e-9), (2, 1e-2)]
    validation = shop / "validation.jsonl"
    first = train(shop, shop / "train.jsonl", out, start, validation=validation, grid=grid)
    record = json.loads((out / "grid.json").read_text())
    best = record["runs"][record["chosen"]]
    assert best["validation_opa"] == max(r["validation_opa"] for r in record["runs"])
    assert json.loads((out / "config.json").read_text())["head_lr"] == 1e-2
    steps = [(out / "grid" / f"{i:03d}" / "losses.jsonl").read_text().count("head") for i in range(4)]
    again = train(shop, shop / "train.jsonl", out, start, validation=validation, grid=grid)
    assert again.version == first.version
    after = [(out / "grid" / f"{i:03d}" / "losses.jsonl").read_text().count("head") for i in range(4)]
    assert after == steps


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "not an object"),
        ('{"focal_gamma": 2}', "focal_gamma: not a list"),
        ('{"focal_gama": [1]}', "focal_gama"),
        ("{", "file:"),
    ],
)
def test_a_wrong_grid_is_refused(tmp_path, text, words):
    path = tmp_path / "grid.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_grid(path, TrainConfig())
    assert words in " ".join(caught.value.problems)


def test_a_grid_needs_a_frozen_tower_and_validation_pages(shop, tower_spec, tmp_path):
    with pytest.raises(InputError, match="validation pages"):
        train(shop, shop / "train.jsonl", tmp_path, config(tower_spec), grid=[config(tower_spec)])
    with pytest.raises(InputError, match="frozen tower"):
        train(
            shop,
            shop / "train.jsonl",
            tmp_path,
            TrainConfig(),
            grid=[TrainConfig()],
            validation=shop / "validation.jsonl",
        )


def test_validation_photos_that_are_learned_from_are_refused(shop, tower_spec, tmp_path):
    with pytest.raises(InputError, match="in both label files"):
        train(shop, shop / "train.jsonl", tmp_path, config(tower_spec), validation=shop / "train.jsonl")


def test_labels_without_an_ordered_pair_are_refused(shop, tower_spec, tmp_path):
    path = tmp_path / "tied.jsonl"
    path.write_text(json.dumps({"serp_id": "t", "images": ["4-0.png", "4-1.png"], "scores": [3, 3]}))
    with pytest.raises(InputError, match="no pair of photos"):
        train(shop, path, tmp_path / "out", config(tower_spec))


def test_embeddings_are_computed_once_and_found_by_what_the_photo_is(shop, tower_spec, tmp_path, monkeypatch):
    tower = load_tower(tower_spec)
    first = embed_photos(tower, shop, ["4-0.png", "4-1.png", "4-0.png"], tmp_path)
    assert first.shape == (3, 16)
    np.testing.assert_array_equal(first[0], first[2])
    (tmp_path / "renamed.png").write_bytes((shop / "4-1.png").read_bytes())

    def no_more(*_):
        raise AssertionError("embedded again")

    monkeypatch.setattr(embeddings, "_embed", no_more)
    np.testing.assert_array_equal(embed_photos(tower, tmp_path, ["renamed.png"], tmp_path), first[1:2])
    with pytest.raises(AssertionError, match="embedded again"):
        embed_photos(tower, shop, ["4-0.png"], tmp_path, mirrored=True)


def test_a_tower_with_other_weights_has_other_embeddings(tower_spec):
    one, other = load_tower(tower_spec), load_tower(tower_spec)
    assert tower_key(one) == tower_key(other)
    with torch.no_grad():
        next(other.visual.parameters()).add_(1e-3)
    assert tower_key(one) != tower_key(other)


def test_a_file_that_is_no_cache_and_an_absent_photo_are_named(shop, tower_spec, tmp_path):
    tower = load_tower(tower_spec)
    with pytest.raises(PhotoError, match=r"gone\.png does not exist"):
        embed_photos(tower, shop, ["gone.png"], tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / embeddings.FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match="no cache of embeddings"):
        embed_photos(tower, shop, ["4-0.png"], tmp_path / "x")


def test_clip_scores_are_the_cosines_that_open_clip_gives(shop, tower_spec, tmp_path):
    serps = read_labels(shop / "validation.jsonl")[:2]
    found = clip_scores(tower_spec, shop, serps, ["red hat", "blue shoes"], tmp_path)
    model, _, _ = open_clip.create_model_and_transforms(tower_spec)
    tokens = open_clip.get_tokenizer("ViT-B-16")(["red hat", "blue shoes"], context_length=8)
    photos = load_tower(tower_spec), [shop / name for name in serps[1].images]
    with torch.inference_mode():
        text = torch.nn.functional.normalize(model.eval().encode_text(tokens), dim=1)[1]
        image = torch.from_numpy(embeddings._embed(*photos, False))
    expected = torch.nn.functional.normalize(image, dim=1) @ text
    np.testing.assert_allclose(found[1], expected.numpy(), atol=1e-5)
    with pytest.raises(InputError, match="no text side"):
        clip_scores("compact", shop, serps, ["a", "b"], tmp_path)


def test_evaluate_sets_the_papers_baselines_beside_the_model(shop, tower_spec, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK_STATE_DIR", str(tmp_path))
    arguments = ["evaluate", "--photos", str(shop), "--labels", str(shop / "validation.jsonl")]
    arguments += ["--trained-on", str(shop / "train.jsonl"), "--clip", tower_spec]
    arguments += ["--model", str(made(tmp_path / "model"))]
    result = cli.invoke(app, [*arguments, "--format", "json"])
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    names = {"random", "CTR highest", "CLIP score", "gradient boosting on statistics"}
    assert names <= set(data["baselines"])
    assert names <= set(data["click_baselines"])
    assert data["baselines"]["kernel ridge on statistics"]["value"] > 90.0
    assert data["clicks"]["n_pairs"] == 2 * 3  # two pages with a click, three others each
    assert data["baselines"]["CTR highest"]["n_pairs"] == 2 * 6  # pages without a CTR are left out
    table = cli.invoke(app, arguments)
    assert "67.75 / 64.42" in table.stderr
    assert "CA %" in table.stdout


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"ctr": [0.1]}, "2 images but 1 ctr"), ({"ctr": [0.1, 1.2]}, r"ctr must be in \[0, 1\]")],
)
def test_a_wrong_ctr_is_named(tmp_path, changed, words):
    from scorer.training.behaviour import read_behaviour

    path = tmp_path / "l.jsonl"
    path.write_text(json.dumps({"serp_id": "s", "images": ["a", "b"], "scores": [1, 2]} | changed))
    with pytest.raises(InputError, match=words):
        read_behaviour(path)
