"""One ONNX file: uint8 pixels in; score, embedding and version out. Normalization and calibration are inside.

    image           uint8 [n, size, size, 3]    as `scorer.model.preprocess` leaves a photo
    score           float [n, 1]                in [0, 1]
    embedding       float [n, embed_dim]        L2-normalized
    model_version   string [n, 1]               which weights made the score; left out for TensorRT

The version and the size are also in the file's metadata. The pixels go straight into a cast, the one thing
that TensorRT lets be done to an 8-bit input.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ranking.errors import InputError
from scorer.export.onnx_scorer import EXTRA, SIZE_KEY, VERSION_KEY, OnnxScorer
from scorer.serving.names import EMBEDDING_OUTPUT, IMAGE_INPUT, SCORE_OUTPUT, VERSION_OUTPUT
from scorer.serving.order import check_order
from scorer.serving.weights import Precision, served_version

if TYPE_CHECKING:
    from scorer.model.scorer import ImageScorer

OPSET: Final = 17  # onnxruntime 1.14 and newer, TensorRT 8.6 and newer
TOLERANCE: Final = 1e-3  # largest difference of a score between torch and the file


class _Served(nn.Module):
    def __init__(self, scorer: ImageScorer) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        score, embedding = self.scorer.score_and_embed(image.to(torch.float32))
        return score[:, None], embedding


def write_onnx(
    scorer: ImageScorer,
    path: Path,
    *,
    with_version: bool = True,
    precision: Precision = "float32",
    photos: NDArray[np.uint8] | None = None,
) -> Path:
    """Write the model as one ONNX file, once onnxruntime was seen to score as torch does.

    Args:
        scorer: on the CPU, with float32 weights.
        path: the file; its folder must exist. It is replaced whole, or stays as it was.
        with_version: put the version out beside every score, as text.
        precision: int8 is for transformer towers: `scorer.export.quantize` says how.
        photos: fix the scales of int8 activations by these (static), and compare the order of their scores;
            uint8 [n, size, size, 3]. Without them int8 is dynamic.

    Raises:
        NothingToQuantize: int8 would gain nothing for this tower.
        InputError: onnx or onnxruntime is not installed, the tower cannot be traced, or the file's scores
            differ from torch's.
    """
    onnx = _onnx()
    with tempfile.TemporaryDirectory(prefix=".onnx-", dir=path.parent) as temporary:
        draft = Path(temporary) / "model.onnx"
        _trace(scorer, draft)
        model = onnx.load(draft)
        version = served_version(scorer.version, precision)
        _state_shapes(model, scorer.embed_dim)
        if with_version:
            _add_version(model, version)
        onnx.helper.set_model_props(
            model, {VERSION_KEY: version, SIZE_KEY: str(scorer.image_size), "producer": "rank-toolkit"}
        )
        onnx.checker.check_model(model)
        onnx.save(model, draft)
        check_against(scorer, OnnxScorer(draft))
        if precision == "int8":
            _to_int8(scorer, draft, version, photos)
        draft.chmod(0o644)
        draft.replace(path)
    return path


def check_against(scorer: ImageScorer, exported: OnnxScorer) -> float:
    """The largest difference of a score between torch and the file, over made-up pictures.

    Raises:
        InputError: it is above `TOLERANCE`, or no number.
    """
    images = probe_images(scorer.image_size)
    with torch.inference_mode():
        expected = scorer(torch.from_numpy(images)).numpy()
    difference = float(np.abs(exported.score(images) - expected).max())
    if not difference <= TOLERANCE:  # NaN too
        raise InputError(
            f"the ONNX file scores a picture {difference:.4g} away from torch, more than {TOLERANCE:g}",
            hint="export with the Python backend, and tell us the tower",
        )
    return difference


def _to_int8(scorer: ImageScorer, draft: Path, version: str, photos: NDArray[np.uint8] | None) -> None:
    """Replace the file by its int8 form, once that was seen to order photos as torch does."""
    import onnx

    from scorer.export.quantize import quantize_dynamic, quantize_static

    small = draft.with_name("int8.onnx")
    if photos is None:
        quantize_dynamic(draft, small)
    else:
        quantize_static(draft, small, photos)
    model = onnx.load(small)
    facts = {VERSION_KEY: version, SIZE_KEY: str(scorer.image_size), "producer": "rank-toolkit"}
    onnx.helper.set_model_props(model, facts)
    onnx.save(model, draft)
    if photos is not None:
        with torch.inference_mode():
            expected = scorer(torch.from_numpy(photos)).numpy()
        check_order(expected, OnnxScorer(draft), photos)
    elif not np.isfinite(OnnxScorer(draft).score(probe_images(scorer.image_size))).all():
        raise InputError("the int8 file does not score every picture", hint="export with --precision float32")


def probe_images(size: int, n: int = 12) -> NDArray[np.uint8]:
    """Made-up pictures: noise, waves of color, one black and one white; uint8 [n, size, size, 3]."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (n // 2, size, size, 3))
    y, x = np.mgrid[0:size, 0:size] / size
    turns = rng.uniform(0.5, 6, (n - n // 2, 1, 1, 3))
    waves = 127.5 + 127.5 * np.sin(2 * np.pi * (turns * x[..., None] + turns[..., ::-1] * y[..., None]))
    images: NDArray[np.uint8] = np.concatenate([noise, waves]).astype(np.uint8)
    images[0], images[-1] = 0, 255
    return images


def _trace(scorer: ImageScorer, path: Path) -> None:
    size = scorer.image_size
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)  # not 1, which would be traced as a constant
    names = [SCORE_OUTPUT, EMBEDDING_OUTPUT]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one fused operation, which ONNX does not have
    try:
        with warnings.catch_warnings():
            # The newer exporter does not take open_clip's towers; this one says that it is the older.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Served(scorer).eval(),
                (example,),
                str(path),
                input_names=[IMAGE_INPUT],
                output_names=names,
                dynamic_axes={name: {0: "n"} for name in (IMAGE_INPUT, *names)},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as e:  # the exporter raises a wide family, and RuntimeError of C++
        first = (str(e).strip().splitlines() or [type(e).__name__])[0]
        raise InputError(f"tower {scorer.config.tower!r} cannot be written as ONNX: {first}") from e
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _state_shapes(model: Any, embed_dim: int) -> None:
    """Tracing leaves the embedding's length open for some towers; Triton compares it with the config."""
    for output in model.graph.output:
        if output.name == EMBEDDING_OUTPUT:
            output.type.tensor_type.shape.dim[1].dim_value = embed_dim


def _add_version(model: Any, version: str) -> None:
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    text = numpy_helper.from_array(np.array([[version]], dtype=np.object_), "model_version_text")
    graph.initializer.append(text)
    graph.node.append(helper.make_node("Shape", [SCORE_OUTPUT], ["score_shape"]))
    graph.node.append(helper.make_node("Expand", [text.name, "score_shape"], [VERSION_OUTPUT]))
    graph.output.append(helper.make_tensor_value_info(VERSION_OUTPUT, TensorProto.STRING, ["n", 1]))


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as e:
        raise InputError("writing ONNX needs the onnx package", hint=EXTRA) from e
    return onnx


__all__ = [
    "OPSET",
    "TOLERANCE",
    "check_against",
    "probe_images",
    "write_onnx",
]
