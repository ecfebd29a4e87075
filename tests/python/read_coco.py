"""An export to COCO, read by pycocotools, Datumaro and torchvision and held against the annotations: read_coco.py DATASET EXPORT FOLD..."""

import math
import sys
import xml.etree.ElementTree as ET
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import polars as pl
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

matplotlib.use("Agg")
dataset, export, folds = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
catalog = pl.read_parquet(dataset / "catalog.parquet").unique("image", keep="first", maintain_order=True)
brands = pl.read_csv(dataset / "brands.csv", schema_overrides={"brand": pl.String})
assert brands["key"].is_unique().all()
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


def shown(coco, annotations):
    """How many boxes showAnns draws."""
    figure, axes = plt.subplots()
    coco.showAnns(annotations, draw_bbox=True)
    drawn = {len(collection.get_paths()) for collection in axes.collections}
    plt.close(figure)
    assert len(drawn) == 1, drawn
    return drawn.pop()


def perfect(coco):
    """The average precision of the truth itself."""
    truth = coco.loadAnns(coco.getAnnIds())
    with redirect_stdout(None):
        evaluation = COCOeval(coco, coco.loadRes([{**a, "score": 1.0} for a in truth]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0]


images, objects, names = {}, 0, {}
for fold in folds:
    with redirect_stdout(None):
        coco = COCO(str(export / f"annotations/instances_{fold}.json"))
    categories = coco.loadCats(coco.getCatIds())
    found = [(c["brand_index"], c["key"], c["supercategory"]) for c in categories]
    assert found == brands.select("index", "key", "category").rows()
    assert all(c["id"] == c["brand_index"] + 1 and c["name"] in (c["key"], c["key"].split("/")[1]) for c in categories)
    names = {c["id"]: c["name"] for c in categories}
    assert len(set(names.values())) == len(categories)
    assert perfect(coco) == 1.0, fold
    for number, image in enumerate(coco.loadImgs(coco.getImgIds())):
        row = catalog.row(by_predicate=pl.col("image") == image["id"] - 1, named=True)
        assert (image["width"], image["height"], image["raw_image"]) == (row["width"], row["height"], row["raw_image"])
        assert (export / "images" / image["file_name"]).is_file()
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        expected = list(boxes(dataset / row["annotation"], row["width"], row["height"]))
        assert [(a["category_id"] - 1, a["bbox"]) for a in annotations] == expected, image
        assert all(a["area"] == a["bbox"][2] * a["bbox"][3] > 0 and a["iscrowd"] == 0 and a["segmentation"] == [] and a["id"] > 0 for a in annotations)
        assert image["file_name"] not in images, "an image in two folds"
        images[image["file_name"]] = [(names[index + 1], bbox) for index, bbox in expected]
        objects += len(annotations)
        if number < 4 and annotations:
            assert shown(coco, annotations) == len(annotations)
assert {int(name.split(".")[0]) for name in images} == set(catalog["image"].to_list())
assert sorted(images) == sorted(path.name for path in (export / "images").iterdir())

readers = ["pycocotools"]
if sys.version_info >= (3, 11):
    import datumaro

    read = datumaro.Dataset.import_from(str(export), "coco_instances")
    labels = read.categories()[datumaro.AnnotationType.label]
    found = {f"{item.id}.jpg": sorted((labels[a.label].name, a.get_bbox()) for a in item.annotations) for item in read}
    assert found == {name: sorted(boxes) for name, boxes in images.items()}
    assert all(item.media.data.shape[2] == 3 for item, _ in zip(read, range(4)))
    readers.append("Datumaro")
try:
    from torchvision.datasets import CocoDetection
except ImportError:
    readers.append("(no torchvision here)")
else:
    for fold in folds:
        pictures = CocoDetection(str(export / "images"), str(export / f"annotations/instances_{fold}.json"))
        for (picture, target), number in zip(pictures, pictures.ids):
            assert picture.size == Image.open(export / "images" / f"{number - 1:012}.jpg").size
            assert [(names[a["category_id"]], a["bbox"]) for a in target] == images[f"{number - 1:012}.jpg"]
    readers.append("torchvision")
print(f"{len(images)} images, {objects} boxes, by {', '.join(readers)}")
