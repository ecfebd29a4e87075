"""Batches for PyTorch, and a judge, beside their peers:

    python3 scripts/bench_python.py feed DATASET SPLIT FOLDER     # images/s of batches of 64, with 0 and 2 workers
    python3 scripts/bench_python.py judge DATASET SPLIT [N DIM]   # evaluate beside pytorch-metric-learning's AccuracyCalculator

DATASET has raw shards. Its training rows are written to FOLDER once for each peer, as each usually stores them: JPEGs of quality
90 (of `streaming`, of `webdataset` and in an image folder), PNGs by `datasets`, raw pixels (of `streaming`, too). Peers that are
not installed are left out and named. Prints a JSON line per reading.
"""

import io
import json
import shutil
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

import logodex

BATCH, SECONDS = 64, 5.0


def tell(**line):
    print(json.dumps(line), flush=True)


def timed(loader):
    """Images per second over whole epochs, the first batches of the first left out, for at least SECONDS."""
    seen, began = 0, None
    while True:
        for number, batch in enumerate(loader):
            pictures = batch[0] if isinstance(batch, (list, tuple)) else batch["image"]
            if began is not None:
                seen += len(pictures)
            elif number == 3:
                began = time.perf_counter()
            if began is not None and time.perf_counter() - began > SECONDS:
                return seen / (time.perf_counter() - began)


def jpeg(picture):
    bytes_ = io.BytesIO()
    Image.fromarray(picture).save(bytes_, "JPEG", quality=90)
    return bytes_.getvalue()


def tensor(bytes_):
    return torch.from_numpy(np.array(Image.open(io.BytesIO(bytes_)).convert("RGB")))


class Folder(torch.utils.data.Dataset):
    """What torchvision.datasets.ImageFolder does: a file per picture, decoded by Pillow."""

    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)

    def __getitem__(self, place):
        return tensor(self.files[place].read_bytes()), int(self.files[place].parent.name)


def once(folder, write):
    """Has `write` fill a folder, unless it did before."""
    if not folder.exists():
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        write(part)
        part.rename(folder)
    return folder


def image_folder(fold, folder):
    def write(out):
        for place in range(len(fold)):
            picture, label = fold[place]
            (out / str(label)).mkdir(parents=True, exist_ok=True)
            (out / str(label) / f"{place}.jpg").write_bytes(jpeg(picture))

    files = sorted(once(folder / "files", write).rglob("*.jpg"))
    return lambda workers: DataLoader(Folder(files), BATCH, shuffle=True, num_workers=workers)


def webdataset(fold, folder):
    import webdataset as wds

    def write(out):
        out.mkdir(parents=True)
        with wds.ShardWriter(str(out / "%06d.tar"), maxcount=1000, verbose=0) as sink:
            for place in range(len(fold)):
                picture, label = fold[place]
                sink.write({"__key__": f"{place:08d}", "jpg": jpeg(picture), "cls": int(label)})

    shards = [str(path) for path in sorted(once(folder / "webdataset", write).glob("*.tar"))]

    def loader(workers):
        # A worker has shards of its own.
        data = wds.WebDataset(shards, shardshuffle=len(shards), empty_check=False).shuffle(1000)
        data = data.to_tuple("jpg", "cls").map_tuple(tensor, lambda text: int(text)).batched(BATCH)
        return DataLoader(data, batch_size=None, num_workers=min(workers, len(shards)))

    return loader


def streaming(encoding, encode):
    def peer(fold, folder):
        from streaming import MDSWriter, StreamingDataset

        def write(out):
            with MDSWriter(out=str(out), columns={"image": encoding, "label": "int"}) as sink:
                for place in range(len(fold)):
                    picture, label = fold[place]
                    sink.write({"image": encode(picture), "label": int(label)})

        local = str(once(folder / f"streaming-{encoding.partition(':')[0]}", write))

        class Pictures(StreamingDataset):
            def __getitem__(self, place):
                sample = super().__getitem__(place)
                return torch.from_numpy(np.array(sample["image"])), sample["label"]

        return lambda workers: DataLoader(Pictures(local=local, shuffle=True, batch_size=BATCH), BATCH, num_workers=workers)

    return peer


