"""Photos of second-hand clothes, drawn by us: garment, background, camera. `photo.render` is the way in."""
