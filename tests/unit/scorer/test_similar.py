"""Fine-tuning on image-title pairs, and how it is measured; the server's side is in tests/integration."""

import json
import math

import ir_measures
import numpy as np
import open_clip
import pytest
import torch
from open_clip.loss import SigLipLoss
from PIL import Image
from typer.testing import CliRunner

from ranking.cli import full_app
from ranking.errors import InputError
from scorer.model.prompts import NoTextSide, load_prompts
from scorer.model.scorer import HERE
from scorer.model.tower import load_tower, new_tower, save_tower
from scorer.similar.checkpoint import CHECKPOINT
from scorer.similar.dual import load_dual
from scorer.similar.finetune import FinetuneConfig, NoGain, finetune, parameter_groups, rate_at
from scorer.similar.measures import measure_retrieval, relative_gain
from scorer.similar.pairs import Pair, distinct_batches, groups, read_pairs

CFG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 1, "vocab_size": 2, "width": 8, "heads": 1, "layers": 1},
}
PREPROCESS = {"size": 32, "mean": [0.5] * 3, "std": [0.25] * 3}
COLOURS = {"red": (200, 40, 40), "green": (40, 170, 60), "blue": (40, 60, 200), "white": (235, 235, 235)}
NEW_TEXT = {"logit_scale": 10.0, "logit_bias": -10.0, "text_width": 16, "text_layers": 1}


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    """A tower with random weights and no text side."""
    folder = tmp_path_factory.mktemp("tower")
    save_tower(new_tower(CFG, PREPROCESS, seed=0).visual, folder, CFG, PREPROCESS)
    return f"local-dir:{folder}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Plain garments: a square or a bar in one of four colours on a noisy ground, and their pairs."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    pairs = []
    for i in range(160):
        colour, shape = list(COLOURS)[i % 4], ["square", "bar"][(i // 4) % 2]
        pixels = rng.integers(60, 140, (32, 32, 3)) + rng.integers(-40, 40)
        y, x = rng.integers(3, 9, 2)
        high, wide = (16, 16) if shape == "square" else (24, 6)
        pixels[y : y + high, x : x + wide] = np.array(COLOURS[colour]) + rng.integers(-25, 25, 3)
        name = f"{i}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
        labels = {"colour": colour, "shape": shape}
        pairs.append(Pair(image=name, title=f"{colour} {shape}", labels=labels))
    return folder, pairs


def test_pairs_are_read_and_what_is_no_pair_is_counted_with_its_reason(tmp_path):
    path = tmp_path / "pairs.jsonl"
    lines = [
        '{"image": "a.jpg", "title": "Red  Dress", "price": 3}',
        "",
        "not json",
        '{"image": "b.jpg"}',
        '{"image": "a.jpg", "title": "again"}',
        '{"image": "c.jpg", "title": "   "}',
        '{"image": "d.jpg", "title": "red dress", "labels": {}}',
    ]
    path.write_text("\n".join(lines))
    found = read_pairs(path)
    assert [(p.image, p.words) for p in found.pairs] == [("a.jpg", "red dress"), ("d.jpg", "red dress")]
    assert [reason.split(":")[0] for reason in found.skipped] == ["line 3", "line 4", "line 5", "line 6"]
    assert groups(found.pairs).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no pair"),
        ("[]\n", "holds no pair"),
        (
            '{"image":"a","title":"x","labels":{"k":"1"}}\n{"image":"b","title":"y"}',
            "give every line the same",
        ),
    ],
)
def test_a_file_without_pairs_is_refused(tmp_path, text, says):
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(InputError, match=says):
        read_pairs(tmp_path / "p.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "absent.jsonl")


def test_no_title_stands_twice_in_a_batch_and_no_photo_twice_in_an_epoch():
    pairs = [Pair(image=str(i), title=f"title {i % 7}") for i in range(60)]
    batches = distinct_batches(pairs, 6, np.random.default_rng(0))
    for batch in batches:
        titles = [pairs[i].title for i in batch]
        assert len(set(titles)) == len(titles) <= 6
    used = np.concatenate(batches)
    assert len(used) == len(set(used.tolist())) >= 50
    assert (
        len(distinct_batches(pairs[:1] * 5, 4, np.random.default_rng(0))) >= 1
    )  # one title alone still ends


def test_retrieval_has_its_twin_in_ir_measures():
    rng = np.random.default_rng(3)
    group = rng.integers(0, 9, 60)
    group[0] = 99  # relevant to nobody: no query
    e = rng.normal(size=(60, 8)).astype(np.float32)
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    got = measure_retrieval(e, group, block=7)
    similarity = e @ e.T
    run = [
        ir_measures.ScoredDoc(str(q), str(d), float(similarity[q, d]))
        for q in range(60) for d in range(60) if q != d
    ]  # fmt: skip
    qrels = [
        ir_measures.Qrel(str(q), str(d), int(group[q] == group[d]))
        for q in range(60) for d in range(60) if q != d
    ]  # fmt: skip
    ndcg, hits = ir_measures.nDCG @ 5, ir_measures.P @ 10
    expected = {
        (m.query_id, str(m.measure)): m.value for m in ir_measures.iter_calc([ndcg, hits], qrels, run)
    }
    assert 0 not in got.query.tolist()
    for i, q in enumerate(got.query):
        relevant = int((group == group[q]).sum()) - 1
        assert got.ndcg[i] == pytest.approx(expected[str(q), "nDCG@5"])
        assert got.recall[i] == pytest.approx(10 * expected[str(q), "P@10"] / min(10, relevant))


def test_retrieval_by_hand():
    e = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.8, 0.2]], dtype=np.float32)
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    # photo 0: its one relevant photo (3) comes second, after 1: nDCG = 1 / log2(3)
    got = measure_retrieval(e, np.array([0, 1, 2, 0]))
    assert got.query.tolist() == [0, 3]
    assert got.ndcg.tolist() == pytest.approx([1 / math.log2(3), 1 / math.log2(3)])
    assert got.recall.tolist() == [1.0, 1.0]
    with pytest.raises(InputError, match="no two photos"):
        measure_retrieval(e, np.arange(4))


