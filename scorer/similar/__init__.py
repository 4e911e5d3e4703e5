"""Items like an item: image embeddings that put alike items near each other, and their way into the index.

    scorer.similar.pairs       image-title pairs from a file
    scorer.similar.finetune    an image tower trained on them with SigLIP's loss
    scorer.similar.measures    nDCG@5 and recall@10 of embeddings
    scorer.similar.embedder    embeddings of the index's photos, written into `image_embedding`

The search itself is `ranking.similar`. Importing this package loads no torch.
"""

from __future__ import annotations

__all__: list[str] = []
