"""Draws the pictures of the book from what `make demo` leaves behind:

    python3 docs/pictures.py data/demo runs/demo
    logodex-train preview --dataset data/demo/dataset --split demo --config trainer/configs/demo/contrastive.toml --out sheet.png
    python3 docs/pictures.py data/demo runs/demo sheet.png

Needs numpy, Pillow, polars, resvg_py, safetensors and the DejaVu fonts; not part of the tests.
"""

import csv
import glob
import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import resvg_py
from PIL import Image, ImageDraw, ImageFont
from safetensors.numpy import load_file

data, runs, out = Path(sys.argv[1]), Path(sys.argv[2]), Path(__file__).parent / "src/pictures"
HIT, MISS, DOUBT, INK, PALE = "#2e7d32", "#c62828", "#b26a00", "#1f2328", "#6e7781"
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


def recognised(program):
    """What `logodex identify` says of ten pictures of enrolled brands and of two strangers."""
    with open(data / "ask.csv", newline="") as file:
        asked = list(csv.DictReader(file))
    command = [program, "identify", "--gallery", runs / "gallery", "--list", data / "ask.csv", "--far", "0.1", "--json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert len(answers) == len(asked), "an answer for each"
    width, height, columns = 164, 123, 4
    cell = height + 3 * LINE + 8
    font, small = ImageFont.load_default(14), ImageFont.load_default(12)
    sheet = Image.new("RGB", (GAP + columns * (width + GAP), GAP + 3 * cell), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (row, answer) in enumerate(list(zip(asked, answers))[:12]):
        x, y = GAP + i % columns * (width + GAP), GAP + i // columns * cell
        photo = Image.open(data / row["file"]).convert("RGB")
        scale = min(width / photo.width, height / photo.height)
        view = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS)
        x0 = x + (width - view.width) // 2
        sheet.paste(view, (x0, y))
        known, stranger = answer["verdict"] == "known", i >= 10
        right = not known if stranger else known and answer["brand"] == row["brand"]
        nearest = answer["top"][0]["brand"]
        missed = not known and nearest == row["brand"]
        color = HIT if right else DOUBT if missed else MISS
        box = [float(row[key]) * scale for key in ("x0", "y0", "x1", "y1")]
        draw.rectangle([x0 + box[0], y + box[1], x0 + box[2], y + box[3]], outline=color, width=2)
        said = answer["brand"] if known else f"unknown: {nearest}?" if missed else "unknown"
        draw.text((x, y + height + 2), said if len(said) <= 20 else said[:19] + "…", color, font)
        sign = ">" if known else "<"
        draw.text((x, y + height + 2 + LINE), f"similarity {answer['similarity']:.2f} {sign} {answer['threshold']:.2f}", PALE, small)
        truth = f"is {row['brand']}, not enrolled" if stranger else f"is {row['brand']}"
        draw.text((x, y + height + 2 * LINE), truth if len(truth) <= 27 else truth[:26] + "…", PALE, small)
    save(sheet, "recognised.png")


def figure(name, width):
    """A figure of `logodex-data stats`."""
    fonts = glob.glob("/usr/share/fonts/**/DejaVuSans*.ttf", recursive=True)
    png = resvg_py.svg_to_bytes(svg_path=str(runs / f"dataset/{name}.svg"), background="#ffffff", width=width, font_files=fonts, sans_serif_family="DejaVu Sans")
    save(Image.open(io.BytesIO(bytes(png))), f"{name}.png")


if len(sys.argv) > 3:
    save(Image.open(sys.argv[3]).crop((20, 100, 650, 750)), "preview.png")  # the first four lines
else:
    retrieval("multi_similarity")
    recognised("target/release/logodex")
    figure("samples", 800)
    figure("long_tail", 900)
