#!/usr/bin/env python3
"""Logos in whole scenes, on brands that no model was trained on: bench_scenes.py LOGODEX MODEL.onnx PICTURES OUT [BRANDS] [DETECTOR.onnx]

PICTURES is a COCO export (annotations/instances_test.json and instances_val.json, images/). BRANDS brands of the test fold are enrolled by
five logos each; two other pictures of each are asked about, and seven of as many brands that are not enrolled. A JSON line per way of
looking: the whole picture, its tiles, a detector's boxes if one is given, and the true box. Tiles are asked before and after the gallery
is calibrated with the scenes of the validation fold.

named: pictures of enrolled brands that are named rightly. strangers_named: pictures of others that are named at all; rate_told: the share
of them that the program says. map_50, map_30: mean over the brands of average precision, a box counting from that intersection over union
on.
"""

import csv
import json
import random
import subprocess
import sys
import time
from pathlib import Path

logodex, model, pictures, out = sys.argv[1:5]
enrolled_brands = int(sys.argv[5]) if len(sys.argv) > 5 else 15
detector = sys.argv[6] if len(sys.argv) > 6 else None
pictures, out = Path(pictures).resolve(), Path(out).resolve()
out.mkdir(parents=True, exist_ok=True)
coco, other = (json.loads((pictures / f"annotations/instances_{fold}.json").read_text()) for fold in ("test", "val"))
names = {c["id"]: c["name"] for c in coco["categories"]}
files = {i["id"]: str(pictures / "images" / i["file_name"]) for i in coco["images"]}
logos = {}  # brand → picture → its boxes
for a in coco["annotations"]:
    x, y, w, h = a["bbox"]
    logos.setdefault(names[a["category_id"]], {}).setdefault(files[a["image_id"]], []).append([x, y, x + w, y + h])

draw = random.Random(14)
able = sorted(brand for brand, own in logos.items() if len(own) >= 7)
brands = draw.sample(able, min(2 * enrolled_brands, len(able)))
known, strangers = brands[: len(brands) // 2], brands[len(brands) // 2 :]
enrol, asked = [], {}
for brand in brands:
    own = draw.sample(sorted(logos[brand]), 7)
    if brand in known:
        enrol += [[file, *logos[brand][file][0], brand] for file in own[:5]]
    for file in own[5:] if brand in known else own:
        asked[file] = brand


def listed(name, rows):
    with open(out / name, "w", newline="") as file:
        csv.writer(file).writerows([["file", "x0", "y0", "x1", "y1", "brand"], *rows])
    return str(out / name)


gallery = out / "gallery"
subprocess.run(["rm", "-rf", str(gallery)], check=True)
subprocess.run([logodex, "enrol", "--gallery", str(gallery), "--model", model, "--list", listed("enrol.csv", enrol)], check=True, capture_output=True)


def ask(*more):
    began = time.monotonic()
    done = subprocess.run([logodex, "identify", "--gallery", str(gallery), "--json", *more], check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(asked), (len(lines), len(asked))
    return lines, (time.monotonic() - began) / len(lines) * 1e3


def overlap(a, b):
    both = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area = lambda x: (x[2] - x[0]) * (x[3] - x[1])
    return both / (area(a) + area(b) - both)


def average_precision(brand, found, least):
    """Area under the interpolated curve of precision over recall, as COCO's all-point form."""
    truth = {file: [(box, False) for box in logos[brand][file]] for file, of in asked.items() if of == brand}
    total = sum(len(boxes) for boxes in truth.values())
    hits = []
    for score, file, box in sorted(found, key=lambda f: -f[0]):
        rest = [(overlap(box, t), i) for i, (t, used) in enumerate(truth.get(file, [])) if not used]
        best = max(rest, default=(0, None))
        hits.append(best[0] >= least)
        if hits[-1]:
            truth[file][best[1]] = (truth[file][best[1]][0], True)
    precision, seen = [], 0
    for at, hit in enumerate(hits, 1):
        seen += hit
        precision.append((seen / total, seen / at))
    area, recall = 0.0, 0.0
    for at, (r, _) in enumerate(precision):
        area += (r - recall) * max(p for _, p in precision[at:])
        recall = r
    return area


def told(what, lines, ms):
    by_file = dict(zip(asked, lines))
    of = lambda brands: [f for f, brand in asked.items() if brand in brands]
    right = sum(by_file[f]["brand"] == asked[f] for f in of(known))
    named = sum(by_file[f]["verdict"] == "known" for f in of(strangers))
    line = {"what": what, "pictures": len(lines), "named": round(right / len(of(known)), 4), "strangers_named": round(named / len(of(strangers)), 4)}
    line["rate_told"], line["threshold"] = (round(max(l[key] for l in lines), 4) for key in ("false_accept_rate", "threshold"))
    if "boxes" in lines[0]:
        for least in (0.5, 0.3):
            aps = []
            for brand in known:
                found = [(b["similarity"], f, b["box"]) for f, l in by_file.items() for b in l["boxes"] if b["brand"] == brand]
                aps.append(average_precision(brand, found, least))
            line[f"map_{int(least * 100)}"] = round(sum(aps) / len(aps), 4)
        line["looked_at"] = round(sum(l["looked_at"] for l in lines) / len(lines), 1)
    line["ms_per_picture"] = round(ms, 1)
    print(json.dumps(line), flush=True)


whole = listed("whole.csv", [[file, "", "", "", "", ""] for file in asked])
true_boxes = listed("boxes.csv", [[file, *logos[brand][file][0], ""] for file, brand in asked.items()])
told("--tiles by single strangers, --far 0.01", *ask("--list", whole, "--far", "0.01", "--tiles"))
scenes = [str(pictures / "images" / image["file_name"]) for image in other["images"]]
subprocess.run([logodex, "calibrate", "--gallery", str(gallery), "--tiles", *scenes], check=True, stdout=sys.stderr)
for far in ("0.01", "0.1"):
    told(f"--tiles by {len(scenes)} scenes, --far {far}", *ask("--list", whole, "--far", far, "--tiles"))
for far in ("0.01", "0.1"):
    told(f"whole picture, --far {far}", *ask("--list", whole, "--far", far))
    if detector:
        told(f"--detector, --far {far}", *ask("--list", whole, "--far", far, "--detector", detector))
    told(f"true box, --far {far}", *ask("--list", true_boxes, "--far", far))
