"""Torch in this process, onnxruntime, and the real Triton score the real photos alike."""

import numpy as np
import pytest
import torch
from tritonclient import grpc

from ranking.errors import ServerError
from scorer.export import OnnxScorer, write_onnx, write_onnx_repository
from scorer.model.photo import read_photo
from scorer.model.scorer import load_scorer
from scorer.serving import ServingOptions, load_into, write_repository
from scorer.serving.names import EMBEDDING_OUTPUT, IMAGE_INPUT, MODEL_NAME
from scorer.serving.weights import load_weights
from tests.integration.triton_server import MODEL, own_triton
from tests.unit.scorer.photo_zoo import ORIENTATIONS, photos, turned
from tests.unit.scorer.test_export_int8 import pictures, write_vit

pytestmark = pytest.mark.engines
TIE = 1e-5  # scores nearer than this are a tie


@pytest.fixture(scope="module")
def triton(tmp_path_factory):
    with own_triton(tmp_path_factory.mktemp("triton")) as server:
        yield server


@pytest.fixture(scope="module")
def scorer():
    return load_scorer(MODEL)


@pytest.fixture(scope="module")
def runtimes(triton, scorer, tmp_path_factory):
    """Name -> a function from pixels to scores; Triton with torch, then with the ONNX file."""
    exported = OnnxScorer(write_onnx(scorer, tmp_path_factory.mktemp("onnx") / "model.onnx"))
    torch.set_num_threads(1)

    def in_torch(pixels):
        with torch.inference_mode():
            return scorer(torch.from_numpy(pixels)).numpy()

    return {"torch": in_torch, "onnx": exported.score}


@pytest.fixture(scope="module")
def pixels(shared, scorer):
    """The held-out photos, then those of every size, mode, profile and orientation."""
    paths = sorted((shared / "photos" / "validation").rglob("*.jpg"))
    assert len(paths) == 341
    odd = [*photos().values(), *(turned(o) for o in ORIENTATIONS)]
    return np.stack([read_photo(source, scorer.image_size) for source in [*paths, *odd]])


def agree(expected, got):
    """Within 1e-3, and every pair in the same order unless the first calls it a tie."""
    assert np.isfinite(got).all()
    assert np.abs(got - expected).max() < 1e-3
    left, right = np.triu_indices(len(expected), 1)
    clear = np.abs(expected[left] - expected[right]) > TIE
    assert clear.sum() > 50_000
    same = np.sign(expected[left] - expected[right]) == np.sign(got[left] - got[right])
    assert same[clear].all(), f"{(~same[clear]).sum()} of {clear.sum()} pairs change places"


def test_torch_onnx_and_triton_agree_in_score_and_order(triton, runtimes, pixels, scorer):
    expected = np.concatenate([runtimes["torch"](part) for part in np.array_split(pixels, 16)])
    agree(expected, np.concatenate([runtimes["onnx"](part) for part in np.array_split(pixels, 16)]))
    with_torch = triton.load()
    served = with_torch.score(pixels)
    assert served.model_version == scorer.version
    agree(expected, served.scores)
    upright = served.scores[-len(ORIENTATIONS) :]
    assert np.abs(upright - upright[0]).max() < 1e-6  # EXIF rotation

    exported = write_onnx_repository(triton.repository, MODEL, backend="python-onnx")
    with_onnx = load_into(exported, triton.url)
    served = with_onnx.score(pixels)
    assert served.model_version == scorer.version
    agree(expected, served.scores)
    assert [o["name"] for o in with_onnx.config()["output"]] == ["score", "embedding", "model_version"]


def test_triton_puts_out_the_embedding_that_torch_makes(triton, pixels, scorer):
    load_into(write_onnx_repository(triton.repository, MODEL, backend="python-onnx"), triton.url)
    server = grpc.InferenceServerClient(triton.url)
    try:
        image = grpc.InferInput(IMAGE_INPUT, [5, *pixels.shape[1:]], "UINT8")
        image.set_data_from_numpy(np.ascontiguousarray(pixels[:5]))
        answer = server.infer(MODEL_NAME, [image], outputs=[grpc.InferRequestedOutput(EMBEDDING_OUTPUT)])
        got = answer.as_numpy(EMBEDDING_OUTPUT)
    finally:
        server.close()
    with torch.inference_mode():
        expected = scorer.score_and_embed(torch.from_numpy(pixels[:5]))[1].numpy()
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("backend", ["onnx", "tensorrt"])
def test_the_real_triton_reads_the_configuration_and_lacks_the_backend_alone(triton, backend):
    """The server here has no backend but Python's: it gets as far as looking for this one."""
    exported = write_onnx_repository(triton.repository, MODEL, backend=backend)
    try:
        with pytest.raises(ServerError, match="unable to find backend library for backend"):
            load_into(exported, triton.url, timeout_s=20)
    finally:
        load_into(write_onnx_repository(triton.repository, MODEL, backend="python-onnx"), triton.url)


def test_a_transformer_in_bytes_is_served_as_it_scores_here(triton, tmp_path):
    torch.set_num_threads(1)
    folder, sample = tmp_path / "vit", pictures(48)
    folder.mkdir()
    write_vit(folder)
    exported = write_repository(
        triton.repository, str(folder), options=ServingOptions(precision="int8"), photos=sample
    )
    served = load_into(exported, triton.url).score(sample)
    assert served.model_version == exported.model_version
    assert served.model_version.endswith("+int8")
    here = load_weights(exported.version_folder / "weights", precision="int8").score(sample)
    np.testing.assert_allclose(served.scores, here, atol=1e-6)
    assert np.ptp(here) > 0.5
