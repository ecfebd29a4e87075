"""PyTorch takes datasets, folds and samplers as they are."""

from __future__ import annotations

import numpy as np
import pytest

import logodex

torch = pytest.importorskip("torch")

from torch.utils.data import BatchSampler, DataLoader, RandomSampler  # noqa: E402


@pytest.mark.parametrize(("workers", "context"), [(0, None), (2, "fork"), (2, "spawn")])
def test_a_loader_gives_every_row_once(d: logodex.Dataset, workers: int, context: str | None) -> None:
    fold = d.split("s").train
    d.batch(range(10))  # the threads of this process are up
    loader = DataLoader(fold, batch_size=7, shuffle=True, num_workers=workers, multiprocessing_context=context)
    pictures, labels = (torch.cat(part) for part in zip(*loader))
    assert pictures.shape == (len(fold), 32, 32, 3) and pictures.dtype == torch.uint8
    assert sorted(labels.tolist()) == sorted(fold.labels.tolist())
    assert pictures.sum(dtype=torch.int64) == fold[:][0].sum(dtype=np.int64)


def test_whole_batches_need_no_collation(d: logodex.Dataset) -> None:
    fold = d.split("s").val
    batches = BatchSampler(RandomSampler(fold), 8, drop_last=False)
    loader = DataLoader(fold, sampler=batches, batch_size=None, num_workers=2)
    seen = list(loader)
    assert all(pictures.shape[1:] == (32, 32, 3) for pictures, _ in seen)
    assert sum(len(labels) for _, labels in seen) == len(fold)


def test_tensors_choose_rows_and_are_filled(d: logodex.Dataset) -> None:
    assert np.array_equal(d[torch.tensor([3, 1])], d[[3, 1]])
    assert np.array_equal(d[torch.tensor(3)], d[3])
    assert d[torch.tensor([3])].shape == (1, 32, 32, 3)
    out = torch.zeros((2, 32, 32, 3), dtype=torch.uint8)
    assert d.batch(torch.tensor([3, 1]), out=out) is out
    assert np.array_equal(out.numpy(), d[[3, 1]])


def test_samplers_are_torchs(d: logodex.Dataset) -> None:
    train = d.split("s").train
    sampler = logodex.PKSampler(train, batch=8, images_per_brand=2, seed=3)
    assert isinstance(sampler, torch.utils.data.Sampler)
    drawn = list(logodex.PKSampler(train, batch=8, images_per_brand=2, seed=3))
    loader = DataLoader(train, batch_sampler=sampler, num_workers=2)
    assert len(loader) == len(drawn)
    for (pictures, labels), places in zip(loader, drawn):
        assert np.array_equal(labels.numpy(), train.labels[places])
        assert np.array_equal(pictures.numpy(), train[places][0])
        assert (np.unique(labels, return_counts=True)[1] == 2).all()

    for pictures, labels in DataLoader(train, batch_size=5, sampler=logodex.TripletSampler(train)):
        assert pictures.shape[1:] == (3, 32, 32, 3)
        assert (labels[:, 0] == labels[:, 1]).all() and (labels[:, 0] != labels[:, 2]).all()
    first, labels = next(iter(DataLoader(train, batch_size=5, sampler=logodex.PairSampler(train))))
    assert first.shape == (5, 2, 32, 32, 3) and labels.shape == (5, 2)


def test_tensors_are_judged(d: logodex.Dataset, rows: np.ndarray, embeddings: np.ndarray) -> None:
    tensor = torch.from_numpy(embeddings).requires_grad_()
    ask = {"protocols": ["retrieval"], "progress": False}
    plain = logodex.evaluate({"mine": embeddings}, rows, d, "s", **ask)
    assert logodex.evaluate({"mine": tensor}, torch.from_numpy(rows), d, "s", **ask).rows == plain.rows
    rough = embeddings.astype(np.float16)
    half = logodex.evaluate({"mine": tensor.half()}, rows, d, "s", **ask)
    assert half.rows == logodex.evaluate({"mine": rough}, rows, d, "s", **ask).rows
    bf16 = tensor.to(torch.bfloat16)
    assert logodex.evaluate({"mine": bf16}, rows, d, "s", **ask).rows == logodex.evaluate({"mine": bf16.float()}, rows, d, "s", **ask).rows
