"""Towers of full size."""

from __future__ import annotations

import open_clip
import torch
from safetensors.torch import save_file

from scorer.model.tower import load_tower


def test_a_full_vit_b_16_loads_from_its_weights_file(tmp_path):
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-16", pretrained=None).eval()
    weights = tmp_path / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, weights)
    tower = load_tower(f"ViT-B-16:{weights}")
    assert (tower.image_size, tower.embed_dim) == (224, 512)
    assert torch.equal(tower.visual.state_dict()["conv1.weight"], model.visual.state_dict()["conv1.weight"])
