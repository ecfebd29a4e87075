"""Judges CLIP's image encoder on brands that are kept for the test, and writes the report:

    python3 examples/judge_clip.py data/logodet3k default runs/clip [MODEL]

MODEL is one of timm's; its weights are those that timm fetches, and with ":untrained" none. Needs logodex, torch and timm.
"""

import sys

import timm
import torch
from torch.utils.data import BatchSampler, DataLoader

import logodex

dataset, split, out = sys.argv[1:4]
name, _, untrained = (sys.argv[4:] or ["vit_base_patch32_clip_224.openai"])[0].partition(":")
d = logodex.open(dataset)
split = d.split(split)
network = timm.create_model(name, pretrained=not untrained, num_classes=0).eval()
side = network.default_cfg["input_size"][-1]
mean, std = (255 * torch.tensor(network.default_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))

rows = [*split.fold("val", "both").rows, *split.fold("test", "both").rows]
embeddings = []
for pictures in DataLoader(d, sampler=BatchSampler(rows, 32, drop_last=False), batch_size=None):
    pictures = torch.nn.functional.interpolate(pictures.permute(0, 3, 1, 2).float(), (side, side), mode="bicubic", antialias=True)
    with torch.inference_mode():
        embeddings.append(network((pictures.clamp(0, 255) - mean) / std))
result = logodex.evaluate({name: torch.cat(embeddings)}, rows, d, split=split)
print(result)
print(result.report(out))
