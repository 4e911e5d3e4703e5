"""int8 files of a small transformer tower: nearly the same scores, the same order, a version of their own."""

import numpy as np
import onnx
import pytest
import torch
from scipy.stats import spearmanr

from ranking.errors import InputError
from scorer.export import OnnxScorer, write_onnx, write_onnx_repository
from scorer.export.calibration import read_some
from scorer.export.triton_model import _openvino
from scorer.model.head import Calibration, Head, HeadConfig
from scorer.model.scorer import HERE, ImageScorer, ScorerConfig, load_scorer
from scorer.model.tower import new_tower, save_tower
from scorer.serving import ServingOptions
from scorer.serving.errors import NothingToQuantize
from scorer.serving.order import check_order
from tests.unit.scorer.test_serving_repository import tiny_scorer

MODEL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32},
    "text_cfg": {"context_length": 8, "vocab_size": 32, "width": 16, "heads": 1, "layers": 1},
}
PREPROCESS = {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


def pictures(n, seed=0):
    """From dark to bright, from plain to noisy."""
    rng = np.random.default_rng(seed)
    level = rng.uniform(20, 230, (n, 1, 1, 3))
    noise = rng.normal(0, 1, (n, 32, 32, 3)) * rng.uniform(0, 60, (n, 1, 1, 1))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


def write_vit(folder, change=lambda visual: None, *, mirror=False, **model):
    """A small random ViT whose scores of `pictures` are spread over the range, loaded from its folder."""
    model = MODEL | model
    tower = new_tower(model, PREPROCESS, seed=0)
    change(tower.visual)
    torch.manual_seed(0)
    head = Head(HeadConfig(embed_dim=32, hidden=()))
    plain = ScorerConfig(name="vit", tower=HERE, head=head.config, mirror=mirror)
    first = ImageScorer(tower, head, plain).eval()
    with torch.inference_mode():
        calibration = Calibration.fit(first.logits(torch.from_numpy(pictures(64))))
    config = plain.model_copy(update={"calibration": calibration})
    ImageScorer(tower, head, config).save_head(folder)
    save_tower(tower.visual, folder, model, PREPROCESS)
    return load_scorer(folder)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vit")
    loaded = write_vit(folder)
    loaded.folder = folder
    return loaded


def in_torch(scorer, images):
    with torch.inference_mode():
        return scorer(torch.from_numpy(images)).numpy()


def test_a_dynamic_int8_file_keeps_the_order_and_has_its_own_version(scorer, tmp_path):
    exported = OnnxScorer(write_onnx(scorer, tmp_path / "model.onnx", precision="int8"))
    assert exported.version == f"{scorer.version}+int8"
    images = pictures(64, seed=1)
    expected, got = in_torch(scorer, images), exported.score(images)
    assert np.ptp(expected) > 0.5
    assert spearmanr(expected, got).statistic > 0.99
    assert not np.array_equal(expected, got)
    kinds = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert {"MatMulInteger", "DynamicQuantizeLinear"} <= kinds


def test_with_fixed_scales_a_score_does_not_depend_on_the_other_photos_of_its_batch(scorer, tmp_path):
    images = pictures(64, seed=1)
    write_onnx(scorer, tmp_path / "static.onnx", precision="int8", photos=pictures(32))
    write_onnx(scorer, tmp_path / "dynamic.onnx", precision="int8")
    static, dynamic = OnnxScorer(tmp_path / "static.onnx"), OnnxScorer(tmp_path / "dynamic.onnx")
    assert spearmanr(in_torch(scorer, images), static.score(images)).statistic > 0.99

    def alone(model):
        return np.concatenate([model.score(images[i : i + 1]) for i in range(len(images))])

    np.testing.assert_allclose(alone(static), static.score(images), atol=1e-6)
    assert np.abs(alone(dynamic) - dynamic.score(images)).max() > 1e-4


def test_openvino_runs_the_static_file_as_triton_will(scorer, tmp_path):
    pytest.importorskip("openvino")
    images = pictures(40, seed=2)
    exported = write_onnx_repository(
        tmp_path / "models",
        str(scorer.folder),
        backend="python-openvino",
        options=ServingOptions(precision="int8", instances=2),
        photos=pictures(32),
    )
    assert exported.model_version == f"{scorer.version}+int8"
    config = (exported.folder / "config.pbtxt").read_text()
    assert 'key: "runtime" value: { string_value: "openvino" }' in config
    assert "count: 2" in config
    run = _openvino(exported.version_folder / "model.onnx", 1, exported.model_version)
    score, version = run(["score", "model_version"], images)
    assert set(version.ravel()) == {exported.model_version}
    assert spearmanr(in_torch(scorer, images), score[:, 0]).statistic > 0.99


def test_openvino_is_told_to_run_in_bfloat16(scorer, tmp_path):
    """Where the CPU has no bfloat16 it stays float32; scores agree to its eight bits either way."""
    pytest.importorskip("openvino")
    images = pictures(40, seed=2)
    exported = write_onnx_repository(
        tmp_path / "models",
        str(scorer.folder),
        backend="python-openvino",
        options=ServingOptions(precision="bfloat16"),
    )
    assert exported.model_version == f"{scorer.version}+bfloat16"
    config = (exported.folder / "config.pbtxt").read_text()
    assert 'key: "openvino_precision" value: { string_value: "bf16" }' in config
    run = _openvino(exported.version_folder / "model.onnx", 1, exported.model_version, "bf16")
    np.testing.assert_allclose(run(["score"], images)[0][:, 0], in_torch(scorer, images), atol=0.02)


def test_a_file_that_orders_photos_otherwise_is_refused(scorer, tmp_path):
    class Reversed:
        def score(self, images):
            return 1 - in_torch(scorer, images)

    with pytest.raises(InputError, match=r"Spearman -1\.0000"):
        check_order(in_torch(scorer, pictures(16)), Reversed(), pictures(16))


def test_a_tower_of_convolutions_is_told_that_int8_gains_nothing(tmp_path):
    folder = tiny_scorer(tmp_path / "s")  # most weights lie in its patch convolution
    options = ServingOptions(precision="int8")
    with pytest.raises(NothingToQuantize, match="convolutions"):
        write_onnx_repository(tmp_path / "m", str(folder), backend="python-onnx", options=options)
    assert not (tmp_path / "m" / "image_score").exists()


def test_what_cannot_be_served_is_refused(tmp_path):
    wrong = [
        ("onnx", ServingOptions(precision="int8"), "written in float32, not int8"),
        ("python-openvino", ServingOptions(precision="int8"), "needs photos"),
        ("onnx", ServingOptions(input="encoded"), "decodes no photos"),
    ]
    for backend, options, words in wrong:
        with pytest.raises(InputError, match=words):
            write_onnx_repository(tmp_path / "m", backend=backend, options=options)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.jpg").write_bytes(b"no photo")
    with pytest.raises(InputError, match="no photo that can be read"):
        read_some(tmp_path / "empty", "compact")
