"""Phones send HEIC, browsers AVIF: read upright where a reader is there, else refused with a sentence."""

from __future__ import annotations

import io
import json
import struct
import sys

import numpy as np
import pytest
from PIL import Image, features
from typer.testing import CliRunner

from ranking.cli.scorer import app
from ranking.item_message import AiGenerated
from scorer.model.photo import PhotoError, open_photo, preprocess, read_photo
from scorer.provenance import ai_generated
from scorer.provenance.containers import metadata_blocks
from scorer.provenance.isobmff import image_format, items
from tests.unit.scorer.photo_zoo import scene
from tests.unit.scorer.test_provenance import FORMS, created, exif, signed, signer  # noqa: F401

FORMATS = ["HEIF", "AVIF"]


def encoded(format, image=None, **options):
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    out = io.BytesIO()
    (image or scene(96, 72)).save(out, format, quality=90, **options)
    return out.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_the_pixels_are_those_of_the_photo(format):
    found = read_photo(encoded(format), 48).astype(int)
    assert np.abs(found - preprocess(scene(96, 72), 48)).mean() < 4


@pytest.mark.parametrize("format", FORMATS)
def test_a_turned_photo_is_upright_once_and_not_twice(format):
    turn = Image.Exif()
    turn[0x0112] = 6
    stored = encoded(format, scene(96, 72).transpose(Image.Transpose.ROTATE_90), exif=turn.tobytes())
    upright = preprocess(scene(96, 72), 48).astype(int)
    assert np.abs(read_photo(stored, 48) - upright).mean() < 4
    assert np.abs(upright[::-1] - upright).mean() > 20  # a wrong turn would show


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_too_large_or_cut_is_refused(format):
    data = encoded(format)
    with pytest.raises(PhotoError, match="96 x 72 pixels; at most 100"):
        open_photo(data, max_pixels=100)
    for at in range(40, len(data), len(data) // 12):
        with pytest.raises(PhotoError):
            read_photo(data[:at], 32)


def test_without_a_reader_the_refusal_says_what_to_install(tmp_path, monkeypatch):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100
    (tmp_path / "phone.heic").write_bytes(heic)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    done = CliRunner().invoke(app, ["score", str(tmp_path / "phone.heic"), "--format", "json"])
    assert done.exit_code == 1
    (row,) = json.loads(done.stdout)["photos"]
    assert row["score"] is None
    assert row["error"].endswith(
        "phone.heic is HEIC, which needs pillow-heif: pip install 'rank-toolkit[heic]'"
    )
    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(
        PhotoError, match=r"is AVIF, which this Pillow cannot read: pip install 'pillow>=11\.3'"
    ):
        open_photo(heic.replace(b"heic", b"avif"))


def test_the_brands_say_the_format():
    def ftyp(*brands):
        return struct.pack(">I4s4sI", 16 + 4 * len(brands[1:]), b"ftyp", brands[0], 0) + b"".join(brands[1:])

    assert image_format(ftyp(b"heic", b"mif1", b"heic")) == "HEIC"
    assert image_format(ftyp(b"mif1", b"avif", b"miaf")) == "AVIF"
    assert image_format(ftyp(b"mif1", b"jpeg")) == "HEIF"
    assert image_format(ftyp(b"isom", b"mp42")) is None  # a film
    assert image_format(b"") is image_format(b"\xff\xd8\xff\xe0") is None


@pytest.mark.parametrize("format", FORMATS)
def test_generators_are_known_by_exif_and_xmp(format):
    assert ai_generated(encoded(format)) is None
    named = encoded(format, exif=exif(software="Adobe Firefly").tobytes())
    assert ai_generated(named) == AiGenerated(probability=0.9, source="metadata:firefly")
    declared = encoded(format, xmp=FORMS["element"].encode())
    assert ai_generated(declared) == AiGenerated(probability=0.99, source="iptc:trainedAlgorithmicMedia")


@pytest.mark.parametrize("format", ["HEIC", "AVIF"])
def test_a_manifest_that_the_c2pa_library_signed_is_read(signer, format):  # noqa: F811
    source = encoded("HEIF" if format == "HEIC" else format)
    import c2pa

    manifest = {"claim_generator_info": [{"name": "test", "version": "1"}], "assertions": [
        {"label": "c2pa.actions", "data": {"actions": [created("trainedAlgorithmicMedia")]}}]}  # fmt: skip
    out = io.BytesIO()
    c2pa.Builder(json.dumps(manifest)).sign(signer, f"image/{format.lower()}", io.BytesIO(source), out)
    found = ai_generated(out.getvalue())
    assert found == AiGenerated(probability=0.99, source="c2pa:trainedAlgorithmicMedia")
    assert read_photo(out.getvalue(), 48).shape == (48, 48, 3)


def box(kind, body):
    return struct.pack(">I", len(body) + 8) + kind + body


def described(places, store=b"", version=1):
    """A file whose one XMP item lies where `places` says: (construction method, offset, length)."""
    infe = box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 7, 0) + b"mime" + b"x\0application/rdf+xml\0")
    iinf = box(b"iinf", b"\0\0\0\0" + struct.pack(">H", 1) + infe)
    method, offset, length = places
    iloc = bytes([version, 0, 0, 0, 0x44, 0x00]) + struct.pack(">HH", 1, 7)
    iloc += (struct.pack(">H", method) if version else b"") + struct.pack(">HHII", 0, 1, offset, length)
    meta = box(b"meta", b"\0\0\0\0" + iinf + box(b"iloc", iloc) + box(b"idat", store))
    return box(b"ftyp", b"avif\0\0\0\0") + meta


def test_an_item_is_found_in_the_file_or_beside_its_description():
    assert list(items(described((1, 3, 4), b"...here..."))) == [("xmp", b"here")]
    whole = described((0, 0, 0), b"word", version=0)
    assert list(items(described((0, whole.index(b"word"), 4), b"word", version=0))) == [("xmp", b"word")]
    assert list(items(described((2, 0, 4), b"here"))) == []  # made of other items: not followed


HOSTILE = {
    "beyond the file": described((0, 2**32 - 1, 2**32 - 1)),
    "more than the cap": described((1, 0, 2**31), b"x"),
    "many boxes": box(b"ftyp", b"heic\0\0\0\0") + box(b"free", b"") * 200_000,
    "a length of nothing": box(b"ftyp", b"heic\0\0\0\0") + b"\0\0\0\1meta" + b"\0" * 8,
    "a short manifest": box(b"ftyp", b"avif\0\0\0\0")
    + box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481")),
    "extents without end": box(b"ftyp", b"avif\0\0\0\0")
    + box(b"meta", b"\0\0\0\0" + box(b"iloc", b"\2\0\0\0\0\0" + b"\xff" * 4_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_says_nothing_and_raises_nothing(name):
    assert [block for block in metadata_blocks(HOSTILE[name]) if block.data.strip(b"\0")] == []


def test_any_change_of_a_byte_raises_nothing():
    data, rng = encoded("AVIF", xmp=FORMS["element"].encode()), np.random.default_rng(0)
    for _ in range(400):
        changed = bytearray(data)
        for place in rng.integers(0, min(len(data), 1_200), 6):
            changed[place] = rng.integers(256)
        ai_generated(bytes(changed))
