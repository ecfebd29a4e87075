"""Scores a torchvision network on the unseen brands of a dataset with raw shards:

    python3 examples/score_torchvision.py data/logodet3k default resnet18 [WEIGHTS.pth]
    logodex-eval evaluate --dataset data/logodet3k --split default --embeddings resnet18.npy --rows resnet18.rows.npy --out runs/resnet18

Nothing is downloaded: give the weights that you have (torchvision's are at https://docs.pytorch.org/vision/stable/models.html),
or get a random network, which is a floor. Needs torch, torchvision, numpy and safetensors.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.numpy import load_file

dataset, split, arch = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
unseen = [int(line["index"]) for line in csv.DictReader(open(dataset / f"splits/{split}.csv")) if line["fold"] != "train"]
network = torchvision.models.get_model(arch, weights=None)
if len(sys.argv) > 4:
    network.load_state_dict(torch.load(sys.argv[4], weights_only=True))
network.fc = torch.nn.Identity()  # the pooled features
prepare = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
rows, embeddings = [], []
for entry in json.loads((dataset / "manifest.json").read_text())["shards"]:
    shard = load_file(dataset / entry["path"])
    brand, row = entry["first_brand"] + shard["brand"], entry["first_row"] + shard["row"]
    for i in np.array_split(np.flatnonzero(np.isin(brand, unseen)), 1 + len(row) // 64):
        images = torch.from_numpy(shard["images"][i]).permute(0, 3, 1, 2) / 255
        with torch.inference_mode():
            embeddings.append(network.eval()(prepare(images)).numpy())
        rows.append(row[i])
np.save(f"{arch}.npy", np.concatenate(embeddings))
np.save(f"{arch}.rows.npy", np.concatenate(rows))
