"""What the CPU that serves can do: which precision is fastest on it, and how many instances fit.

    python        (torch)         int8 likewise, where there are photos to scale by; without,
                                  bfloat16 where one instruction multiplies twice as many of them as of floats
    python-onnx   (onnxruntime), python-openvino
                                  int8 where the CPU multiplies bytes (VNNI, AMX, Arm's dot product)

Figures: docs/serving.md. Without a known speed-up it stays float32, which needs no proof.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from scorer.serving.weights import Precision

CPUINFO: Final = Path("/proc/cpuinfo")
# Names of /proc/cpuinfo, x86-64 and Arm. Intel's AVX512-BF16 without AMX is left out: it multiplies no more
# bfloat16 in a cycle than floats.
INT8: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
BFLOAT16: Final = frozenset({"amx_bf16", "bf16"})
BFLOAT16_AMD: Final = "avx512_bf16"
MOST_INSTANCES: Final = 8  # each holds the weights once more


def cpu_features(cpuinfo: str | None = None) -> frozenset[str]:
    """The instruction sets of this machine's CPU, in Linux's names; empty elsewhere.

    Args:
        cpuinfo: text of /proc/cpuinfo, this machine's by default.
    """
    text = _cpuinfo() if cpuinfo is None else cpuinfo
    found: set[str] = set()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"}:
            found |= set(value.split())
        elif key.strip() == "vendor_id":
            found.add(value.strip())
    return frozenset(found)


def multiplies_bfloat16(features: Collection[str] | None = None) -> bool:
    """Whether the CPU multiplies more bfloat16 in a cycle than floats.

    Args:
        features: of the CPU, this machine's by default.
    """
    known = frozenset(cpu_features() if features is None else features)
    return bool(known & BFLOAT16) or ("AuthenticAMD" in known and BFLOAT16_AMD in known)


def best_precision(
    backend: str, device: str = "cpu", features: Collection[str] | None = None, *, photos: bool = False
) -> Precision:
    """The fastest precision of an export backend.

    Args:
        backend: as `rank-cli scorer export --backend` names it.
        device: "cpu" or "gpu"; every GPU that TensorRT supports today multiplies bfloat16.
        features: of the CPU, this machine's by default.
        photos: there are some to scale activations by.
    """
    if device == "gpu":
        return "bfloat16" if backend in {"python", "tensorrt"} else "float32"
    known = frozenset(cpu_features() if features is None else features)
    int8 = {"python-onnx", "python-openvino"} | ({"python"} if photos else set())
    if backend in int8 and known & INT8:
        return "int8"
    if backend == "python" and multiplies_bfloat16(known):
        return "bfloat16"
    return "float32"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def instances_for(n_cores: int | None = None) -> int:
    """Instances, of one thread each, that keep these cores busy."""
    return max(1, min(n_cores or cores(), MOST_INSTANCES))


def _cpuinfo() -> str:
    try:
        return CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


__all__ = ["best_precision", "cores", "cpu_features", "instances_for", "multiplies_bfloat16"]
