"""Triton on a CPU: kernels of a ViT-B/16 against float32 eager torch, each through the same server.

Every kernel is served with the same photos, requests and cores, one after another, and the same
kernel runs in process beside it (as many processes as the server has instances, one thread each). The roof
of a precision is what the dense products of the twelve layers take by themselves, as fast as torch does them.
Photos are those of ../shared (RANK_SHARED); the weights are random (see `benchmarks.vit`), which changes no
product of matrices. Rates are of the model; decoding is measured apart, on both ends.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from scorer.model.photo import read_photo
from scorer.serving import AsyncScoreClient, ServingOptions, load_into, write_repository
from scorer.serving.cpu import cores, cpu_features, instances_for
from scorer.serving.names import MODEL_NAME
from scorer.serving.repository import Exported

N_PHOTOS = int(os.environ.get("N_PHOTOS", "96"))
REPEATS = 3  # of the photos, in one served run
BATCH = 8  # photos a request
CONCURRENCY = 8  # requests under way: while two batches run, the next two wait in the server
TARGETS = {"times_float32_eager": 4.2, "served_to_in_process": 0.95, "spearman": 0.999}
KERNELS = {  # name -> (backend of the export, precision)
    "torch float32 eager": ("python", "float32"),
    "torch bfloat16": ("python", "bfloat16"),
    "torch int8": ("python", "int8"),
    "onnxruntime float32": ("python-onnx", "float32"),
    "onnxruntime int8 dynamic": ("python-onnx", "int8"),
    "openvino bfloat16": ("python-openvino", "bfloat16"),
    "openvino int8 static": ("python-openvino", "int8"),
}
BASE = "torch float32 eager"
_LAYER = ((768, 2304), (768, 768), (768, 3072), (3072, 768))  # in and out of a layer's dense products, ViT-B


def run() -> dict[str, Any]:
    wanted = os.environ.get("KERNELS")
    kernels = {name: KERNELS[name] for name in (wanted.split(",") if wanted else KERNELS)}
    files = _photos()
    pixels = np.stack([read_photo(file, 224) for file in files])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("SERVING_BENCH_FOLDER", temporary))  # kept, exports are made once
        exports = _exports(folder, kernels, pixels)
        if os.environ.get("PREPARE_ONLY"):
            return {"prepared": list(exports)}
        served = {
            name: _kernel(exported, *kernels[name], pixels, Path(temporary))
            for name, exported in exports.items()
        }
    return {
        "what": "photos per second of a ViT-B/16 (random weights) through Triton on a CPU, and in process",
        "photos": f"{len(files)} of the held-out photos in ../shared/photos, squashed to 224 x 224",
        "device": f"CPU: {_cpu_name()}, {cores()} cores, {', '.join(_fast()) or 'no fast bytes'}; no GPU",
        "requests": f"{CONCURRENCY} under way, {BATCH} photos each; {instances_for()} instances of 1 thread",
        "targets": TARGETS,
        "kernels": _compared(served),
        "roof": _roof(served.get(BASE)),
        "decode_one_core": _decode_rates(files),
    }


def _photos() -> list[bytes]:
    shared = Path(os.environ.get("RANK_SHARED", "../shared"))
    paths = sorted((shared / "photos" / "validation").rglob("*.jpg"))
    if not paths:
        raise RuntimeError(f"no photos in {shared / 'photos'}: set RANK_SHARED")
    step = max(1, len(paths) // N_PHOTOS)
    return [path.read_bytes() for path in paths[::step][:N_PHOTOS]]


def _exports(
    folder: Path, kernels: dict[str, tuple[str, str]], pixels: NDArray[np.uint8]
) -> dict[str, Exported]:
    from benchmarks.vit import write_scorer

    if not (folder / "vit").exists():
        write_scorer(folder / "vit", pixels[: N_PHOTOS // 2])
    exports = {}
    for name, (backend, precision) in kernels.items():
        kept = folder / f"{backend}-{precision}" / "exported.json"
        if not kept.is_file():
            made = _export(kept.parent / "models", folder / "vit", backend, precision, pixels)
            kept.write_text(json.dumps([str(made.folder), made.number, made.model_version]))
        where, number, version = json.loads(kept.read_text())
        exports[name] = Exported(Path(where), number, version, changed=True)
    return exports


def _kernel(
    exported: Exported, backend: str, precision: str, pixels: NDArray[np.uint8], temporary: Path
) -> Any:
    with _serving(exported, temporary / f"{backend}-{precision}") as url:
        before = _counts(url)
        rate, scores = _served(url, pixels)
        after = _counts(url)
    n_photos, n_batches = after[0] - before[0], after[1] - before[1]
    print(f"{backend} {precision}: {rate:.2f} photos/s served", file=sys.stderr)
    return {
        "scores": scores,
        "served": rate,
        "in_process": _in_process(exported.version_folder, backend, precision, pixels),
        "photos_per_execution": round(n_photos / n_batches, 1),
    }


@contextmanager
def _serving(exported: Exported, state: Path) -> Iterator[str]:
    """A server of its own that has loaded one export; yields its address."""
    from stack import Options, down, up

    os.environ.pop("TRITON_URL", None)
    options = Options(model_repository=exported.folder.parent, ports={"triton": _free_port()})
    url = up(["triton"], options=options, state_dir=state)["triton"].address
    try:
        assert url is not None
        load_into(exported, url)
        yield url
    finally:
        down(["triton"], state_dir=state, purge=True)


def served_rate(exported: Exported, state: Path, ask: Callable[[str], Any], n: int) -> float:
    """Photos per second of one export: `ask(url)` for all `n` photos, the best of two after a warm-up."""
    with _serving(exported, state) as url:
        ask(url)
        return _best(lambda: ask(url), n)[0]


def _free_port() -> int:
    """One that no other stack of this machine chooses at the same moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _export(
    repository: Path, scorer: Path, backend: str, precision: Any, pixels: NDArray[np.uint8]
) -> Exported:
    from scorer.export import write_onnx_repository

    options = ServingOptions(precision=precision, instances=instances_for(), max_batch_size=2 * BATCH)
    if backend == "python":
        return write_repository(repository, str(scorer), options=options, photos=pixels[::4])
    onnx: Any = backend
    return write_onnx_repository(repository, str(scorer), backend=onnx, options=options, photos=pixels[::4])