def datasets(fold, folder):
    import datasets as hf

    def write(out):
        hf.disable_progress_bars()

        def samples():
            for place in range(len(fold)):
                picture, label = fold[place]
                yield {"image": Image.fromarray(picture), "label": int(label)}

        features = hf.Features({"image": hf.Image(), "label": hf.Value("int64")})
        cache = str(out) + ".cache"
        hf.Dataset.from_generator(samples, features=features, cache_dir=cache).save_to_disk(str(out))
        shutil.rmtree(cache)

    data = hf.load_from_disk(str(once(folder / "datasets", write))).with_format("torch")
    return lambda workers: DataLoader(data, BATCH, shuffle=True, num_workers=workers)


def ffcv(fold, folder):
    from ffcv.fields import IntField, RGBImageField
    from ffcv.loader import Loader, OrderOption
    from ffcv.writer import DatasetWriter

    def write(out):
        out.mkdir(parents=True)
        writer = DatasetWriter(str(out / "pictures.beton"), {"image": RGBImageField(write_mode="raw"), "label": IntField()})
        writer.from_indexed_dataset(fold)

    path = str(once(folder / "ffcv", write) / "pictures.beton")
    return lambda workers: Loader(path, batch_size=BATCH, num_workers=max(workers, 1), order=OrderOption.RANDOM)


PEERS = {
    "image folder": image_folder,
    "webdataset": webdataset,
    "streaming, JPEG": streaming("jpeg", Image.fromarray),
    "streaming, raw": streaming("ndarray:uint8", lambda picture: picture),
    "datasets": datasets,
    "ffcv": ffcv,
}


def feed(dataset, split, folder):
    d = logodex.open(dataset)
    fold = d.split(split).fold("train", "both")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    out = np.empty((BATCH, d.side, d.side, 3), np.uint8)
    shuffled = lambda: BatchSampler(RandomSampler(fold), BATCH, drop_last=True)  # noqa: E731

    class Reader:
        """The crate's reader into one buffer: what no loader can be faster than."""

        def __iter__(self):
            return ((fold.batch(places, out=out)[0], None) for places in shuffled())

    tell(tool="logodex, one buffer", side=d.side, images_per_s=round(timed(Reader())))
    ours = {
        "logodex, whole batches": lambda workers: DataLoader(fold, sampler=shuffled(), batch_size=None, num_workers=workers),
        "logodex, samples collated": lambda workers: DataLoader(fold, BATCH, shuffle=True, num_workers=workers),
    }
    for name, loader in ours.items():
        for workers in (0, 2):
            tell(tool=name, side=d.side, workers=workers, images_per_s=round(timed(loader(workers))))
    for name, peer in PEERS.items():
        try:
            loader = peer(fold, folder)
        except ImportError as missing:
            print(f"{name}: left out: {missing}", file=sys.stderr)
            continue
        for workers in (0, 2):
            tell(tool=name, side=d.side, workers=workers, images_per_s=round(timed(loader(workers))))


def judge(dataset, split, n="20000", dim="128"):
    d = logodex.open(dataset)
    split = d.split(split)
    rows = np.concatenate([split.fold(name, "both").rows for name in ("val", "test")])[: int(n)]
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(len(d.brands), int(dim)))
    embeddings = (directions[d.labels[rows]] + 2 * rng.normal(size=(len(rows), int(dim)))).astype(np.float32)
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    logodex.evaluate({"mine": embeddings}, rows, d, split=split, progress=False)
    took = time.perf_counter() - began
    tell(tool="logodex.evaluate, every protocol and interval", embeddings=len(rows), dim=int(dim), seconds=round(took, 2))
    try:
        from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

        calculator = AccuracyCalculator(k="max_bin_count", device=torch.device("cpu"))
    except ImportError as missing:
        print(f"AccuracyCalculator: left out: {missing}", file=sys.stderr)
        return
    began = time.perf_counter()
    calculator.get_accuracy(torch.nn.functional.normalize(torch.from_numpy(embeddings)), torch.from_numpy(d.labels[rows]))
    took = time.perf_counter() - began
    tell(tool="AccuracyCalculator, its metrics, no interval", embeddings=len(rows), dim=int(dim), seconds=round(took, 2))


if __name__ == "__main__":
    # What workers inherit is what they would otherwise each fetch.
    torch.set_num_threads(2)
    {"feed": feed, "judge": judge}[sys.argv[1]](*sys.argv[2:])
