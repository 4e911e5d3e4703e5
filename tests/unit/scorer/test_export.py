"""An export scores as torch does, on every kind of photo, or is refused."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import open_clip
import pytest
import torch
from google.protobuf import text_format
from PIL import Image
from tritonclient.grpc import model_config_pb2

from ranking.errors import InputError
from scorer.export import OnnxScorer, write_onnx, write_onnx_repository, write_open_clip_folder
from scorer.export.onnx_file import probe_images
from scorer.model.head import Head, HeadConfig
from scorer.model.photo import open_photo, preprocess, read_photo
from scorer.model.scorer import HERE, ImageScorer, ScorerConfig, load_scorer
from scorer.model.tower import COMPACT_FOLDER, load_tower
from scorer.serving import ServingOptions
from tests.unit.scorer.photo_zoo import ORIENTATIONS, photos, scene, turned
from tests.unit.scorer.tiny import RESNET, SIZE, VIT, made

ZOO = photos()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A tiny scorer in torch and in onnxruntime."""
    folder = tmp_path_factory.mktemp("tiny")
    scorer = load_scorer(made(folder / "scorer", spread_over=probe_images(SIZE)))
    return scorer, OnnxScorer(write_onnx(scorer, folder / "model.onnx"))


@pytest.mark.parametrize("cfg", [VIT, RESNET], ids=["vit", "resnet"])
@pytest.mark.parametrize("mirror", [False, True])
def test_an_onnx_file_scores_and_embeds_as_torch_does(tmp_path, cfg, mirror):
    scorer = load_scorer(made(tmp_path / "scorer", cfg, mirror=mirror))
    exported = OnnxScorer(write_onnx(scorer, tmp_path / "model.onnx"))
    assert exported.version == scorer.version
    images = np.random.default_rng(1).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    with torch.inference_mode():
        scores, embeddings = (t.numpy() for t in scorer.score_and_embed(torch.from_numpy(images)))
    got, embedded = exported.score_and_embed(images)
    np.testing.assert_allclose(got, scores, atol=1e-5)
    np.testing.assert_allclose(embedded, embeddings, atol=1e-5)
    for image, score in zip(images, scores, strict=True):  # any batch size, one too
        np.testing.assert_allclose(exported.score(image[None]), [score], atol=1e-5)


@pytest.mark.parametrize("name", ZOO)
def test_every_photo_gets_a_finite_score_and_the_same_one(both, name):
    scorer, exported = both
    image = open_photo(ZOO[name], size=scorer.image_size)
    score = scorer.score_images([image])[0]
    assert 0 <= score <= 1  # NaN is not
    np.testing.assert_allclose(exported.score_images([image]), [score], atol=1e-5)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_rotation_is_honoured_in_both(both, orientation):
    scorer, exported = both
    upright, stored = (
        preprocess(scene(), scorer.image_size),
        read_photo(turned(orientation), scorer.image_size),
    )
    np.testing.assert_array_equal(stored, upright)
    expected = scorer.score_images([scene()])
    np.testing.assert_allclose(exported.score(stored[None]), expected, atol=1e-5)
    lying = scorer.score_images([scene().transpose(Image.Transpose.ROTATE_90)])
    assert abs(float(lying[0] - expected[0])) > 1e-3  # the turn would show


def test_scores_vary_between_photos(both):
    _, exported = both
    scores = exported.score(probe_images(exported.image_size))
    assert len(np.unique(scores.round(6))) == len(scores)


def test_the_file_names_its_version_beside_every_score(both, tmp_path):
    scorer, _ = both
    path = write_onnx(scorer, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(path))
    size = scorer.image_size
    (versions,) = session.run(["model_version"], {"image": np.zeros((3, size, size, 3), np.uint8)})
    assert versions.tolist() == [[scorer.version]] * 3


@pytest.mark.parametrize(
    ("backend", "names", "triton"),
    [
        ("onnx", ["1/model.onnx", "config.pbtxt"], "onnxruntime"),
        ("python-onnx", ["1/model.onnx", "1/model.py", "config.pbtxt"], "python"),
        ("tensorrt", ["1/build_plan.sh", "1/model.onnx", "config.pbtxt"], "tensorrt"),
    ],
)
def test_the_repository_has_tritons_layout_and_a_config_that_triton_parses(tmp_path, backend, names, triton):
    scorer = made(tmp_path / "scorer")
    first = write_onnx_repository(tmp_path / "t" / "models", str(scorer), backend=backend)
    files = sorted(str(p.relative_to(first.folder)) for p in first.folder.rglob("*") if p.is_file())
    assert files == names
    text = (first.folder / "config.pbtxt").read_text()
    config = text_format.Parse(text, model_config_pb2.ModelConfig())  # raises on a field that is not Triton's
    assert (config.name, config.backend, config.max_batch_size) == ("image_score", triton, 32)
    model = onnx.load(first.version_folder / "model.onnx")
    put_out = {output.name: output for output in model.graph.output}
    for output in config.output:
        shape = [d.dim_value for d in put_out[output.name].type.tensor_type.shape.dim][1:]
        assert list(output.dims) == shape
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:] == [32, 32, 3]
    assert config.parameters["model_version"].string_value == first.model_version
    again = write_onnx_repository(tmp_path / "t" / "models", str(scorer), backend=backend)
    assert (again.number, again.changed) == (1, False)
    assert [p.name for p in (tmp_path / "t").iterdir()] == ["models"]


