"""Names that the model repository and its clients agree on."""

from __future__ import annotations

from typing import Final

MODEL_NAME: Final = "image_score"
IMAGE_INPUT: Final = "image"  # UINT8 [height, width, 3], RGB
ENCODED_INPUT: Final = "encoded_image"  # STRING [1], a JPEG, PNG or WebP file; of models that decode
SCORE_OUTPUT: Final = "score"  # FP32 [1], in [0, 1]
EMBEDDING_OUTPUT: Final = "embedding"  # FP32 [embed_dim], L2-normalized; of ONNX and TensorRT models
VERSION_OUTPUT: Final = "model_version"  # STRING [1], which weights made the score
ERROR_OUTPUT: Final = "error"  # STRING [1], why there is no score, or empty; of models that decode
VERSION_PARAMETER: Final = "model_version"  # of the configuration, the same text

__all__ = [
    "EMBEDDING_OUTPUT",
    "ENCODED_INPUT",
    "ERROR_OUTPUT",
    "IMAGE_INPUT",
    "MODEL_NAME",
    "SCORE_OUTPUT",
    "VERSION_OUTPUT",
    "VERSION_PARAMETER",
]
