#!/usr/bin/env python3
"""Golden files of the decoder and the resizer, by Pillow 13.0.0.

    python pixels/tests/golden/decode.py          # writes beside itself

For each case: `<case>.jpg` (whatever its content is), and `<case>.rgb` (Pillow's decode) and `<case>.resized.rgb` (Pillow's
crop + resize of *that decode*), both raw bytes [height, width, 3]. `cases.csv` lists them.
"""

import csv
import pathlib
import struct
import zlib

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


def png_16(path, samples):
    """A PNG of 16 bits a sample, which Pillow reads but does not write."""
    height, width, channels = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def over_white(image):
    """RGB of what is seen on a white page."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def write(path, kind, image, options):
    """`image` as `path`, in one of the kinds that no option of Pillow's JPEG writer gives."""
    fade = Image.linear_gradient("L").resize(image.size)
    match kind:
        case "png_16":
            fine = np.asarray(image, np.uint16) * 257 + np.arange(image.width, dtype=np.uint16)[None, :, None] % 251
            png_16(path, fine)
        case "png_16_alpha":
            png_16(path, np.dstack([np.asarray(image, np.uint16) * 257, np.asarray(fade, np.uint16) * 257]))
        case "png_palette_alpha":
            # Every colour of the palette has an alpha of its own: a tRNS chunk.
            small = image.quantize(40)
            small.save(path, "PNG", transparency=bytes(255 - 6 * i for i in range(40)))
        case "gif":
            image.quantize(64).save(path, "GIF", transparency=5, interlace=1)
        case "gif_animated":
            frames = [image.rotate(90 * i).quantize(32) for i in range(3)]
            frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])
        case "webp_alpha":
            image.putalpha(fade)
            image.save(path, "WEBP", **options)
        case "webp":
            image.save(path, "WEBP", **options)
        case mode:
            image.convert(mode).save(path, **options)


def main():
    assert __version__ == "13.0.0", __version__
    cases = [
        # name, size, save options, mode or kind, crop
        ("baseline_420", (97, 66), dict(quality=88, subsampling=2), "RGB", None),
        ("baseline_444", (64, 90), dict(quality=92, subsampling=0), "RGB", (7, 11, 40, 31)),
        ("restarts_422", (80, 61), dict(quality=85, subsampling=1, restart_marker_blocks=3), "RGB", (60, 3, 20, 58)),
        ("progressive", (75, 70), dict(quality=85, progressive=True), "RGB", (0, 0, 9, 9)),
        ("grey", (50, 41), dict(quality=85), "L", None),
        ("cmyk", (40, 33), dict(quality=90), "CMYK", None),
        ("png_16", (31, 22), {}, "png_16", None),
        ("png_16_alpha", (23, 30), {}, "png_16_alpha", None),
        ("png_palette_alpha", (33, 25), {}, "png_palette_alpha", (3, 2, 20, 21)),
        ("gif", (37, 29), {}, "gif", None),
        ("gif_animated", (24, 24), {}, "gif_animated", None),
        ("webp_lossless", (35, 27), dict(lossless=True), "webp", None),
        ("webp_lossless_alpha", (26, 31), dict(lossless=True, exact=True), "webp_alpha", None),
        ("webp_lossy", (48, 34), dict(quality=90), "webp", None),
        ("progressive_grey", (43, 37), dict(quality=85, progressive=True), "L", None),
        ("progressive_cmyk", (39, 26), dict(quality=85, progressive=True), "CMYK", None),
    ]
    with open(HERE / "cases.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["name", "width", "height", "x", "y", "crop_width", "crop_height", "side"])
        for seed, (name, size, options, mode, crop) in enumerate(cases):
            write(HERE / f"{name}.jpg", mode, scene(*size, seed), options)
            decoded = over_white(Image.open(HERE / f"{name}.jpg"))
            x, y, width, height = crop or (0, 0, *size)
            resized = decoded.crop((x, y, x + width, y + height)).resize((SIDE, SIDE), Image.BILINEAR)
            (HERE / f"{name}.rgb").write_bytes(decoded.tobytes())
            (HERE / f"{name}.resized.rgb").write_bytes(resized.tobytes())
            table.writerow([name, *size, x, y, width, height, SIDE])


if __name__ == "__main__":
    main()