def test_tensorrt_gets_a_graph_that_it_takes(tmp_path):
    exported = write_onnx_repository(tmp_path / "models", str(made(tmp_path / "s")), backend="tensorrt")
    graph = onnx.load(exported.version_folder / "model.onnx").graph
    users = [node.op_type for node in graph.node if "image" in node.input]
    assert users == ["Cast"]  # an 8-bit input may only be cast
    kinds = {value.type.tensor_type.elem_type for value in [*graph.input, *graph.output]}
    assert onnx.TensorProto.STRING not in kinds
    assert not {"Loop", "If", "NonZero", "StringNormalizer"} & {node.op_type for node in graph.node}
    script = (exported.version_folder / "build_plan.sh").read_text()
    assert "--minShapes=image:1x32x32x3 --optShapes=image:16x32x32x3 --maxShapes=image:32x32x32x3" in script
    faster = ServingOptions(device="gpu", precision="bfloat16")
    other = write_onnx_repository(
        tmp_path / "models", str(tmp_path / "s"), backend="tensorrt", options=faster
    )
    assert other.number == 2
    assert other.model_version == exported.model_version + "+bfloat16"


@pytest.mark.parametrize(
    ("backend", "options", "says"),
    [
        ("tensorrt", ServingOptions(device="cpu"), "needs a GPU"),
        ("onnx", ServingOptions(precision="bfloat16"), "float32, not bfloat16"),
    ],
)
def test_what_a_backend_cannot_do_is_refused_before_anything_is_written(tmp_path, backend, options, says):
    with pytest.raises(InputError, match=says):
        write_onnx_repository(tmp_path / "models", backend=backend, options=options)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_scores_nan_is_refused_and_nothing_is_left(tmp_path):
    scorer = load_scorer(made(tmp_path / "scorer"))
    next(scorer.head.parameters()).data.fill_(float("nan"))
    (tmp_path / "model.onnx").write_text("yesterday's")
    with pytest.raises(InputError, match="away from torch"):
        write_onnx(scorer, tmp_path / "model.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "scorer"]
    assert (tmp_path / "model.onnx").read_text() == "yesterday's"


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_what_to_type(tmp_path, monkeypatch, package):
    scorer = load_scorer(made(tmp_path / "scorer"))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=package) as e:
        write_onnx(scorer, tmp_path / "model.onnx")
    assert "rank-toolkit[export]" in (e.value.hint or "")


def test_a_file_that_is_no_export_of_ours_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        OnnxScorer(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(InputError, match="cannot be loaded"):
        OnnxScorer(tmp_path / "text.onnx")
    write_onnx(load_scorer(made(tmp_path / "s")), tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(InputError, match="no export of a scorer"):
        OnnxScorer(tmp_path / "m.onnx")


@pytest.mark.parametrize("shape", [(1, 32, 32), (1, 33, 32, 3), (0, 3, 32, 32)])
def test_a_batch_of_another_shape_is_refused(tmp_path, shape):
    exported = OnnxScorer(write_onnx(load_scorer(made(tmp_path / "s")), tmp_path / "m.onnx"))
    with pytest.raises(InputError, match="must be uint8"):
        exported.score(np.zeros(shape, dtype=np.uint8))


def test_a_tower_named_by_its_tag_is_written_whole(tmp_path):
    open_clip.add_model_config(_tiny_config(tmp_path))
    name = "tiny-for-tests"
    torch.manual_seed(3)
    weights = tmp_path / "weights.pt"
    torch.save(open_clip.create_model(name).state_dict(), weights)
    tower = load_tower(f"{name}:{weights}")
    head = Head(HeadConfig(embed_dim=24, hidden=(8,)))
    config = ScorerConfig(name="mine", tower=tower.spec, head=head.config)
    ImageScorer(tower, head, config).eval().save_head(tmp_path / "scorer")
    version = write_open_clip_folder(str(tmp_path / "scorer"), tmp_path / "whole")
    weights.unlink()
    assert load_scorer(tmp_path / "whole").version == version
    model = open_clip.create_model(f"local-dir:{tmp_path / 'whole'}")
    assert float(model.text_projection.detach().abs().sum()) > 0  # the text side is there
    assert json.loads((tmp_path / "whole" / "scorer.json").read_text())["tower"] == HERE


def _tiny_config(folder):
    path = folder / "tiny-for-tests.json"
    path.write_text(json.dumps(VIT))
    return path


def test_a_folder_that_holds_something_is_not_written_over(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something"):
        write_open_clip_folder("compact", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(InputError, match=r"scorer\.json"):
        write_open_clip_folder(str(tmp_path), tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    assert COMPACT_FOLDER.is_dir()
