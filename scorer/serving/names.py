"""Names that the model repository and its clients agree on."""

from __future__ import annotations

from typing import Final

MODEL_NAME: Final = "image_score"
IMAGE_INPUT: Final = "image"  # UINT8 [height, width, 3], RGB
SCORE_OUTPUT: Final = "score"  # FP32 [1], in [0, 1]
EMBEDDING_OUTPUT: Final = "embedding"  # FP32 [embed_dim], L2-normalized; of ONNX and TensorRT models
VERSION_OUTPUT: Final = "model_version"  # STRING [1], which weights made the score
VERSION_PARAMETER: Final = "model_version"  # of the configuration, the same text

__all__ = [
    "EMBEDDING_OUTPUT",
    "IMAGE_INPUT",
    "MODEL_NAME",
    "SCORE_OUTPUT",
    "VERSION_OUTPUT",
    "VERSION_PARAMETER",
]