def _counts(url: str) -> tuple[int, int]:
    """Photos scored and executions of the model, by the server's own counters."""
    from tritonclient import grpc

    server = grpc.InferenceServerClient(url)
    try:
        models = server.get_inference_statistics(MODEL_NAME).model_stats
        return sum(int(m.inference_count) for m in models), sum(int(m.execution_count) for m in models)
    finally:
        server.close()


def _served(url: str, pixels: NDArray[np.uint8]) -> tuple[float, NDArray[np.float32]]:
    async def all_of(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        async with AsyncScoreClient(url, deadline_s=120, concurrency=CONCURRENCY) as asking:
            parts = np.split(photos, range(BATCH, len(photos), BATCH))
            scored = await asyncio.gather(*(asking.score(part) for part in parts))
        return np.concatenate([part.scores for part in scored])

    asyncio.run(all_of(pixels[: 4 * BATCH]))
    often = np.concatenate([pixels] * REPEATS)  # in a short run the last batch, on one core, would weigh
    rate, scores = _best(lambda: asyncio.run(all_of(often)), len(often))
    return rate, scores[: len(pixels)]


def _best(work: Callable[[], Any], n: int, rounds: int = 2) -> tuple[float, Any]:
    best, result = float("inf"), None
    for _ in range(rounds):
        began = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - began)
    return n / best, result


_score: Callable[[Any], Any]


def _in_process(version: Path, backend: str, precision: str, pixels: NDArray[np.uint8]) -> float:
    """The same kernel in as many processes as the server has instances."""
    parts = np.split(pixels, range(BATCH, len(pixels), BATCH))
    context = multiprocessing.get_context("spawn")
    n = instances_for()
    with ProcessPoolExecutor(n, context, initializer=_load, initargs=(version, backend, precision)) as pool:
        list(pool.map(_one, parts[: 4 * n]))
        rate, _ = _best(lambda: list(pool.map(_one, parts)), len(pixels))
    return rate