def test_a_gain_has_an_interval_around_it():
    rng = np.random.default_rng(0)
    before = rng.uniform(0.2, 0.4, 300)
    gain = relative_gain(before, before * 1.2, rng)
    assert gain.relative == pytest.approx(0.2)
    assert gain.low == pytest.approx(0.2) == gain.high  # the same factor on every query
    noisy = relative_gain(before, before + rng.normal(0, 0.1, 300), rng)
    assert noisy.low < 0 < noisy.high


def test_the_sides_have_rates_and_decays_of_their_own_and_only_matrices_decay(tower):
    dual = load_dual(tower, seed=0, **NEW_TEXT)
    config = FinetuneConfig(image_lr=1e-4, text_lr=2e-3, image_weight_decay=0.3, text_weight_decay=0.1)
    found = {g["name"]: (g["lr"], g["weight_decay"]) for g in parameter_groups(dual, config)}
    assert found == {
        "image matrices": (1e-4, 0.3), "image rest": (1e-4, 0.0),
        "text matrices": (2e-3, 0.1), "text rest": (2e-3, 0.0),
    }  # fmt: skip
    every = [p for g in parameter_groups(dual, config) for p in g["params"]]
    assert len({id(p) for p in every}) == len(every) == len(list(dual.model.parameters()))
    rest = next(g for g in parameter_groups(dual, config) if g["name"] == "text rest")["params"]
    assert any(p is dual.model.logit_bias for p in rest)
    assert FinetuneConfig().rates(new_text=False) == (1e-5, 1e-5)  # gentle where weights are pretrained


