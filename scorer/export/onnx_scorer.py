"""`OnnxScorer`: an exported file run by onnxruntime, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ranking.errors import InputError
from scorer.model.photo import preprocess
from scorer.serving.names import EMBEDDING_OUTPUT, IMAGE_INPUT, SCORE_OUTPUT

VERSION_KEY: Final = "model_version"  # of the file's metadata
SIZE_KEY: Final = "image_size"
EXTRA: Final = "pip install 'rank-toolkit[export]'"


class OnnxScorer:
    """Scores photos with an ONNX file that `write_onnx` wrote.

    Args:
        path: the file.
        threads: of one call; photos are better spread over processes.
        providers: onnxruntime's execution providers, such as "CUDAExecutionProvider"; the CPU by default.

    Raises:
        InputError: no such file, no file of ours, or onnxruntime is not installed.
    """

    def __init__(self, path: Path, *, threads: int = 1, providers: tuple[str, ...] | None = None) -> None:
        runtime = _onnxruntime()
        if not path.is_file():
            raise InputError(
                f"{path} does not exist", hint="write it with `rank-cli scorer export --backend onnx`"
            )
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = runtime.InferenceSession(
                str(path), options, providers=list(providers or ("CPUExecutionProvider",))
            )
        except Exception as e:  # onnxruntime raises its own family, without a common base
            raise InputError(f"{path} cannot be loaded: {str(e).splitlines()[0]}") from e
        facts = self._session.get_modelmeta().custom_metadata_map
        try:
            self.version: str = facts[VERSION_KEY]
            self.image_size = int(facts[SIZE_KEY])
        except KeyError as e:
            raise InputError(f"{path} is no export of a scorer: its metadata has no {e.args[0]}") from None

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores in [0, 1], shape (n,), of uint8 [n, image_size, image_size, 3]."""
        return self.score_and_embed(images)[0]

    def score_and_embed(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores, shape (n,), and L2-normalized embeddings, shape (n, embed_dim)."""
        wanted = (self.image_size, self.image_size, 3)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != wanted:
            got = f"{images.dtype} {list(images.shape)}"
            raise InputError(f"a batch must be uint8 [n, {wanted[0]}, {wanted[1]}, 3], got {got}")
        scores, embeddings = self._session.run([SCORE_OUTPUT, EMBEDDING_OUTPUT], {IMAGE_INPUT: images})
        return scores[:, 0], embeddings

    def score_images(self, images: list[Image.Image]) -> NDArray[np.float32]:
        """Score decoded photos in one batch: float32 in [0, 1], shape (n,)."""
        if not images:
            return np.zeros(0, dtype=np.float32)
        return self.score(np.stack([preprocess(image, self.image_size) for image in images]))


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as e:
        raise InputError("running an ONNX file needs onnxruntime", hint=EXTRA) from e
    return onnxruntime


__all__ = ["EXTRA", "SIZE_KEY", "VERSION_KEY", "OnnxScorer"]
