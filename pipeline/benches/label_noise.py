"""Planted label noise: who finds it? Python with numpy, polars, scikit-learn and cleanlab[datalab] 2.9.0.

    logodex-fixtures tree --out raw --brands 120 --images-per-brand 10 --seed 77
    python label_noise.py plant raw moved.json        # every twentieth picture goes to the folder of another brand
    logodex-data audit --raw raw --out audit --model model.onnx
    logodex-data build --raw raw --out dataset --config object.toml          # region = "object", side as the model's
    logodex-data split --dataset dataset --name s --seed 1 --allow-duplicates
    for fold in train val test; do logodex embed --model model.onnx --dataset dataset --split s --fold $fold --out $fold.npy; done
    python label_noise.py compare moved.json audit/seen.csv dataset train.npy val.npy test.npy

A picture is doubted as much as the most doubtful of its objects.
"""

import csv
import glob
import json
import os
import random
import re
import sys


def plant(raw, out):
    draw, root = random.Random(1), os.path.join(raw, "LogoDet-3K")
    pictures = sorted(glob.glob(f"{root}/*/*/*.jpg"))
    folders = sorted({os.path.dirname(path) for path in pictures})
    moved = []
    for i, path in enumerate(draw.sample(pictures, len(pictures) // 20)):
        to = draw.choice([folder for folder in folders if folder != os.path.dirname(path)])
        annotation = path[:-4] + ".xml"
        with open(annotation) as file:
            text = file.read()
        own = re.search("<name>(.*?)</name>", text).group(1)
        with open(f"{to}/moved-{i}.xml", "w") as file:
            file.write(text.replace(f"<name>{own}<", f"<name>{os.path.basename(to)}<"))
        os.remove(annotation)
        os.rename(path, f"{to}/moved-{i}.jpg")
        moved.append(os.path.relpath(f"{to}/moved-{i}.jpg", root))
    with open(out, "w") as file:
        json.dump(moved, file)


def compare(moved, seen, dataset, files):
    import numpy as np
    import polars as pl
    from cleanlab import Datalab
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    with open(moved) as file:
        moved = set(json.load(file))

    def tell(who, images):
        """`images` of rows, the most doubtful first."""
        order = list(dict.fromkeys(images))
        first = set(order[: len(order) // 10])
        print(f"{who}: recall {len(first & moved) / len(moved):.3f}, precision {len(first & moved) / len(first):.3f} in the first tenth")

    with open(seen, newline="") as file:
        tell("logodex-data audit --model", [line["image"] for line in csv.DictReader(file)])
    x = np.concatenate([np.load(path) for path in files])
    rows = np.concatenate([np.load(path[:-4] + ".rows.npy") for path in files])
    catalog = pl.read_parquet(f"{dataset}/catalog.parquet").sort("row")
    _, y = np.unique(catalog["brand_index"].to_numpy()[rows], return_inverse=True)
    images = np.array(catalog["raw_image"].to_list())[rows]
    lab = Datalab(data={"y": y.tolist()}, label_name="y", verbosity=0)
    lab.find_issues(features=x, issue_types={"label": {}})
    scores = lab.get_issues("label")["label_score"].to_numpy()
    tell("cleanlab, neighbours", images[np.argsort(scores, kind="stable")])
    p = cross_val_predict(LogisticRegression(max_iter=300, C=10), x, y, cv=5, method="predict_proba")
    tell("cleanlab, logistic regression in five folds", images[np.argsort(get_label_quality_scores(y, p), kind="stable")])


if sys.argv[1] == "plant":
    plant(*sys.argv[2:4])
else:
    compare(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
