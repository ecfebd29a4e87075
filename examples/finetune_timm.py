"""Fine-tunes a backbone of timm with a loss of pytorch-metric-learning on the training brands, and judges it on the test brands:

    python3 examples/finetune_timm.py data/logodet3k default [BACKBONE] [EPOCHS]

Weights are those that timm fetches; "resnet18:untrained" begins without. Needs logodex, torch, timm, pytorch-metric-learning.
"""

import sys

import timm
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss
from torch.utils.data import BatchSampler, DataLoader

import logodex

dataset, split, backbone, epochs = (sys.argv[1:] + ["resnet18", "3"][len(sys.argv) - 3 :])[:4]
name, _, untrained = backbone.partition(":")
d = logodex.open(dataset)
split = d.split(split)
train = split.fold("train", "object")
network = timm.create_model(name, pretrained=not untrained, num_classes=0)
mean, std = (255 * torch.tensor(network.default_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
loss, optimizer = MultiSimilarityLoss(), torch.optim.AdamW(network.parameters(), lr=1e-4)
loader = DataLoader(train, batch_sampler=logodex.PKSampler(train, batch=32, images_per_brand=4))
for epoch in range(int(epochs)):
    for pictures, labels in loader:
        optimizer.zero_grad()
        loss(network((pictures.permute(0, 3, 1, 2) - mean) / std), labels).backward()
        optimizer.step()

network.eval()
rows = [*split.fold("val", "object").rows, *split.fold("test", "object").rows]
with torch.inference_mode():
    batches = DataLoader(d, sampler=BatchSampler(rows, 64, drop_last=False), batch_size=None)
    embeddings = torch.cat([network((pictures.permute(0, 3, 1, 2) - mean) / std) for pictures in batches])
print(logodex.evaluate({name: embeddings}, rows, d, split=split, region="object"))
