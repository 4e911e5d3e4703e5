"""Photos of every size, mode and colour profile that a seller's app has ever sent, as encoded bytes."""

import io

import numpy as np
from PIL import Image, ImageCms

SIZES = [(1, 1), (1, 900), (900, 1), (2, 3), (17, 31), (127, 129), (333, 251), (1200, 900)]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB"]
ORIENTATIONS = range(1, 9)
# What a camera in each EXIF orientation stores of an upright scene: the inverse of what a viewer does.
TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
FORMATS = {"LA": "PNG", "P": "PNG", "RGBA": "PNG", "1": "PNG", "I;16": "PNG", "I": "TIFF", "F": "TIFF"}


def scene(width=400, height=300):
    """A garment-like blob on a plain ground with a shade: no symmetry, so a wrong turn shows."""
    y, x = np.mgrid[0:height, 0:width]
    u, v = x / max(width - 1, 1), y / max(height - 1, 1)
    ground = 190 + 40 * u[..., None] - 20 * v[..., None] + np.zeros(3)
    blob = ((u - 0.45) / 0.25) ** 2 + ((v - 0.4) / 0.33) ** 2 < 1
    ground[blob] = [60, 80, 150]
    stripe = blob & ((y // max(1, height // 20)) % 3 == 0)
    ground[stripe] = [200, 60, 70]
    return Image.fromarray(ground.clip(0, 255).astype(np.uint8))


def encoded(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def in_mode(mode, size=(400, 300)):
    rgb = scene(*size)
    match mode:
        case "LA":
            image = rgb.convert("RGBA").convert("LA")
        case "P":
            image = rgb.quantize(32)
        case "I;16":
            image = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
        case "I":
            image = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.int32) * 257)
        case "LAB":
            profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
            image = ImageCms.profileToProfile(rgb, *profiles, outputMode="LAB")
        case _:
            image = rgb.convert(mode)
    return encoded(image, FORMATS.get(mode, "TIFF" if mode in ("CMYK", "LAB") else "JPEG"))


def photos():
    """Name -> encoded photo."""
    found = {f"{w}x{h}": encoded(scene(w, h)) for w, h in SIZES}
    found |= {f"mode {mode}": in_mode(mode) for mode in MODES}
    found |= {f"mode {mode}, 1x1": in_mode(mode, (1, 1)) for mode in MODES}
    found["CMYK JPEG"] = encoded(scene().convert("CMYK"), "JPEG")
    found["grey JPEG"] = encoded(scene().convert("L"), "JPEG")
    clear = scene().convert("RGBA")
    clear.putalpha(0)
    found["all transparent"] = encoded(clear)
    found["black"] = encoded(Image.new("RGB", (50, 50)))
    found["NaN pixels"] = encoded(Image.fromarray(np.full((9, 9), np.nan, dtype=np.float32)), "TIFF")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found["sRGB profile"] = encoded(scene(), "JPEG", icc_profile=srgb)
    found["broken profile"] = encoded(scene(), "PNG", icc_profile=b"not a profile")
    found["CMYK with an RGB profile"] = encoded(scene().convert("CMYK"), "JPEG", icc_profile=srgb)
    return found


def turned(orientation):
    """The scene as a camera held that way stores it, losslessly."""
    turn = TURNS[orientation]
    stored = scene() if turn is None else scene().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(stored, "PNG", exif=exif.tobytes())