def _load(version: Path, backend: str, precision: Any) -> None:
    global _score  # noqa: PLW0603  (of one worker process)
    if backend == "python":
        import torch

        from scorer.serving.weights import load_weights

        torch.set_num_threads(1)
        _score = load_weights(version / "weights", precision=precision).score
    elif backend == "python-onnx":
        from scorer.export import OnnxScorer

        _score = OnnxScorer(version / "model.onnx").score
    else:
        from scorer.export.triton_model import _openvino

        run = _openvino(version / "model.onnx", 1, "", "bf16" if precision == "bfloat16" else "f32")
        _score = lambda photos: run(["score"], photos)[0][:, 0]  # noqa: E731


def _one(part: NDArray[np.uint8]) -> Any:
    return _score(part)


def _compared(served: dict[str, Any]) -> dict[str, Any]:
    base = served.get(BASE)
    rows = {}
    for name, row in served.items():
        rows[name] = {
            "served": round(row["served"], 2),
            "in_process": round(row["in_process"], 2),
            "served_to_in_process": round(row["served"] / row["in_process"], 3),
            "photos_per_execution": row["photos_per_execution"],
        }
        if base is not None:
            rows[name] |= {
                "times_float32_eager": round(row["served"] / base["served"], 2),
                "spearman": round(float(spearmanr(base["scores"], row["scores"]).statistic), 5),
                "largest_score_difference": float(f"{np.abs(base['scores'] - row['scores']).max():.2g}"),
            }
    return rows


def _roof(base: Any) -> dict[str, Any]:
    """Photos per second that the dense products alone allow on all cores, and its ratio to the base."""
    context = multiprocessing.get_context("spawn")
    n = instances_for()
    rows: dict[str, Any] = {}
    with ProcessPoolExecutor(n, context) as pool:
        for precision in ("float32", "bfloat16", "int8"):
            list(pool.map(_products, [precision] * n))
            rate = sum(sorted(pool.map(_products, [precision] * 5 * n))[-n:])  # the best, one a core
            rows[precision] = {"photos_per_second": round(rate, 2)}
            if base is not None:
                rows[precision]["times_float32_eager"] = round(rate / base["served"], 2)
    return rows


def _products(precision: str) -> float:
    """Photos per second of one thread that does nothing but a layer's four products, 12 times a photo."""
    import torch

    torch.set_num_threads(1)
    rows, layers = BATCH * 197, 12
    operands = [(torch.randn(rows, i), torch.randn(i, o)) for i, o in _LAYER]
    if precision == "int8":
        bytes_ = [((10 * a).to(torch.int8), (10 * b).to(torch.int8)) for a, b in operands]
        work: Callable[[], Any] = lambda: [torch._int_mm(a, b) for a, b in bytes_]  # noqa: E731
    else:
        cast = [(a.to(getattr(torch, precision)), b.to(getattr(torch, precision))) for a, b in operands]
        work = lambda: [a @ b for a, b in cast]  # noqa: E731
    return _best(work, BATCH, rounds=5)[0] / layers


def _decode_rates(files: list[bytes]) -> dict[str, float]:
    """Photos per second of one core, from JPEG to 224 x 224; simplejpeg where it is installed."""
    from PIL import Image

    from scorer.model.photo import open_photo, preprocess

    ways: dict[str, Callable[[bytes], Any]] = {
        "Pillow, whole": lambda file: preprocess(open_photo(file), 224),
        "Pillow, DCT-scaled (as shipped)": lambda file: read_photo(file, 224),
    }
    try:
        import simplejpeg
    except ImportError:
        pass
    else:
        ways["simplejpeg, DCT-scaled, Pillow bicubic"] = lambda file: Image.fromarray(
            simplejpeg.decode_jpeg(file, min_height=448, min_width=448, min_factor=1)
        ).resize((224, 224), Image.Resampling.BICUBIC)
    kb = sum(map(len, files)) / len(files) / 1000
    rates = {
        name: round(_best(lambda way=way: [way(file) for file in files], len(files))[0], 1)  # type: ignore[misc]
        for name, way in ways.items()
    }
    return rates | {"mean_kb_of_a_file": round(kb, 1), "kb_of_its_pixels": 150.5}


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def _fast() -> list[str]:
    names = ("avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8", "asimddp", "bf16")
    return [name for name in names if name in cpu_features()]
