"""Contact sheets: many photos in one picture, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from marketplace.items import Item
from ranking.errors import InputError


def contact_sheet(
    items: Sequence[Item], path: Path, *, columns: int = 10, thumb_width: int = 150, captions: bool = True
) -> Path:
    """Write a picture of the items' photos, in order; items without a photo leave a grey field.

    Args:
        items: what to show.
        path: file to write; its suffix says the format.
        columns: photos in a row.
        thumb_width: pixels; thumbnails are cut to 3:4.
        captions: write colour, class and photo quality under each.
    """
    if not items:
        raise InputError("a contact sheet needs at least one item")
    height = thumb_width * 4 // 3
    cell = height + (16 if captions else 0)
    rows = -(-len(items) // columns)
    sheet = Image.new("RGB", (columns * (thumb_width + 4) + 4, rows * (cell + 4) + 4), (250, 250, 250))
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for i, item in enumerate(items):
        x, y = 4 + (i % columns) * (thumb_width + 4), 4 + (i // columns) * (cell + 4)
        pen.rectangle((x, y, x + thumb_width - 1, y + height - 1), fill=(225, 225, 225))
        if item.image_path is not None:
            with Image.open(item.image_path) as photo:
                photo.draft("RGB", (thumb_width, height))
                sheet.paste(
                    photo.convert("RGB").resize((thumb_width, height), Image.Resampling.BICUBIC), (x, y)
                )
        if captions:
            quality = "" if item.photo_quality is None else f" {item.photo_quality:.2f}"
            text = f"{item.colour or ''} {item.category}{quality}"
            pen.text((x + 2, y + height + 1), text, fill=(40, 40, 40), font=font)
    sheet.save(path)
    return path
