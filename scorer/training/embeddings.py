"""Embeddings computed once: a file keyed by what the photo is and what the tower is.

A photo is known by the SHA-256 of its encoded bytes and a tower by that of its weights and input, so a
renamed photo is found again and a changed one is not. SQLite holds them: a stopped run keeps all batches
that it finished, and two runs may share one file.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from ranking.errors import InputError
from scorer.model.photo import PhotoError, read_photo
from scorer.model.tower import Tower, embedding_of

FILE: Final = "embeddings.sqlite"
_BATCH: Final = 32
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS embedding (tower TEXT, photo TEXT, mirrored INTEGER, vector BLOB, "
    "PRIMARY KEY (tower, photo, mirrored)) WITHOUT ROWID"
)

Vectors = NDArray[np.float32]


def tower_key(tower: Tower) -> str:
    """16 hex digits over the weights and the input that they take."""
    facts = [tower.image_size, tower.embed_dim, tower.mean, tower.std]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name, value in sorted(tower.visual.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def embed_photos(
    tower: Tower,
    folder: Path,
    names: Iterable[str],
    cache: Path,
    *,
    mirrored: bool = False,
    advance: Callable[[int], object] | None = None,
) -> Vectors:
    """Raw embeddings of photos, from the cache where they are there.

    Args:
        tower: as `load_tower` gives it.
        folder: where the names start.
        names: photos below the folder; a name that comes twice is read once.
        cache: folder of the cache file; made where it is absent.
        mirrored: embed the mirror image.
        advance: told how many photos were done.

    Returns:
        float32, shape (n, embed_dim), in the order of `names`, not normalised.

    Raises:
        PhotoError: a photo is absent or broken.
        InputError: the cache file is none of ours.
    """
    wanted = list(names)
    photos = list(dict.fromkeys(wanted))
    keys = {name: _photo_key(folder / name) for name in photos}
    own = tower_key(tower)
    cache.mkdir(parents=True, exist_ok=True)
    with closing(_connect(cache / FILE)) as file:
        known = _read(file, own, mirrored, keys.values())
        missing = list({keys[name]: name for name in photos if keys[name] not in known}.values())
        if advance is not None:
            advance(len(photos) - len(missing))
        for start in range(0, len(missing), _BATCH):
            part = missing[start : start + _BATCH]
            vectors = _embed(tower, [folder / name for name in part], mirrored)
            rows = [
                (own, keys[name], int(mirrored), v.tobytes()) for name, v in zip(part, vectors, strict=True)
            ]
            with file:
                file.executemany("INSERT OR IGNORE INTO embedding VALUES (?, ?, ?, ?)", rows)
            known |= {keys[name]: v for name, v in zip(part, vectors, strict=True)}
            if advance is not None:
                advance(len(part))
    return np.stack([known[keys[name]] for name in wanted])


def _connect(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, timeout=60)
    try:
        with file:
            file.execute(_TABLE)
    except sqlite3.DatabaseError as e:
        file.close()
        raise InputError(
            f"{path} is no cache of embeddings: {e}", hint="remove it, or name another"
        ) from None
    return file


def _read(file: sqlite3.Connection, tower: str, mirrored: bool, keys: Iterable[str]) -> dict[str, Vectors]:
    found = {}
    for key in set(keys):
        row = file.execute(
            "SELECT vector FROM embedding WHERE tower = ? AND photo = ? AND mirrored = ?",
            (tower, key, int(mirrored)),
        ).fetchone()
        if row:
            found[key] = np.frombuffer(row[0], dtype=np.float32)
    return found


def _embed(tower: Tower, paths: Sequence[Path], mirrored: bool) -> Vectors:
    pixels = np.stack([read_photo(path, tower.image_size) for path in paths])
    if mirrored:
        pixels = pixels[:, :, ::-1]
    mean = torch.tensor(tower.mean).view(1, 3, 1, 1) * 255.0
    std = torch.tensor(tower.std).view(1, 3, 1, 1) * 255.0
    with torch.inference_mode():
        x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        vectors: Vectors = embedding_of(tower.visual, (x - mean) / std).float().numpy()
    return vectors


def _photo_key(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    except FileNotFoundError:
        raise PhotoError(f"{path} does not exist") from None
    except OSError as e:
        raise PhotoError(f"{path} cannot be read: {e.strerror}") from None


__all__ = ["FILE", "embed_photos", "tower_key"]
