#!/usr/bin/env python3
"""Golden numbers of a picture's quality, by numpy 2.4.6 and Pillow 13.0.0.

    python pixels/tests/golden/quality.py         # writes into quality/

Each picture of quality/ has a line in quality.csv: what `logodex_pixels::quality` measures, computed with other means from
Pillow's pixels. A picture of which the longer side has more than 384 pixels is measured at an eighth of its size.
"""

import csv
import pathlib

import numpy as np
from PIL import Image, ImageFilter

HERE = pathlib.Path(__file__).parent / "quality"


def scene(width, height, seed):
    """Patches of many colours and sizes, with noise."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 140.0)
    for _ in range(160):
        x, y, w, h = rng.integers(0, width), rng.integers(0, height), *rng.integers(4, 60, 2)
        image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def pictures():
    """Name, options of `save`, and pixels: planted ones, and sound ones beside them."""
    big, small = scene(500, 376, 1), scene(200, 150, 2)
    dark, light = (big * 0.12 + 4).astype(np.uint8), (255 - big * 0.03).astype(np.uint8)
    blurry = np.asarray(Image.fromarray(big).filter(ImageFilter.GaussianBlur(14)))
    grey = np.asarray(Image.fromarray(big).convert("L"))
    flat = np.full((376, 500, 3), (90, 120, 200), np.uint8)
    flat[180:190, 240:260] = 255
    full, half = {"quality": 90, "subsampling": 0}, {"quality": 90, "subsampling": 2}
    return [
        ("sharp.jpg", full, big),
        ("sharp_420.jpg", half, big),
        ("sharp_progressive.jpg", half | {"progressive": True}, big),
        ("sharp_restarts.jpg", half | {"restart_marker_blocks": 7}, big[:371, :493]),
        ("sharp_cmyk.jpg", {"quality": 40}, Image.fromarray(big).convert("CMYK")),
        ("dark.jpg", full, dark),
        ("light.jpg", half, light),
        ("blurry.jpg", full, blurry),
        ("grey.jpg", full, grey),
        ("grey_in_color.jpg", half, np.stack([grey] * 3, -1)),
        ("flat.jpg", full, flat),
        ("large.jpg", half | {"quality": 40}, scene(1000, 700, 3)),
        ("strip.jpg", full, big[:6]),
        ("small.jpg", full, small),
        ("small.png", {"optimize": True}, small[:100, :120]),
        ("small_dark.jpg", half, (small * 0.1).astype(np.uint8)),
        ("small_grey.jpg", full, np.asarray(Image.fromarray(small).convert("L"))),
        ("tiny.png", {}, small[:2, :3]),
        ("wide.png", {"optimize": True}, big[:40, :400]),
    ]


def measured(image):
    """The pixels that are measured: [height, width, 3]."""
    pixels = np.asarray(image.convert("RGB"))
    height, width, _ = pixels.shape
    if max(height, width) <= 384:
        return pixels
    down, across = max(height // 8, 1), max(width // 8, 1)
    rows = np.array_split(pixels[: min(down * 8, height)], down)
    means = [[block.mean((0, 1)) for block in np.array_split(row[:, : min(across * 8, width)], across, 1)] for row in rows]
    return np.floor(np.array(means) + 0.5).astype(np.uint8)


def numbers(image):
    pixels = measured(image)
    height, width, _ = pixels.shape
    brightness = np.sqrt((pixels.astype(float) ** 2) @ [0.241, 0.691, 0.068]) / 255
    color = int(np.ptp(pixels, axis=2).max())
    channels = np.moveaxis(pixels, 2, 0)[: 3 if color else 1]
    part = np.stack([np.bincount(values.ravel(), minlength=256) for values in channels]) / (len(channels) * height * width)
    part = part[part > 0]
    ratio = max(width, height) / 64
    image = Image.fromarray(pixels)
    if ratio > 1:
        fitted = [max(length * 64 // max(width, height), 1) for length in (width, height)]
        image = image.resize(fitted, Image.BILINEAR)
    grey = image.convert("L")
    edges = np.asarray(grey.filter(ImageFilter.FIND_EDGES), float)[1:-1, 1:-1]
    return {
        "brightness_5": np.percentile(brightness, 5),
        "brightness_99": np.percentile(brightness, 99),
        "entropy": -(part * np.log2(part)).sum() + 0.0,
        "edges": edges.std() if edges.size else 0.0,
        "tones": np.std(grey.histogram()),
        "color": color,
    }


def main():
    HERE.mkdir(exist_ok=True)
    with open(HERE.parent / "quality.csv", "w", newline="") as file:
        table = None
        for name, options, pixels in pictures():
            image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
            image.save(HERE / name, **options)
            row = {"name": name} | {key: round(float(value), 4) for key, value in numbers(Image.open(HERE / name)).items()}
            if table is None:
                table = csv.DictWriter(file, row, lineterminator="\n")
                table.writeheader()
            table.writerow(row)


main()
