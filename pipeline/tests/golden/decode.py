#!/usr/bin/env python3
"""Golden files of the decoder and the resizer, by Pillow 13.0.0.

    python pipeline/tests/golden/decode.py        # writes beside itself

For each case: `<case>.jpg`, and `<case>.rgb` (Pillow's decode) and `<case>.resized.rgb` (Pillow's
crop + resize of *that decode*), both raw bytes [height, width, 3]. `cases.csv` lists them.
"""

import csv
import pathlib

import numpy as np
from PIL import Image, __version__

HERE = pathlib.Path(__file__).parent
SIDE = 24


def scene(width, height, seed):
    """Smooth gradients, hard edges and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    image = np.stack([x * 255 / width, y * 255 / height, 128 + 100 * np.sin(x / 5) * np.cos(y / 7)], -1)
    image[height // 4 : height // 2, width // 3 : width // 2] = [250, 20, 30]
    image[(x + y) % 16 < 3] = [10, 200, 90]
    return Image.fromarray(np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8))


def main():
    assert __version__ == "13.0.0", __version__
    cases = [
        # name, size, save options, mode, crop
        ("baseline_420", (97, 66), dict(quality=88, subsampling=2), "RGB", None),
        ("baseline_444", (64, 90), dict(quality=92, subsampling=0), "RGB", (7, 11, 40, 31)),
        ("restarts_422", (80, 61), dict(quality=85, subsampling=1, restart_marker_blocks=3), "RGB", (60, 3, 20, 58)),
        ("progressive", (75, 70), dict(quality=85, progressive=True), "RGB", (0, 0, 9, 9)),
        ("grey", (50, 41), dict(quality=85), "L", None),
        ("cmyk", (40, 33), dict(quality=90), "CMYK", None),
    ]
    with open(HERE / "cases.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["name", "width", "height", "x", "y", "crop_width", "crop_height", "side"])
        for seed, (name, size, options, mode, crop) in enumerate(cases):
            scene(*size, seed).convert(mode).save(HERE / f"{name}.jpg", **options)
            decoded = Image.open(HERE / f"{name}.jpg").convert("RGB")
            x, y, width, height = crop or (0, 0, *size)
            resized = decoded.crop((x, y, x + width, y + height)).resize((SIDE, SIDE), Image.BILINEAR)
            (HERE / f"{name}.rgb").write_bytes(decoded.tobytes())
            (HERE / f"{name}.resized.rgb").write_bytes(resized.tobytes())
            table.writerow([name, *size, x, y, width, height, SIDE])


main()
