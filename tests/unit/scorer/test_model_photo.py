"""A photo of any mode, size and orientation becomes the model's input, or is refused with a sentence."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from ranking.errors import InputError
from scorer.model.photo import PhotoError, open_photo, preprocess, read_photo


def picture(width=60, height=40, seed=0):
    """Smooth and without symmetry, so that a wrong rotation shows."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], axis=2)
    return Image.fromarray(rgb.astype(np.uint8))


def encoded(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (3, 7), (160, 160), (1333, 751)])
def test_any_size_becomes_the_models_input(size):
    pixels = preprocess(picture(*size), 160)
    assert pixels.shape == (160, 160, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"]
)
def test_every_mode_becomes_rgb(mode):
    grey = Image.new("L", (32, 32), 200)
    image = grey.convert("RGB").convert(mode) if mode not in {"PA", "LAB"} else Image.new(mode, (32, 32))
    assert preprocess(image, 32).shape == (32, 32, 3)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "YCbCr", "P"])
def test_a_grey_photo_keeps_its_grey_in_every_mode(mode):
    grey = Image.new("RGB", (32, 32), (200, 200, 200))
    image = grey.quantize(4) if mode == "P" else grey.convert(mode)
    assert np.abs(preprocess(image, 16).astype(int) - 200).max() <= 2


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_sixteen_bits_are_scaled_to_eight(mode):
    deep = np.full((20, 20), 32_896, dtype=np.uint16)  # 128 * 257
    deep[0, 0] = 65_535
    image = Image.fromarray(deep) if mode == "I;16" else Image.fromarray(deep.astype(np.int32)).convert(mode)
    assert preprocess(image, 20)[10, 10].tolist() == [128, 128, 128]


def test_transparent_parts_become_white():
    image = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert preprocess(image, 8).min() == 255


def test_a_transparent_palette_colour_becomes_white():
    image = Image.new("P", (20, 20), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.info["transparency"] = 0
    assert preprocess(image, 8).min() == 255


def test_an_animation_shows_its_first_frame():
    first, second = Image.new("RGB", (20, 20), (255, 0, 0)), Image.new("RGB", (20, 20), (0, 0, 255))
    gif = encoded(first, "GIF", save_all=True, append_images=[second], loop=0)
    assert read_photo(gif, 8)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90), (8, Image.Transpose.ROTATE_270)],
)
def test_exif_rotation_gives_the_pixels_of_the_upright_photo(orientation, undo):
    upright = picture()
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encoded(upright.transpose(undo), exif=exif.tobytes())  # as a turned camera stores it
    np.testing.assert_array_equal(read_photo(stored, 32), preprocess(upright, 32))


def test_a_large_jpeg_decoded_at_a_fraction_looks_the_same():
    data = encoded(picture(1600, 1200), "JPEG", quality=92)
    fast, full = read_photo(data, 160), preprocess(open_photo(data), 160)
    assert np.abs(fast.astype(int) - full.astype(int)).mean() < 1.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        encoded(picture())[:60],
        encoded(picture(300, 300), "JPEG")[:400],
        b"GIF89a" + b"\0" * 9,
    ],
    ids=["empty", "text", "cut PNG", "cut JPEG", "empty GIF"],
)
def test_a_broken_photo_is_a_photo_error(data):
    with pytest.raises(PhotoError):
        read_photo(data, 32)


def test_a_photo_error_is_an_error_of_the_users_input(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        open_photo(tmp_path / "absent.jpg")


def test_a_decompression_bomb_is_refused_before_it_is_decoded():
    bomb = encoded(Image.new("1", (12_000, 12_000)))
    assert len(bomb) < 100_000
    with pytest.raises(PhotoError, match="12000 x 12000"):
        open_photo(bomb)
    with pytest.raises(PhotoError, match="at most 100 "):
        open_photo(encoded(picture()), max_pixels=100)


def test_a_cmyk_jpeg_as_adobe_stores_it_keeps_its_light():
    light = encoded(Image.new("CMYK", (40, 40), (0, 0, 0, 20)), "JPEG", quality=95)
    dark = encoded(Image.new("CMYK", (40, 40), (0, 0, 0, 230)), "JPEG", quality=95)
    assert read_photo(light, 8).mean() > 200
    assert read_photo(dark, 8).mean() < 60


@pytest.mark.parametrize("format", ["WEBP", "PNG", "TIFF"])
def test_any_animation_shows_its_first_frame(format):
    first, second = Image.new("RGB", (20, 20), (255, 0, 0)), Image.new("RGB", (20, 20), (0, 0, 255))
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(first, format, save_all=True, append_images=[second], **options)
    assert read_photo(data, 8)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("junk", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 300])
def test_broken_exif_does_not_hide_the_photo(junk):
    data = encoded(picture(), "JPEG")
    broken = data[:2] + b"\xff\xe1" + (len(junk) + 2).to_bytes(2, "big") + junk + data[2:]
    np.testing.assert_array_equal(read_photo(broken, 16), read_photo(data, 16))


def test_a_large_jpeg_is_refused_though_a_fraction_of_it_could_be_decoded():
    bomb = encoded(Image.new("L", (10_000, 10_000), 128), "JPEG")
    with pytest.raises(PhotoError, match="10000 x 10000"):
        read_photo(bomb, 160)


def test_refusing_a_bomb_and_reading_a_large_photo_take_bounded_memory():
    """In a process of its own, whose peak is its own: 49 megapixels cost a few copies of themselves."""
    code = """
import io, resource
from PIL import Image
from scorer.model.photo import PhotoError, read_photo
def bytes_of(side):
    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB
bomb, large = bytes_of(30_000), bytes_of(7_000)
before = peak()
try:
    read_photo(bomb, 160)
except PhotoError:
    print(peak() - before)
read_photo(large, 160)
print(peak() - before)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    refused, read = (float(line) for line in found.stdout.split())
    assert refused < 20
    assert read < 500


def test_a_png_with_an_endless_text_is_refused():
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    png = encoded(picture())
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 200_000_000, 9))
    with pytest.raises(PhotoError, match="broken"):
        read_photo(png[:33] + text + png[33:], 16)
