"""Image quality: from a photo to a score in [0, 1], served and written into the index.

    scorer.model      photo -> score: an open_clip image tower and a small head; the compact model is shipped
    scorer.training   labels and photos -> a scorer folder
    scorer.serving    the model behind Triton, and its client
    scorer.ingest     items on a stream -> documents with scores

Importing this package loads no torch.
"""

from __future__ import annotations

__all__: list[str] = []
