#!/usr/bin/env python3
"""JPEGs of every layout, by libjpeg-turbo's cjpeg 2.1.5, and their pixels, by Pillow 13.0.0 with libjpeg-turbo 3.2.0.

    python pixels/tests/golden/layouts.py          # writes layouts/<case>.jpg and layouts/<case>.png beside itself

A case is a sampling, and how the components are divided into scans; or one of the odd ones below.
"""

import io
import pathlib
import subprocess
import tempfile

from PIL import Image, __version__, features

from decode import scene

HERE = pathlib.Path(__file__).parent / "layouts"
SIZE = (43, 29)
SAMPLINGS = ["1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "3x1", "3x2", "1x1,2x2,2x2", "2x2,2x1,1x2", "2x1,1x2,1x1"]
SCANS = {"separate": "0;\n1;\n2;\n", "partly": "0;\n1 2;\n", "pair": "0 2;\n1;\n"}


def cjpeg(image, *args, scans=None):
    with tempfile.TemporaryDirectory() as folder:
        source, script = f"{folder}/x.ppm", f"{folder}/scans"
        image.save(source)
        if scans:
            pathlib.Path(script).write_text(scans)
            args = (*args, "-scans", script)
        return subprocess.run(["cjpeg", "-quality", "75", *args, source], check=True, capture_output=True).stdout


def pillow(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75, **options)
    return file.getvalue()


def without(data, *markers):
    """The file without these marker segments."""
    out, at = data[:2], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        out += b"" if data[at + 1] in markers else data[at:end]
        at = end
    return out + data[at:]


def with_ids(data, new):
    """The file with other component ids, in the frame and in its one scan."""
    data = bytearray(data)
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    for i, byte in enumerate(new):
        data[frame + 10 + 3 * i] = data[scan + 5 + 2 * i] = byte
    return bytes(data)


def with_adobe(data, transform):
    """The file with an Adobe segment first, or with this one in place of its own."""
    data = without(data, 0xEE)
    end = 2 if data[3] != 0xE0 else 4 + int.from_bytes(data[4:6], "big")
    return data[:end] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform]) + data[end:]


def cases():
    image = scene(*SIZE, 7)
    for sampling in SAMPLINGS:
        name = sampling.replace(",", "_")
        yield f"{name}.one", cjpeg(image, "-sample", sampling)
        yield f"{name}.restarts", cjpeg(image, "-sample", sampling, "-restart", "2B", scans=SCANS["separate"])
        yield f"{name}.progressive", cjpeg(image, "-sample", sampling, "-progressive")
        for scans, script in SCANS.items():
            yield f"{name}.{scans}", cjpeg(image, "-sample", sampling, scans=script)
    for size in [(1, 1), (2, 2), (3, 5), (5, 3), (16, 1), (1, 17)]:
        for sampling in ["2x1", "1x2", "2x2", "4x1"]:
            for scans in [None, SCANS["separate"]]:
                kind = "separate" if scans else "one"
                yield f"{size[0]}_by_{size[1]}.{sampling}.{kind}", cjpeg(scene(*size, 3), "-sample", sampling, scans=scans)
    yield "grey.2x2", cjpeg(image, "-grayscale", "-sample", "2x2")
    yield "grey.progressive", cjpeg(image, "-grayscale", "-sample", "2x2", "-progressive", "-restart", "1")
    yield "rgb.one", cjpeg(image, "-rgb")
    yield "rgb.separate", cjpeg(image, "-rgb", scans=SCANS["separate"])
    yield "rgb.progressive", cjpeg(image, "-rgb", "-progressive")
    yield "wide_tables.one", cjpeg(image, "-quality", "2")
    yield "wide_tables.progressive", cjpeg(image, "-quality", "2", "-progressive")
    cmyk = image.convert("CMYK")
    cmyk.putdata([(c, m, y, (c + 2 * m) % 200) for c, m, y, _ in cmyk.get_flattened_data()])
    for options in [{}, {"subsampling": 2}, {"progressive": True}, {"subsampling": 1, "progressive": True}]:
        name = ".".join(f"{key}_{int(value)}" for key, value in options.items()) or "one"
        data = pillow(cmyk, **options)
        yield f"cmyk.{name}", data
        yield f"cmyk.no_adobe.{name}", without(data, 0xEE)
        yield f"ycck.{name}", with_adobe(data, 2)
    plain = pillow(image, subsampling=2)
    yield "jfif_adobe_0", with_adobe(plain, 0)
    yield "jfif_rgb_ids", with_ids(plain, b"RGB")
    yield "adobe_0", with_adobe(without(plain, 0xE0), 0)
    yield "adobe_1_rgb_ids", with_adobe(with_ids(without(plain, 0xE0), b"RGB"), 1)
    yield "rgb_ids", with_ids(without(plain, 0xE0), b"RGB")
    yield "same_ids", with_ids(plain, b"\1\1\1")
    yield "no_huffman_tables", without(plain, 0xC4)


def main():
    assert __version__ == "13.0.0", __version__
    assert features.version("libjpeg_turbo").startswith("3.2.0"), features.version("libjpeg_turbo")
    HERE.mkdir(exist_ok=True)
    for name, data in cases():
        (HERE / f"{name}.jpg").write_bytes(data)
        Image.open(io.BytesIO(data)).convert("RGB").save(HERE / f"{name}.png", optimize=True)


main()
