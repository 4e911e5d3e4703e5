"""What a photo's file says about itself: the metadata blocks of JPEG, PNG, WebP, HEIC and AVIF, no pixels.

Everything here comes from a stranger. Lengths are checked against the file, nothing is decompressed past a
cap, and no more than `MAX_BLOCKS` blocks and `MAX_BYTES` bytes are taken; what is damaged ends the reading,
and what was read before it counts.

Sources: ITU T.81 (JPEG), ISO 19566-5 (JUMBF in APP11), the PNG specification, RFC 9649 (WebP), C2PA 2.1
(sections on embedding: APP11, caBX, the C2PA chunk). HEIC and AVIF: `isobmff.py`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, cast

from scorer.provenance.isobmff import image_format, items

Kind = Literal["xmp", "exif", "iptc", "jumbf", "text"]
MAX_BYTES: Final = 8_000_000  # of all blocks of one photo
MAX_BLOCKS: Final = 2_000
MAX_TEXT: Final = 1_000_000  # of one compressed text, once decompressed
_XMP, _XMP_MORE = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_MAX_FILL = 4_096  # bytes between two JPEG segments
_NO_LENGTH = {0x01, *range(0xD0, 0xD8)}  # markers that stand alone


@dataclass(frozen=True, slots=True)
class Block:
    """One block of metadata."""

    kind: Kind
    data: bytes
    key: str = ""  # of a text: its keyword


def metadata_blocks(data: bytes) -> list[Block]:
    """The metadata blocks of an encoded photo; empty where the format is not known or says nothing."""
    if data[:2] == b"\xff\xd8":
        found = _jpeg(data)
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        found = _png(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = _webp(data)
    elif image_format(data) is not None:
        found = (Block(cast(Kind, kind), body) for kind, body in items(data))
    else:
        return []
    blocks: list[Block] = []
    total = 0
    for block in found:
        total += len(block.data)
        if total > MAX_BYTES or len(blocks) == MAX_BLOCKS:
            break
        blocks.append(block)
    return _joined(blocks)


def _jpeg(data: bytes) -> Iterator[Block]:
    """Segments up to the first scan. APP11 pieces come as they stand, to be joined by `_joined`."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes
            fill = len(data[at : at + _MAX_FILL]) - len(data[at : at + _MAX_FILL].lstrip(b"\xff")) - 1
            if fill >= _MAX_FILL - 1:
                return
            at += fill
            continue
        if marker in _NO_LENGTH:
            at += 2
            continue
        if marker in (0xD9, 0xDA):  # the end, or the pixels
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if length < 2 or len(body) != length - 2:
            return
        at += 2 + length
        if marker == 0xE1 and body.startswith(b"Exif\0"):
            yield Block("exif", body[6:])
        elif marker == 0xE1 and body.startswith(_XMP):
            yield Block("xmp", body[len(_XMP) :])
        elif marker == 0xE1 and body.startswith(_XMP_MORE):
            yield Block("xmp", body[len(_XMP_MORE) + 40 :])  # past GUID, full length and offset
        elif marker == 0xED:
            yield Block("iptc", body)
        elif marker == 0xEB and body.startswith(b"JP") and len(body) >= 16:
            yield Block("jumbf", body[2:], key="piece")
        elif marker == 0xFE:
            yield Block("text", body, key="comment")


def _png(data: bytes) -> Iterator[Block]:
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if len(body) != length or kind == b"IEND":
            return
        at += 12 + length
        match kind:
            case b"caBX":
                yield Block("jumbf", body)
            case b"eXIf":
                yield Block("exif", body)
            case b"tEXt" | b"zTXt" | b"iTXt":
                text = _png_text(kind, body)
                if text is not None:
                    yield text


def _png_text(kind: bytes, body: bytes) -> Block | None:
    keyword, found, rest = body[:80].partition(b"\0")[0], body.find(b"\0", 0, 80), b""
    if found < 0:
        return None
    rest = body[found + 1 :]
    compressed = kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        compressed, rest = rest[:1] == b"\1", rest[2:]
        for _ in range(2):  # language, translated keyword
            rest = rest.partition(b"\0")[2]
    if compressed:
        try:
            rest = zlib.decompressobj().decompress(rest, MAX_TEXT)
        except zlib.error:
            return None
    key = keyword.decode("latin-1")
    return Block("xmp" if key == "XML:com.adobe.xmp" else "text", rest, key=key)


def _webp(data: bytes) -> Iterator[Block]:
    at = 12
    while at + 8 <= len(data):
        (length,) = struct.unpack("<I", data[at + 4 : at + 8])
        kind, body = data[at : at + 4], data[at + 8 : at + 8 + length]
        if len(body) != length:
            return
        at += 8 + length + length % 2
        match kind:
            case b"EXIF":
                yield Block("exif", body.removeprefix(b"Exif\0\0"))
            case b"XMP ":
                yield Block("xmp", body)
            case b"C2PA":
                yield Block("jumbf", body)


def _joined(blocks: list[Block]) -> list[Block]:
    """APP11 pieces of one box put together: same instance number, in the order of their sequence numbers."""
    out = [block for block in blocks if block.key != "piece"]
    pieces: dict[int, dict[int, bytes]] = {}
    for block in blocks:
        if block.key == "piece":
            instance, number = struct.unpack(">HI", block.data[:6])
            pieces.setdefault(instance, {}).setdefault(number, block.data[6:])
    for parts in pieces.values():
        whole = b""
        for i, number in enumerate(sorted(parts)):
            # every piece repeats the header of the box; of an extended one, 16 bytes
            header = 16 if parts[number][:4] == b"\0\0\0\1" else 8
            whole += parts[number] if i == 0 else parts[number][header:]
        out.append(Block("jumbf", whole))
    return out


__all__ = ["MAX_BYTES", "MAX_TEXT", "Block", "Kind", "metadata_blocks"]
