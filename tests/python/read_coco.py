"""An export to COCO, read by pycocotools and held against the annotations: read_coco.py DATASET EXPORT FOLD..."""

import math
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import polars as pl
from pycocotools.coco import COCO

dataset, export, folds = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
catalog = pl.read_parquet(dataset / "catalog.parquet").unique("image", keep="first", maintain_order=True)
brands = pl.read_csv(dataset / "brands.csv")
found = sorted(path.name for path in (export / "annotations").iterdir())
assert found == sorted(f"instances_{fold}.json" for fold in folds), found


def boxes(path, width, height):
    """Brand index and [x, y, w, h] of every object whose box has pixels in the image."""
    for thing in ET.parse(path).getroot().iter("object"):
        try:
            x0, y0, x1, y1 = (float(thing.find(f"bndbox/{edge}").text) for edge in ("xmin", "ymin", "xmax", "ymax"))
        except (ValueError, AttributeError):
            continue
        if x0 < x1 and y0 < y1 and x0 < width and y0 < height and x1 > 0 and y1 > 0:
            x0, y0, x1, y1 = math.floor(max(x0, 0)), math.floor(max(y0, 0)), math.ceil(min(x1, width)), math.ceil(min(y1, height))
            yield int(thing.find("index").text), [x0, y0, x1 - x0, y1 - y0]


images, objects = set(), 0
for fold in folds:
    coco = COCO(str(export / f"annotations/instances_{fold}.json"))
    categories = coco.loadCats(coco.getCatIds())
    found = [(c["brand_index"], c["key"], c["supercategory"]) for c in categories]
    assert found == [(i, f"{c}/{b}", c) for i, b, c in brands.select("index", "brand", "category").rows()]
    assert all(c["id"] == c["brand_index"] + 1 and c["name"] in (c["key"], c["key"].split("/")[1]) for c in categories)
    assert len({c["name"] for c in categories}) == len(categories)
    for image in coco.loadImgs(coco.getImgIds()):
        row = catalog.row(by_predicate=pl.col("image") == image["id"] - 1, named=True)
        assert (image["width"], image["height"], image["raw_image"]) == (row["width"], row["height"], row["raw_image"])
        assert (export / "images" / image["file_name"]).is_file()
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        expected = list(boxes(dataset / row["annotation"], row["width"], row["height"]))
        assert [(a["category_id"] - 1, a["bbox"]) for a in annotations] == expected, image
        assert all(a["area"] == a["bbox"][2] * a["bbox"][3] > 0 and a["iscrowd"] == 0 and a["segmentation"] == [] and a["id"] > 0 for a in annotations)
        assert image["id"] - 1 not in images, "an image in two folds"
        images.add(image["id"] - 1)
        objects += len(annotations)
assert images == set(catalog["image"].to_list())
assert len(list((export / "images").iterdir())) == len(images)
print(f"{len(images)} images, {objects} boxes")