def test_a_new_text_side_starts_where_siglip_starts(tower):
    dual = load_dual(tower, seed=0, **NEW_TEXT)
    assert dual.new_text
    assert float(dual.model.logit_bias.detach()) == -10.0
    assert float(dual.model.logit_scale.detach().exp()) == pytest.approx(10.0, rel=1e-5)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    with torch.inference_mode():
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        expected = load_tower(tower).visual((x - 0.5) / 0.25)  # the image side is the tower's
        image, text, scale, bias = dual.model(dual.pixels(pixels), dual.tokenize(["red dress"] * 6))
        torch.testing.assert_close(
            image, torch.nn.functional.normalize(expected, dim=1), atol=1e-5, rtol=1e-4
        )
        loss = SigLipLoss()(image, text, scale, bias)
        z = 2 * torch.eye(6) - 1  # the paper's: -1/n sum log sigmoid(z (s <x, y> + b))
        by_hand = -torch.nn.functional.logsigmoid(z * (scale * image @ text.T + bias)).sum() / 6
    assert float(loss) == pytest.approx(float(by_hand), rel=1e-5)


def test_a_tower_with_a_text_side_keeps_it(tmp_path):
    from safetensors.torch import save_file

    cfg = CFG | {"text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}}
    torch.manual_seed(1)
    model = open_clip.model.CLIP(**cfg)
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": cfg, "preprocess_cfg": PREPROCESS})
    )
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "open_clip_model.safetensors"
    )
    dual = load_dual(f"local-dir:{tmp_path}", seed=0, **NEW_TEXT)
    assert not dual.new_text
    assert float(dual.model.logit_bias.detach()) == -10.0  # a CLIP has none
    with torch.inference_mode():
        theirs = model.eval().encode_text(
            open_clip.tokenize(["a red dress"], context_length=8), normalize=True
        )
    np.testing.assert_allclose(dual.embed_texts(["a red dress"]), theirs.numpy(), atol=1e-6)
    dual.save(tmp_path / "again", [])
    again = load_dual(f"local-dir:{tmp_path / 'again'}", seed=0, **NEW_TEXT | {"logit_bias": -3.0})
    assert float(again.model.logit_bias.detach()) == -10.0  # a bias of its own stays


