"""The peers of the trainer, for `make bench-train`: one process, told line by line by benches/feed.rs what to do.

Reads a JSON request per line and answers with one: {"wall": seconds} or {"missing": why}.
"""

import json
import sys
import time

import numpy as np
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Files(Dataset):
    """The paper's way: each picture is decoded and resized anew each time."""

    def __init__(self, paths, transform):
        self.paths, self.transform = paths, transform

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.transform(Image.open(self.paths[index]).convert("RGB"))


def to_bytes(image):
    return torch.from_numpy(np.array(image))


def transform(side, augment):
    if not augment:
        return T.Compose([T.Resize((side, side)), to_bytes])
    return T.Compose(
        [
            T.Resize((side, side)),
            T.RandomPerspective(0.5, 0.3),
            T.RandomHorizontalFlip(0.3),
            T.RandomRotation(15),
            T.RandomGrayscale(0.1),
            T.ColorJitter(0.2, 0.2, 0.2, 0.1),
            T.ToTensor(),
            T.Normalize(MEAN, STD),
        ]
    )


def loader(paths, side, augment, batch, workers):
    """One pass, the start of the worker processes left out: they live for a whole epoch."""
    torch.set_num_threads(2 if workers == 0 else 1)
    data = DataLoader(
        Files(paths, transform(side, augment)), batch_size=batch, num_workers=workers, persistent_workers=workers > 0
    )
    if workers:
        iter(data)  # starts them
        for _ in data:
            pass

    def run():
        n = 0
        for images in data:
            n += len(images)
        assert n == len(paths)

    return run


def ffcv(paths, side, augment, batch, workers):
    """FFCV's own pipeline for such pictures: JPEGs in its container, decoded by libturbojpeg, cropped, flipped."""
    from ffcv.fields import IntField, RGBImageField
    from ffcv.fields.rgb_image import CenterCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip, ToTensor, ToTorchImage
    from ffcv.writer import DatasetWriter

    class Pairs:
        def __len__(self):
            return len(paths)

        def __getitem__(self, index):
            return Image.open(paths[index]).convert("RGB"), 0

    file = sys.argv[1] + "/peers.beton"
    writer = DatasetWriter(file, {"image": RGBImageField(write_mode="jpg"), "label": IntField()}, num_workers=1)
    writer.from_indexed_dataset(Pairs())
    steps = [CenterCropRGBImageDecoder((side, side), ratio=1.0)]
    steps += [RandomHorizontalFlip(0.3)] if augment else []
    steps += [ToTensor(), ToTorchImage()]
    data = Loader(
        file,
        batch_size=batch,
        num_workers=max(workers, 1),
        order=OrderOption.SEQUENTIAL,
        pipelines={"image": steps, "label": None},
    )

    def run():
        for _ in data:
            pass

    run()  # compiles
    return run


def steps(arch, side, batch, bf16, count):
    """A step as a PyTorch user writes it: channels-last, fused SGD, mean square of the embeddings as the loss."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    net = getattr(torchvision.models, arch)(weights=None)
    net.fc = torch.nn.Linear(net.fc.in_features, 128)
    net = net.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, fused=True)
    images = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            embeddings = net(images)
        loss = embeddings.float().square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    step()  # oneDNN chooses its kernels

    def run():
        for _ in range(count):
            step()

    return run


MAKERS = {"loader": loader, "ffcv": ffcv, "steps": steps}
MADE = {}
THREADS = int(sys.argv[2])

for line in sys.stdin:
    request = json.loads(line)
    task, key = request.pop("task"), json.dumps(request)
    try:
        # What is made once (worker processes, a network) serves every round.
        if (task, key) not in MADE:
            MADE[task, key] = MAKERS[task](**request)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        continue
    torch.set_num_threads(THREADS)
    began = time.perf_counter()
    MADE[task, key]()
    print(json.dumps({"wall": time.perf_counter() - began}), flush=True)
