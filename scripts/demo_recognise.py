"""Draws what the demo enrols and asks: demo_recognise.py COCO.json TRUTH.json OUT

From the boxes of a fold that no model was trained on: ten brands with five pictures each (OUT/enrol.csv), and to ask about
another picture of each and one of five strangers each (OUT/ask.csv). The same ones each time. Brands that TRUTH.json knows as planted
are left out: they may show another brand's mark.
"""

import csv
import json
import os
import random
import sys

coco, truth, out = sys.argv[1:4]
with open(coco) as file:
    boxes = json.load(file)
names = {category["id"]: category["name"] for category in boxes["categories"]}
with open(truth) as file:
    tree = json.load(file)
planted = {quirk["path"] for quirk in tree["quirks"]}
plain = {b["brand"] for b in tree["brands"] if not any(f"{b['category']}/{folder}" in planted for folder in b["folders"])}
files = {image["id"]: image["file_name"] for image in boxes["images"]}
images = os.path.relpath(os.path.join(os.path.dirname(coco), "..", "images"), out)
logos = {}  # brand → the first logo of each of its pictures
for box in boxes["annotations"]:
    x, y, width, height = box["bbox"]
    logo = [os.path.join(images, files[box["image_id"]]), x, y, x + width, y + height, names[box["category_id"]]]
    logos.setdefault(logo[-1], {}).setdefault(box["image_id"], logo)

draw = random.Random(42)
brands = draw.sample(sorted(brand for brand, pictures in logos.items() if brand in plain and len(pictures) >= 6), 15)
enrol, ask = [], []
for place, brand in enumerate(brands):
    pictures = draw.sample(list(logos[brand].values()), 6)
    if place < 10:
        enrol += pictures[:5]
        ask += pictures[5:]
    else:
        ask.append(pictures[0])

for name, rows in (("enrol", enrol), ("ask", ask)):
    with open(os.path.join(out, f"{name}.csv"), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "x0", "y0", "x1", "y1", "brand"])
        writer.writerows(rows)