def test_the_rate_rises_then_falls_to_nothing():
    rates = [rate_at(step, 100, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 11)
    assert max(rates) == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    assert rate_at(0, 10, 0.0) == 1.0


def test_fine_tuning_raises_retrieval_on_photos_it_never_saw(tower, photos, tmp_path):
    folder, pairs = photos
    config = FinetuneConfig(tower=tower, epochs=12, batch=8, image_lr=2e-3, text_lr=2e-3, text_width=16)
    told = []
    run = finetune(folder, pairs[:120], tmp_path / "run", config, test=pairs[120:], on_epoch=told.append)
    assert run.test is not None
    assert run.test.relative > 0.1
    assert run.test.low > 0
    assert tuple(told) == run.epochs
    assert run.epochs[0].loss is None
    assert run.epochs[run.best_epoch].ndcg == max(e.ndcg for e in run.epochs)
    record = json.loads((tmp_path / "run" / "finetune.json").read_text())
    assert record["best_epoch"] == run.best_epoch
    written = load_tower(f"local-dir:{tmp_path / 'run'}")  # what was kept is the best epoch
    pixels = np.stack([np.asarray(Image.open(folder / p.image)) for p in pairs[120:]])
    with torch.inference_mode():
        x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
        e = torch.nn.functional.normalize(written.visual(x), dim=1).numpy()
    assert measure_retrieval(e, groups(pairs[120:])).ndcg.mean() == pytest.approx(run.test.after, abs=1e-4)
    with pytest.raises(NoTextSide, match="never say"):
        load_prompts(f"local-dir:{tmp_path / 'run'}")
    redness = load_prompts(f"local-dir:{tmp_path / 'run'}", {"redness": ("red square", "blue square")})
    values = redness.attributes(e)[:, 0]
    colours = np.array([p.labels["colour"] for p in pairs[120:]])
    above = values[colours == "red"][:, None] > values[colours == "blue"][None]
    assert above.mean() > 0.9  # the text side was taught which is which


def test_training_stops_on_regression_and_writes_nothing(tower, photos, tmp_path):
    """A tower that knows its photos, trained on with rates far too high and titles that mean nothing."""
    folder, pairs = photos
    good = FinetuneConfig(tower=tower, epochs=8, batch=8, image_lr=2e-3, text_lr=2e-3, text_width=16)
    finetune(folder, pairs, tmp_path / "good", good)
    noise = np.random.default_rng(0)
    wrong = [p.model_copy(update={"title": f"item {noise.integers(1e6)}"}) for p in pairs]
    config = good.model_copy(
        update={"tower": f"local-dir:{tmp_path / 'good'}", "epochs": 40, "image_lr": 0.5, "patience": 2}
    )
    told, notes = [], []
    with pytest.raises(NoGain, match="as it was") as e:
        finetune(folder, wrong, tmp_path / "bad", config, on_epoch=told.append, note=notes.append)
    assert "nothing was written" in str(e.value.hint)
    assert [epoch.epoch for epoch in told] == [0, 1, 2]
    assert notes == ["stopped: nDCG@5 has not risen for 2 epochs"]
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def bits(folder):
    return (folder / "open_clip_model.safetensors").read_bytes()


def test_a_run_that_was_killed_ends_with_the_bits_of_one_that_was_not(tower, photos, tmp_path):
    folder, pairs = photos
    config = FinetuneConfig(
        tower=tower, epochs=5, batch=8, image_lr=2e-3, text_lr=2e-3, text_width=16, patience=5
    )
    parts, told, notes = tmp_path / "parts", [], []

    def kill_after_the_third(epoch):
        told.append(epoch)
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    whole = finetune(folder, pairs[:80], tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        finetune(folder, pairs[:80], parts, config, on_epoch=kill_after_the_third)
    assert [file.name for file in parts.iterdir()] == [CHECKPOINT]
    run = finetune(folder, pairs[:80], parts, config, on_epoch=told.append, note=notes.append)
    assert notes[0] == "goes on after epoch 3, where a run was stopped"
    assert [epoch.epoch for epoch in told] == [0, 1, 2, 3, 4, 5]  # none is run twice
    assert bits(parts) == bits(tmp_path / "whole")
    assert (run.best_epoch, [(e.loss, e.ndcg) for e in run.epochs]) == (
        whole.best_epoch, [(e.loss, e.ndcg) for e in whole.epochs],
    )  # fmt: skip
    assert not (parts / CHECKPOINT).exists()


def test_a_checkpoint_of_another_run_or_a_broken_one_is_refused(tower, photos, tmp_path):
    folder, pairs = photos
    config = FinetuneConfig(tower=tower, epochs=5, batch=8, image_lr=2e-3, text_lr=2e-3, text_width=16)

    def kill(epoch):
        if epoch.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(folder, pairs[:40], tmp_path / "run", config, on_epoch=kill)
    before = (tmp_path / "run" / CHECKPOINT).read_bytes()
    for other, changed in ((pairs[:41], config), (pairs[:40], config.model_copy(update={"seed": 1}))):
        with pytest.raises(InputError, match="other settings, pairs, photos or weights"):
            finetune(folder, other, tmp_path / "run", changed)
    assert (tmp_path / "run" / CHECKPOINT).read_bytes() == before
    (tmp_path / "run" / CHECKPOINT).write_bytes(before[:2_000])
    with pytest.raises(InputError, match=r"checkpoint\.pt is broken"):
        finetune(folder, pairs[:40], tmp_path / "run", config)


def test_a_loss_that_is_no_number_ends_the_run(tower, photos, tmp_path, monkeypatch):
    folder, pairs = photos
    monkeypatch.setattr("open_clip.loss.SigLipLoss.forward", lambda *_: torch.tensor(float("nan")))
    config = FinetuneConfig(tower=tower, batch=8, text_width=16)
    with pytest.raises(InputError, match="loss is no number"):
        finetune(folder, pairs[:60], tmp_path / "run", config)
    assert list(tmp_path.iterdir()) == []


def test_a_photo_that_cannot_be_read_is_left_out_and_told(tower, photos, tmp_path):
    folder, pairs = photos
    broken = [*pairs[:80], Pair(image="absent.png", title="x y", labels=pairs[0].labels)]
    config = FinetuneConfig(tower=tower, epochs=3, batch=8, image_lr=2e-3, text_lr=2e-3, text_width=16)
    notes = []
    try:
        run = finetune(folder, broken, tmp_path / "run", config, note=notes.append)
        assert len(run.skipped) == 1
    except NoGain:
        pass
    assert "absent.png" in notes[0]
    with pytest.raises(InputError, match="none of 1"):
        finetune(folder, broken[-1:], tmp_path / "other", config)
    with pytest.raises(InputError, match="too few"):
        finetune(folder, pairs[:3], tmp_path / "other", config)


def test_the_command_refuses_a_photo_on_both_sides_and_a_full_folder(tower, photos, tmp_path):
    folder, pairs = photos
    (tmp_path / "p.jsonl").write_text("\n".join(p.model_dump_json() for p in pairs[:20]))
    words = ["scorer", "finetune", "--photos", str(folder), "--pairs", str(tmp_path / "p.jsonl")]
    both = CliRunner().invoke(full_app(), [*words, "--test", str(tmp_path / "p.jsonl"), "--out", "x"])
    assert "20 photos are in both files" in str(both.exception)
    full = CliRunner().invoke(full_app(), [*words, "--out", str(tmp_path), "--tower", tower])
    assert "holds something" in str(full.exception)
    assert HERE == "local-dir:."


def test_the_command_trains_and_prints_before_and_after(tower, photos, tmp_path):
    folder, pairs = photos
    for name, part in (("train", pairs[:80]), ("test", pairs[120:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(p.model_dump_json() for p in part))
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write("\nnot json\n")
    words = ["scorer", "finetune", "--photos", str(folder), "--pairs", str(tmp_path / "train.jsonl")]
    words += ["--test", str(tmp_path / "test.jsonl"), "--out", str(tmp_path / "run"), "--tower", tower]
    words += ["--epochs", "3", "--batch", "8", "--image-lr", "2e-3", "--text-lr", "2e-3", "--format", "json"]
    done = CliRunner().invoke(full_app(), words)
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert found["test_nDCG@5_after"] > found["test_nDCG@5_before"]
    assert found["test_gain_low"] <= found["test_gain"] <= found["test_gain_high"]
    assert found["n_queries"] == 40
    assert "1 lines skipped; first line 81: not JSON" in done.stderr
    assert "epoch 0: before, nDCG@5" in done.stderr


def test_simulated_titles_name_class_and_colour(tmp_path):
    for category, colour in (("dress", "red"), ("hat", "blue")):
        (tmp_path / "photos" / category).mkdir(parents=True)
        Image.new("RGB", (60, 80), COLOURS[colour]).save(tmp_path / "photos" / category / "a.png")
    (tmp_path / "photos" / "hat" / "broken.jpg").write_text("no photo")
    out = tmp_path / "titles.jsonl"
    words = ["scorer", "titles", "--photos", str(tmp_path / "photos"), "--out", str(out), "--format", "json"]
    done = CliRunner().invoke(full_app(), words)
    assert json.loads(done.stdout) == {
        "file": str(out), "pairs": 2, "titles": 2, "skipped": 1, "simulated": True,
    }  # fmt: skip
    assert "simulated" in done.stderr
    assert [p.title for p in read_pairs(out).pairs] == ["red dress", "blue hat"]
    assert json.loads(out.read_text().splitlines()[0])["simulated"] is True
