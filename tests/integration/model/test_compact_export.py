"""The shipped model's exports score every kind of photo as torch does; tests/unit has it of a tiny one."""

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from scorer.export import OnnxScorer, write_onnx, write_open_clip_folder
from scorer.export.onnx_file import probe_images
from scorer.model.photo import open_photo, read_photo
from scorer.model.scorer import load_scorer
from tests.unit.scorer.photo_zoo import ORIENTATIONS, photos, scene, turned


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The shipped model in torch and in onnxruntime."""
    scorer = load_scorer()
    return scorer, OnnxScorer(write_onnx(scorer, tmp_path_factory.mktemp("onnx") / "model.onnx"))


def test_every_photo_gets_a_finite_score_and_the_same_one(both):
    scorer, exported = both
    images = [open_photo(data, size=scorer.image_size) for data in photos().values()]
    pixels = np.stack([scorer.preprocess(image) for image in images])
    scores = scorer.score_images(images)
    assert ((scores >= 0) & (scores <= 1)).all()  # NaN is not
    np.testing.assert_allclose(exported.score(pixels), scores, atol=1e-5)


def test_exif_rotation_is_honoured_in_both(both):
    scorer, exported = both
    stored = np.stack([read_photo(turned(orientation), scorer.image_size) for orientation in ORIENTATIONS])
    expected, lying = scorer.score_images([scene(), scene().transpose(Image.Transpose.ROTATE_90)])
    np.testing.assert_allclose(exported.score(stored), np.full(8, expected), atol=1e-5)
    assert abs(float(lying - expected)) > 1e-3  # the turn would show


def test_scores_vary_between_photos(both):
    _, exported = both
    scores = exported.score(probe_images(exported.image_size))
    assert len(np.unique(scores.round(6))) == len(scores)


def test_open_clip_loads_the_folder_and_gives_the_same_embedding(tmp_path):
    version = write_open_clip_folder("compact", tmp_path / "folder")
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'folder'}")
    scorer = load_scorer(tmp_path / "folder")
    assert scorer.version == version == load_scorer().version
    x = transform(scene())[None]
    with torch.inference_mode():
        theirs = model.eval().encode_image(x)[0]
        ours = scorer.embed_raw(torch.from_numpy(scorer.preprocess(scene()))[None])[0]
    torch.testing.assert_close(theirs, ours, atol=2e-2, rtol=2e-2)  # they resize without a reducing gap
    assert float(torch.nn.functional.cosine_similarity(theirs, ours, dim=0)) > 0.999
