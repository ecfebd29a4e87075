"""Scores a CLIP-shaped image encoder on the unseen brands of a dataset with raw shards:

    python3 examples/score_clip.py data/logodet3k default ENCODER.pt clip
    logodex-eval evaluate --dataset data/logodet3k --split default --embeddings clip.npy --rows clip.rows.npy --out runs/clip

ENCODER.pt is a TorchScript module [N, 3, 224, 224] → [N, D], with the weights that you have, for example
`torch.jit.trace(open_clip.create_model("ViT-B-32", pretrained=WEIGHTS).visual, torch.zeros(1, 3, 224, 224)).save("ENCODER.pt")`.
Nothing is downloaded. Needs torch, numpy and safetensors.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

dataset, split, encoder, name = Path(sys.argv[1]), sys.argv[2], torch.jit.load(sys.argv[3]).eval(), sys.argv[4]
unseen = [int(line["index"]) for line in csv.DictReader(open(dataset / f"splits/{split}.csv")) if line["fold"] != "train"]
mean, std = torch.tensor([[0.4815, 0.4578, 0.4082], [0.2686, 0.2613, 0.2758]]).reshape(2, 1, 3, 1, 1)
rows, embeddings = [], []
for entry in json.loads((dataset / "manifest.json").read_text())["shards"]:
    shard = load_file(dataset / entry["path"])
    brand, row = entry["first_brand"] + shard["brand"], entry["first_row"] + shard["row"]
    for i in np.array_split(np.flatnonzero(np.isin(brand, unseen)), 1 + len(row) // 64):
        images = torch.from_numpy(shard["images"][i]).permute(0, 3, 1, 2) / 255
        images = torch.nn.functional.interpolate(images, (224, 224), mode="bicubic", antialias=True)
        with torch.inference_mode():
            embeddings.append(encoder((images - mean) / std).float().numpy())
        rows.append(row[i])
np.save(f"{name}.npy", np.concatenate(embeddings))
np.save(f"{name}.rows.npy", np.concatenate(rows))
