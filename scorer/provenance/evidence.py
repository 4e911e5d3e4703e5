"""How probably a photo was made by a generator, by what its file declares.

Probabilities are ours, chosen so that the profile's usual limit (0.5) falls between "a generator made or
composed it" and "edited or captured": a declaration can be stripped or forged, so none is 0 or 1.

Source of the terms: IPTC, "Digital Source Type" NewsCodes, http://cv.iptc.org/newscodes/digitalsourcetype/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from scorer.provenance.containers import Block
from scorer.provenance.generators import generator_of, generator_of_keyword
from scorer.provenance.jumbf import Assertion, assertions

SOURCE_TYPES: Final[dict[str, float]] = {
    "trainedAlgorithmicMedia": 0.99,  # a model made it
    "compositeWithTrainedAlgorithmicMedia": 0.8,  # a model made a part of it
    "compositeSynthetic": 0.8,
    "algorithmicMedia": 0.7,  # computed, by no trained model
    "dataDrivenMedia": 0.6,
    "virtualRecording": 0.6,
    "digitalCreation": 0.3,  # drawn by a person
    "digitalArt": 0.3,
    "composite": 0.2,
    "algorithmicallyEnhanced": 0.1,
    "screenCapture": 0.1,
    "minorHumanEdits": 0.05,
    "humanEdits": 0.05,
    "compositeCapture": 0.03,
    "computationalCapture": 0.02,
    "digitalCapture": 0.02,
    "negativeFilm": 0.02,
    "positiveFilm": 0.02,
    "print": 0.02,
}
BY_SETTINGS: Final = 0.97  # a generator's own settings are in the file
BY_NAME: Final = 0.9  # its name is
_LOOKED_AT: Final = ("softwareAgent", "claim_generator", "claim_generator_info", "name")
_TYPE_URI = re.compile(r"digitalsourcetype/([A-Za-z]{3,60})")
_XMP_TYPE = re.compile(
    r"DigitalSourceType(?:\s*=\s*[\"']|[^<>]{0,60}?(?:resource\s*=\s*[\"']|>))\s*([^\"'<>\s]{3,200})",
    re.IGNORECASE,
)
_EXIF_TEXTS: Final = (0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298, 0x9C9C, 0x9C9E)
_USER_COMMENT: Final = 0x9286
_MAX_TEXTS: Final = 40  # texts of one photo that are searched
_MAX_XMP: Final = 500_000  # characters of one XMP packet that are
_MAX_VALUES: Final = 20_000  # of one assertion that are looked at


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that a file says."""

    probability: float
    source: str  # such as c2pa:trainedAlgorithmicMedia, or metadata:midjourney


def evidence_of(blocks: list[Block]) -> Iterator[Evidence]:
    """Whatever the blocks say about how the photo was made."""
    texts = [block for block in blocks if block.kind != "jumbf"][:_MAX_TEXTS]
    for block in [*texts, *(block for block in blocks if block.kind == "jumbf")]:
        match block.kind:
            case "jumbf":
                for assertion in assertions(block.data):
                    yield from _of_assertion(assertion)
            case "xmp":
                yield from _of_xmp(_text(block.data[:_MAX_XMP]))
            case "exif":
                yield from _named(*_exif_texts(block.data))
            case "text":
                text = _text(block.data[:_MAX_XMP])
                by_keyword = generator_of_keyword(block.key, text)
                if by_keyword is not None:
                    yield Evidence(BY_SETTINGS, f"metadata:{by_keyword}")
                yield from _named(text)
            case "iptc":
                yield from _named(_text(block.data[:_MAX_XMP]))


def _of_assertion(assertion: Assertion) -> Iterator[Evidence]:
    """Source types anywhere in an assertion, and names of generators where software is named."""
    waiting: list[tuple[str, Any]] = [("", assertion.value)]
    for _ in range(_MAX_VALUES):
        if not waiting:
            return
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(name if isinstance(name, str) else "", item) for name, item in value.items()]
        elif isinstance(value, list):
            waiting += [(key, item) for item in value]
        elif isinstance(value, str):
            if key.rpartition(":")[2].lower() == "digitalsourcetype":
                yield from _of_source_type(value, "c2pa")
            elif key in _LOOKED_AT and generator_of(value) is not None:
                yield Evidence(BY_NAME, f"c2pa:{generator_of(value)}")


def _of_source_type(value: str, where: str) -> Iterator[Evidence]:
    found = _TYPE_URI.search(value)
    term = found.group(1) if found else value.rpartition("/")[2]
    known = {name.lower(): name for name in SOURCE_TYPES}.get(term.lower())
    if known is not None:
        yield Evidence(SOURCE_TYPES[known], f"{where}:{known}")


def _of_xmp(text: str) -> Iterator[Evidence]:
    for found in _XMP_TYPE.finditer(text):
        yield from _of_source_type(found.group(1), "iptc")
    yield from _named(text)


def _named(*texts: str) -> Iterator[Evidence]:
    for text in texts:
        name = generator_of(text)
        if name is not None:
            yield Evidence(BY_NAME, f"metadata:{name}")


def _exif_texts(data: bytes) -> list[str]:
    """Texts of EXIF that name software, makers or what was said of the photo."""
    exif = Image.Exif()
    try:
        exif.load(b"Exif\0\0" + data)
        values = [exif.get(tag) for tag in _EXIF_TEXTS] + [exif.get_ifd(0x8769).get(_USER_COMMENT)]
    except Exception:  # whatever a parser of a stranger's bytes may raise
        return [_text(data)]  # what cannot be parsed can be searched
    texts = []
    for value in values:
        if isinstance(value, bytes):
            texts.append(_text(value[8:] if value[:8] in (b"ASCII\0\0\0", b"UNICODE\0") else value))
        elif isinstance(value, str):
            texts.append(value)
    return texts


def _text(data: bytes) -> str:
    """Bytes as text, whatever they are: UTF-16 where every other byte is zero."""
    sample = data[:200]
    if len(sample) >= 8 and sample[1::2].count(0) > len(sample) // 3:
        return data.decode("utf-16-le", "replace")
    if len(sample) >= 8 and sample[::2].count(0) > len(sample) // 3:
        return data.decode("utf-16-be", "replace")
    return data.decode("utf-8", "replace")


__all__ = ["BY_NAME", "BY_SETTINGS", "SOURCE_TYPES", "Evidence", "evidence_of"]
