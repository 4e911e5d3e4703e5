"""Photos: from the address in a message to the pixels that the model takes.

An address comes from a seller, so it is not trusted: a file is read only below the root that the operator
allows, a server only where it is public (or the operator says otherwise), and nothing larger than the cap is
read. Decoding is `scorer.model.photo`'s, which refuses what would be too many pixels; what the file says of
how it was made, `scorer.provenance` reads.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from ranking.item_message import AiGenerated
from scorer.ingest.download import download
from scorer.model.photo import PhotoError, read_photo
from scorer.provenance import Classifier, ai_generated

Pixels = NDArray[np.uint8]  # [height, width, 3], RGB

MAX_BYTES: Final = 20_000_000  # of one encoded photo
_DATA_URI = re.compile(r"data:[^,]*?(;base64)?,", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One photo, decoded, and what is known of how it was made."""

    pixels: Pixels
    ai: AiGenerated | None = None
    digest: str | None = None  # of the encoded bytes, as `photo_digest` makes it


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """A photo that was read and not decoded, since its score is known."""

    digest: str


def photo_digest(data: bytes) -> str:
    """SHA-256 of an encoded photo, its first 128 bits in hex: the same bytes under any address."""
    return hashlib.sha256(data).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoSource:
    """Where photos may come from, and how large they may be."""

    root: Path | None = None  # files are read below this folder only; None refuses every file
    allow_http: bool = True
    allow_private_hosts: bool = False  # addresses inside the operator's own network
    max_bytes: int = MAX_BYTES
    timeout_s: float = 10.0  # connect, and each read, of a download

    def read(self, url: str) -> bytes:
        """The encoded photo behind a file path, `file:`, `data:`, `http:` or `https:` address.

        Raises:
            PhotoError: not allowed, not there, empty or too large.
        """
        scheme = url[: url.index(":")].lower() if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", url) else ""
        match scheme:
            case "data":
                data = _read_data_uri(url)
            case "http" | "https":
                if not self.allow_http:
                    raise PhotoError("downloads are switched off, and the photo's address is a web address")
                try:
                    data = download(
                        url,
                        max_bytes=self.max_bytes,
                        timeout_s=self.timeout_s,
                        allow_private_hosts=self.allow_private_hosts,
                    )
                except InputError as e:
                    raise PhotoError(str(e)) from e
            case "file":
                parts = urlsplit(url)
                if parts.netloc not in ("", "localhost"):
                    raise PhotoError(f"the file is on another machine ({parts.netloc})")
                data = self._read_file(unquote(parts.path))
            case "":
                data = self._read_file(url)
            case other:
                raise PhotoError(f"addresses that start with {other}: are not supported")
        if not data:
            raise PhotoError("the photo is empty")
        if len(data) > self.max_bytes:
            raise PhotoError(f"the photo has more than {self.max_bytes} bytes")
        return data

    def _read_file(self, name: str) -> bytes:
        if self.root is None:
            raise PhotoError("photos in files are refused until a photos root is given (--photos-root)")
        root = self.root.resolve()
        try:
            path = (root / name).resolve()  # follows links, so one that leads outside is seen
            if not path.is_relative_to(root):
                raise PhotoError("the photo's path leads outside the photos root")
            if path.exists() and not path.is_file():
                raise PhotoError("the photo's path is not a plain file")
            with path.open("rb") as file:
                return file.read(self.max_bytes + 1)
        except (OSError, ValueError) as e:
            reason = getattr(e, "strerror", None) or str(e)
            raise PhotoError(f"the photo's file cannot be read: {reason}") from e


def _read_data_uri(url: str) -> bytes:
    head = _DATA_URI.match(url)
    if head is None:
        raise PhotoError("the data: address has no comma before its data")
    payload = unquote_to_bytes(url[head.end() :])
    if head.group(1) is None:
        return payload
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error as e:
        raise PhotoError(f"the data: address is not base64: {e}") from e


class PhotoLoader:
    """Reads and decodes photos in a pool of threads; both release the interpreter while they work.

    Args:
        source: where photos may come from.
        decode: encoded bytes to pixels; raises PhotoError where they are no photo.
        threads: photos that are loaded at a time.
        classifier: says how probably a generator made a photo, where its file does not say so.
    """

    def __init__(
        self,
        source: PhotoSource,
        decode: Callable[[bytes], Pixels],
        *,
        threads: int = 4,
        classifier: Classifier | None = None,
    ) -> None:
        self._source = source
        self._decode = decode
        self._classifier = classifier
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="photos")

    @classmethod
    def for_size(
        cls, source: PhotoSource, size: int, *, threads: int = 4, classifier: Classifier | None = None
    ) -> PhotoLoader:
        """A loader with the model's own preprocessing, for a model that takes `size` x `size` pixels."""
        return cls(source, lambda data: read_photo(data, size), threads=threads, classifier=classifier)

    def submit(self, url: str) -> Future[Photo]:
        """Begin to load one photo; the future raises PhotoError where it cannot be had."""
        return self._pool.submit(self._load, url)

    def submit_unless(self, url: str, known: Callable[[str], bool]) -> Future[Photo | KnownPhoto]:
        """Begin to read one photo, and to decode it unless `known` says so of its digest."""
        return self._pool.submit(self._load_unless, url, known)

    def _load_unless(self, url: str, known: Callable[[str], bool]) -> Photo | KnownPhoto:
        data = self._source.read(url)
        digest = photo_digest(data)
        return KnownPhoto(digest) if known(digest) else self._decoded(data, digest)

    def _load(self, url: str) -> Photo:
        data = self._source.read(url)
        return self._decoded(data, photo_digest(data))

    def _decoded(self, data: bytes, digest: str) -> Photo:
        pixels = self._decode(data)
        return Photo(pixels, ai_generated(data, pixels, self._classifier), digest)

    def close(self) -> None:
        """End the threads; what was not begun is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)


__all__ = [
    "MAX_BYTES",
    "KnownPhoto",
    "Photo",
    "PhotoError",
    "PhotoLoader",
    "PhotoSource",
    "Pixels",
    "photo_digest",
]
