"""Draws the pictures of the book from what `make demo` leaves behind:

    python3 docs/pictures.py data/demo runs/demo
    logodex-train preview --dataset data/demo/dataset --split demo --config trainer/configs/demo/contrastive.toml --out sheet.png
    python3 docs/pictures.py data/demo runs/demo sheet.png

Needs numpy, Pillow, polars, resvg_py, safetensors and the DejaVu fonts; not part of the tests.
"""

import glob
import io
import json
import sys
from pathlib import Path

import polars as pl
import resvg_py
from PIL import Image, ImageDraw, ImageFont
from safetensors.numpy import load_file

data, runs, out = Path(sys.argv[1]), Path(sys.argv[2]), Path(__file__).parent / "src/pictures"
HIT, MISS, INK, PALE = "#2e7d32", "#c62828", "#1f2328", "#6e7781"
SIDE, GAP, LINE = 68, 10, 17


def save(picture, name):
    picture.convert("RGB").save(out / name, optimize=True)
    assert (out / name).stat().st_size < 300_000, f"{name} is too large"


def retrieval(model):
    """The best, three random and the worst query of a model's evaluation, each with its six nearest test pictures."""
    found = json.loads((runs / model / "evaluation.json").read_text())["retrievals"]
    chosen = [next(f for f in found if f["choice"] == "best")]
    chosen += [f for f in found if f["choice"] == "random"]
    chosen += [next(f for f in found if f["choice"] == "worst")]
    entries = json.loads((data / "dataset/manifest.json").read_text())["shards"]
    shards = [(entry["first_row"], load_file(data / "dataset" / entry["path"])) for entry in entries]
    pixels = {first + int(row): image for first, shard in shards for row, image in zip(shard["row"], shard["images"])}
    catalog = pl.read_parquet(data / "dataset/catalog.parquet")
    font, small = ImageFont.load_default(14), ImageFont.load_default(12)

    photo = SIDE * 4 // 3
    left, step = photo + GAP + 24 + SIDE + 24, SIDE + GAP
    head, height = 26, SIDE + 2 * LINE + 12
    sheet = Image.new("RGB", (left + 6 * step + GAP, head + height * len(chosen)), "white")
    draw = ImageDraw.Draw(sheet)
    for x, text in ((GAP, "photograph"), (GAP + photo + 24, "its logo"), (GAP + left, "nearest of all test pictures")):
        draw.text((x, 4), text, PALE, font)
    for i, query in enumerate(chosen):
        y = head + i * height
        line = catalog.row(by_predicate=pl.col("row") == query["query"]["row"], named=True)
        raw = Image.open(data / "raw/LogoDet-3K" / line["raw_image"]).convert("RGB")
        x0, y0 = line["x"], line["y"]
        box = [x0, y0, x0 + line["region_width"], y0 + line["region_height"]]
        scale = min(photo / raw.width, SIDE / raw.height)
        view = raw.resize((round(raw.width * scale), round(raw.height * scale)), Image.Resampling.LANCZOS)
        sheet.paste(view, (GAP, y))
        draw.rectangle([GAP + box[0] * scale, y + box[1] * scale, GAP + box[2] * scale, y + box[3] * scale], outline="#ffd400", width=2)
        draw.text((GAP, y + SIDE + 2), f"{query['choice']}: AP {query['map']:.2f}", PALE, small)

        def show(x, shown, frame, under):
            picture = Image.fromarray(pixels[shown["row"]]).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x, y))
            if frame:
                draw.rectangle([x - 2, y - 2, x + SIDE + 1, y + SIDE + 1], outline=frame, width=3)
            name = shown["brand"] if len(shown["brand"]) <= 11 else shown["brand"][:10] + "…"
            draw.text((x, y + SIDE + 2), name, INK, small)
            draw.text((x, y + SIDE + 2 + LINE - 2), under, PALE, small)

        show(GAP + photo + 24, query["query"], None, "")
        for k, near in enumerate(query["found"]):
            same = near["picture"]["brand"] == query["query"]["brand"]
            show(GAP + left + k * step, near["picture"], HIT if same else MISS, f"{near['similarity']:.2f}")
    save(sheet, "retrieval.png")


def figure(name, width):
    """A figure of `logodex-data stats`."""
    fonts = glob.glob("/usr/share/fonts/**/DejaVuSans*.ttf", recursive=True)
    png = resvg_py.svg_to_bytes(svg_path=str(runs / f"dataset/{name}.svg"), background="#ffffff", width=width, font_files=fonts, sans_serif_family="DejaVu Sans")
    save(Image.open(io.BytesIO(bytes(png))), f"{name}.png")


if len(sys.argv) > 3:
    save(Image.open(sys.argv[3]).crop((20, 100, 650, 750)), "preview.png")  # the first four lines
else:
    retrieval("multi_similarity")
    figure("samples", 800)
    figure("long_tail", 900)
