"""int8 in torch: the layers of an open_clip ViT with oneDNN's products of bytes.

The four products of a layer take bytes and give floats, or bytes again where the next takes them (GELU is
inside the product). What is left is short: sums and norms in float32, attention in bfloat16 where the CPU
multiplies it.

    activations   uint8, one scale and zero point a product, fixed from photos (`measure`): the same photo has
                  the same score in any batch
    weights       int8, one scale an output channel, seven bits (why: `scorer.export.quantize`)
    outliers      of the channels that enter a product after a norm are moved from activations into weights,
                  the square root of the way: SmoothQuant, Xiao et al. 2023, https://arxiv.org/abs/2211.10438

Pixels are bytes already: their normalisation is folded into the patch convolution, which takes them as they
are. Where only the class token is read, the last layer computes that one alone. Figures: docs/serving.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ranking.errors import InputError
from scorer.model.scorer import ImageScorer, Normalise
from scorer.serving.errors import NothingToQuantize

SCALES_FILE: Final = "int8.safetensors"
_WEIGHT_LEVELS: Final = 63  # seven bits, symmetric
_CHUNK: Final = 8  # photos at once while measuring
_QUICK_GELU: Final = 1.702  # x sigmoid(1.702 x), the GELU of OpenAI's towers
_ops: Any = torch.ops.onednn

Scales = dict[str, Tensor]  # "<layer>.<product>.low", ".high" (scalars) and ".smooth" (a channel each)


@dataclass(frozen=True, slots=True)
class _Layer:
    """The parameters of a ResidualAttentionBlock, layer scales folded into the weights before them."""

    norms: tuple[nn.LayerNorm, nn.LayerNorm]
    qkv: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor]
    up: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]
    heads: int
    quick: bool  # OpenAI's GELU


def layers_of(scorer: ImageScorer) -> list[_Layer]:
    """The layers of the scorer's tower.

    Raises:
        NothingToQuantize: the tower is not open_clip's own ViT with plain attention.
    """
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    visual = scorer.visual
    blocks = list(visual.transformer.resblocks) if isinstance(visual, VisionTransformer) else []
    if not blocks or not all(type(block) is ResidualAttentionBlock for block in blocks):
        raise NothingToQuantize(
            "int8 in torch is for open_clip's own ViT, which this tower is not",
            hint="use --backend python-onnx or python-openvino",
        )
    return [_layer(block) for block in blocks]


def _layer(block: Any) -> _Layer:
    from open_clip.transformer import LayerScale, QuickGELU

    def scaled(linear: Any, scale: Any) -> tuple[Tensor, Tensor]:
        weight, bias = linear.weight.detach().float(), linear.bias.detach().float()
        if not isinstance(scale, LayerScale):
            return weight, bias
        gamma = scale.gamma.detach().float()
        return weight * gamma[:, None], bias * gamma

    act = block.mlp.gelu
    if not isinstance(act, nn.GELU | QuickGELU) or getattr(act, "approximate", "none") != "none":
        raise NothingToQuantize(
            f"int8 in torch knows GELU and QuickGELU, and this tower has {type(act).__name__}"
        )
    return _Layer(
        (block.ln_1, block.ln_2),
        (block.attn.in_proj_weight.detach().float(), block.attn.in_proj_bias.detach().float()),
        scaled(block.attn.out_proj, block.ls_1),
        scaled(block.mlp.c_fc, None),
        scaled(block.mlp.c_proj, block.ls_2),
        block.attn.num_heads,
        isinstance(act, QuickGELU),
    )


@torch.inference_mode()
def measure(scorer: ImageScorer, photos: NDArray[np.uint8]) -> tuple[Scales, NDArray[np.float32]]:
    """The ranges of what enters each product, over photos; and the photos' scores.

    Args:
        scorer: float32.
        photos: what the model will see, uint8 [n, size, size, 3]; a few dozen are enough.

    Raises:
        NothingToQuantize: see `layers_of`.
    """
    layers = layers_of(scorer)
    seen: dict[str, list[Tensor]] = {}

    def see(name: str, x: Tensor) -> Tensor:
        flat = x.flatten(0, -2)
        low, high = flat.amin(0), flat.amax(0)
        before = seen.setdefault(name, [low, high])
        seen[name] = [torch.minimum(before[0], low), torch.maximum(before[1], high)]
        return x

    class Watched(nn.Module):
        def __init__(self, number: int, layer: _Layer) -> None:
            super().__init__()
            self.number, self.layer = number, layer

        def forward(self, x: Tensor, attn_mask: None = None) -> Tensor:
            i, of = self.number, self.layer
            inner = functional.linear(see(f"{i}.qkv", of.norms[0](x)), *of.qkv)
            x = x + functional.linear(see(f"{i}.out", _attend(inner, of.heads, scale=None)), *of.out)
            inner = functional.linear(see(f"{i}.up", of.norms[1](x)), *of.up)
            inner = inner * torch.sigmoid(_QUICK_GELU * inner) if of.quick else functional.gelu(inner)
            return x + functional.linear(see(f"{i}.down", inner), *of.down)

    with _layers_replaced(scorer, [Watched(i, layer) for i, layer in enumerate(layers)]):
        chunks = range(0, len(photos), _CHUNK)
        scores = [scorer(torch.from_numpy(photos[at : at + _CHUNK])).numpy() for at in chunks]
    scales: Scales = {}
    for name, (low, high) in seen.items():
        number, _, product = name.partition(".")
        smooth = torch.ones(())
        if product in ("qkv", "up"):
            weight = getattr(layers[int(number)], product)[0]
            smooth = scales[f"{name}.smooth"] = _smooth(torch.maximum(low.abs(), high.abs()), weight)
        scales[f"{name}.low"] = (low / smooth).amin().clamp(max=0.0)
        scales[f"{name}.high"] = (high / smooth).amax().clamp(min=1e-6)
    return scales, np.concatenate(scores)


def _smooth(largest: Tensor, weight: Tensor) -> Tensor:
    """By what each channel is divided before the product, and its weights multiplied."""
    return (largest.clamp(min=1e-5) / weight.abs().amax(0).clamp(min=1e-5)).sqrt()


@contextmanager
def _layers_replaced(scorer: ImageScorer, layers: list[nn.Module]) -> Iterator[None]:
    """For the length of a `with`, the tower has other layers."""
    transformer: Any = scorer.visual.transformer
    before = transformer.resblocks
    transformer.resblocks = nn.ModuleList(layers)
    try:
        yield
    finally:
        transformer.resblocks = before


class _Product:
    """bytes [..., in] times weights, plus bias: float32 [..., out], or what `then` says."""

    def __init__(self, weight: Tensor, bias: Tensor, low: Tensor, high: Tensor) -> None:
        self.scale, self.zero = _grid(low, high)
        levels = weight.abs().amax(1).clamp(min=1e-12) / _WEIGHT_LEVELS
        self._weight = _ops.qlinear_prepack((weight / levels[:, None]).round().to(torch.int8), None)
        self._levels, self._zeros = levels, torch.zeros(len(levels), dtype=torch.int32)
        self._bias = bias.contiguous()

    def __call__(
        self,
        x: Tensor,
        then: torch.dtype = torch.float32,
        post: str = "none",
        grid: tuple[float, int] = (1.0, 0),
    ) -> Tensor:
        weights = (self._weight, self._levels, self._zeros, self._bias)
        y: Tensor = _ops.qlinear_pointwise(x, *self.grid, *weights, *grid, then, post, [], "none")
        return y

    def onto(self, x: Tensor, there: Tensor) -> Tensor:
        """Added to float32 [..., out], in its place."""
        weights = (self._weight, self._levels, self._zeros, there, self._bias)
        plain = (1.0, 0, torch.float32, 1.0, 0)  # scale, zero point and type of the result, then of `there`
        _ops.qlinear_pointwise.binary(x, *self.grid, *weights, *plain, "sum", 1.0, "none", [], "")
        return there

    @property
    def grid(self) -> tuple[float, int]:
        """Scale and zero point of what it takes."""
        return self.scale, self.zero


def _grid(low: Tensor, high: Tensor) -> tuple[float, int]:
    scale = (float(high) - float(low)) / 255
    return scale, round(-float(low) / scale)


def _bytes(x: Tensor) -> Tensor:
    """Of floats that are in units of the scale, zero point and the half for rounding added: cut off."""
    return x.clamp_(0, 255).to(torch.int32).to(torch.uint8)  # straight to uint8 takes three times as long


class Int8Layer(nn.Module):
    """A ResidualAttentionBlock in bytes.

    Args:
        layer: its parameters.
        scales: of `measure`, those of this layer.
        alone: give the class token alone.
        bfloat16: multiply within attention in bfloat16.
    """

    def __init__(self, layer: _Layer, scales: Scales, *, alone: bool, bfloat16: bool) -> None:
        super().__init__()
        self._heads, self._alone = layer.heads, alone
        self._inner = torch.bfloat16 if bfloat16 else torch.float32
        self._qkv = _smoothed(_queries_scaled(layer), scales, "qkv")
        self._out = _Product(*layer.out, scales["out.low"], scales["out.high"])
        # oneDNN's swish is x sigmoid(x): QuickGELU is that of 1.702 x, divided by 1.702.
        self._gelu, by = ("swish", _QUICK_GELU) if layer.quick else ("gelu", 1.0)
        self._up = _smoothed(layer.up, scales, "up", by=by)
        weight, bias = layer.down
        self._down = _Product(weight / by, bias, scales["down.low"] * by, scales["down.high"] * by)
        self._norms = (
            _norm(layer.norms[0], scales["qkv.smooth"], self._qkv),
            _norm(layer.norms[1], scales["up.smooth"], self._up),
        )

    def forward(self, x: Tensor, attn_mask: None = None) -> Tensor:
        """float32 [n, tokens, width] to the same, or [n, 1, width]."""
        inner = self._qkv(_bytes(self._norms[0](x)), self._inner)
        inner = _attend(inner, self._heads, alone=self._alone)
        scale, zero = self._out.grid
        inner = _bytes(inner.mul_(1 / scale).add_(zero + 0.5))
        x = self._out.onto(inner, (x[:, :1] if self._alone else x).clone())
        inner = self._up(_bytes(self._norms[1](x)), torch.uint8, self._gelu, self._down.grid)
        return self._down.onto(inner, x)


def _queries_scaled(layer: _Layer) -> tuple[Tensor, Tensor]:
    """The first third of `qkv` divided by the root of a head's width, which attention then need not."""
    weight, bias = layer.qkv[0].clone(), layer.qkv[1].clone()
    queries = len(bias) // 3
    factor = (queries // layer.heads) ** -0.5
    weight[:queries] *= factor
    bias[:queries] *= factor
    return weight, bias


def _smoothed(product: tuple[Tensor, Tensor], scales: Scales, name: str, *, by: float = 1.0) -> _Product:
    weight, bias = product
    smooth = scales[f"{name}.smooth"]
    return _Product(weight * smooth * by, bias * by, scales[f"{name}.low"], scales[f"{name}.high"])


def _norm(norm: nn.LayerNorm, smooth: Tensor, product: _Product) -> nn.LayerNorm:
    """The norm that gives the product's bytes but for cutting off."""
    made = nn.LayerNorm(norm.normalized_shape, eps=norm.eps)
    unit = smooth * product.scale
    with torch.no_grad():
        made.weight.copy_(norm.weight.float() / unit)
        made.bias.copy_(norm.bias.float() / unit + product.zero + 0.5)
    return made.requires_grad_(False)


def _attend(qkv: Tensor, heads: int, *, alone: bool = False, scale: float | None = 1.0) -> Tensor:
    """Attention: float32 [n, tokens or 1, width].

    In bfloat16 a photo at a time, whose products stay in the cache, and by bare products, which are faster
    there than torch's fused attention.

    Args:
        qkv: [n, tokens, 3 * width], float32; or bfloat16, and then the queries are scaled already.
        heads: of the layer.
        alone: ask for the class token alone.
        scale: of float32 queries; None is the usual one, over the root of a head's width.
    """
    n, tokens, _ = qkv.shape
    asking = 1 if alone else tokens
    photos = qkv.view(n, tokens, 3, heads, -1)
    if qkv.dtype == torch.float32:
        q, k, v = photos.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(q[:, :, :asking], k, v, scale=scale)
        return found.transpose(1, 2).reshape(n, asking, -1)
    mixed = torch.empty(n, asking, heads, photos.shape[-1])
    for photo, into in zip(photos, mixed, strict=True):
        q, k, v = photo.permute(1, 2, 0, 3).contiguous()
        weights = torch.bmm(q[:, :asking], k.transpose(1, 2)).softmax(-1)
        into.copy_(torch.bmm(weights, v).transpose(0, 1))
    return mixed.view(n, asking, -1)


class _Patches(nn.Module):
    """The patch convolution on bytes, the normalisation of pixels in its weights."""

    def __init__(self, conv: nn.Conv2d, normalise: Normalise) -> None:
        super().__init__()
        self._side = conv.kernel_size[0]
        weight = conv.weight.detach().float() / normalise.std
        bias = -(weight * normalise.mean).sum((1, 2, 3))
        if conv.bias is not None:
            bias = bias + conv.bias.detach().float()
        rows = weight.permute(0, 2, 3, 1).flatten(1)  # as a patch lies in the photo: row, column, channel
        self._product = _Product(rows, bias, torch.tensor(0.0), torch.tensor(255.0))

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 [n, 3, size, size] to float32 [n, width, rows, columns]."""
        n, _, height, width = pixels.shape
        rows, columns = height // self._side, width // self._side
        cut = pixels[:, :, : rows * self._side, : columns * self._side].permute(0, 2, 3, 1)
        patches = cut.reshape(n, rows, self._side, columns, self._side, 3).transpose(2, 3)
        found = self._product(patches.reshape(n, rows * columns, -1))
        return found.transpose(1, 2).reshape(n, -1, rows, columns)


class _Bytes(nn.Module):
    """In the place of `Normalise`: `_Patches` takes pixels as they are."""

    def forward(self, pixels: Tensor, _dtype: torch.dtype) -> Tensor:
        return pixels


def to_int8(scorer: ImageScorer, scales: Scales, *, bfloat16: bool) -> None:
    """Replace the layers of the scorer's tower.

    Args:
        scorer: float32, on the CPU; changed.
        scales: of `measure`, for the same weights.
        bfloat16: multiply within attention in bfloat16.

    Raises:
        InputError: this build of torch has no such products.
    """
    if not hasattr(_ops, "qlinear_pointwise"):
        raise InputError("this torch has no int8 products", hint="export with --precision float32")
    visual: Any = scorer.visual
    layers = layers_of(scorer)
    assert isinstance(scorer.normalise, Normalise)
    visual.conv1 = _Patches(visual.conv1, scorer.normalise)
    scorer.normalise = _Bytes()
    alone = visual.pool_type == "tok" and visual.attn_pool is None and not visual.output_tokens
    visual.transformer.resblocks = nn.ModuleList(
        Int8Layer(
            layer,
            scales_of(i, scales),
            alone=alone and i == len(layers) - 1,
            bfloat16=bfloat16,
        )
        for i, layer in enumerate(layers)
    )


def scales_of(number: int, scales: Scales) -> Scales:
    """Those of one layer, from 0, without its number."""
    start = f"{number}."
    return {name.removeprefix(start): value for name, value in scales.items() if name.startswith(start)}


def write_scales(scales: Scales, folder: Path) -> None:
    """Keep them beside the weights."""
    from safetensors.torch import save_file

    save_file(scales, folder / SCALES_FILE)


def read_scales(folder: Path) -> Scales:
    """What `write_scales` wrote.

    Raises:
        InputError: there are none.
    """
    from safetensors.torch import load_file

    path = folder / SCALES_FILE
    if not path.is_file():
        raise InputError(f"{folder} has no {SCALES_FILE}, and int8 needs one", hint="export the model again")
    found: Scales = load_file(path)
    return found


__all__ = [
    "SCALES_FILE",
    "Int8Layer",
    "layers_of",
    "measure",
    "read_scales",
    "scales_of",
    "to_int8",
    "write_scales",
]
