"""Samplers draw what `logodex-train` draws, and go on where they were."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from conftest import run

import logodex

CONFIG = """
seed = 9
[model]
arch = "resnet18"
head = "none"
[loss]
{loss}
[data]
region = "object"
sampler = "{sampler}"
{data}
[schedule]
epochs = 4
"""

# A sheet of `logodex-train preview`: where a line's pictures lie, as stored.
TILE, CELL, LEFT, TOP = 112, (2 * 112 + 4 + 28, 112 + 36), 32 + 12, 104


def sheet(objects: Path, tmp_path: Path, sampler: str, loss: str, data: str, heads: bool) -> np.ndarray:
    """The pictures of the first lines of the first batch of epoch 2, `[lines, columns, side, side, 3]`."""
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "config.toml").write_text(CONFIG.format(loss=loss, sampler=sampler, data=data))
    arguments = ["--dataset", objects, "--split", "s", "--config", tmp_path / "config.toml", "--epoch", 2]
    run("logodex-train", "preview", *arguments, "--out", tmp_path / "sheet.png")
    pixels = np.asarray(image.open(tmp_path / "sheet.png").convert("RGB"))
    top = TOP + (56 if heads else 34) + 24
    columns = {"triplets": 3, "pairs": 2, "pk": 4}[sampler]
    lines = 4 if sampler == "pk" else 8
    tiles = [
        [pixels[top + line * CELL[1] :, LEFT + column * CELL[0] :][:TILE, :TILE] for column in range(columns)]
        for line in range(lines)
    ]
    return np.array(tiles)


@pytest.mark.parametrize(
    ("sampler", "loss", "data"),
    [
        ("triplets", 'kind = "triplet"\nmargin = 1.0', "batch = 32"),
        ("pairs", 'kind = "contrastive_cosine"\nmargin = 0.2', "batch = 32"),
        ("pk", 'kind = "multi_similarity"\nalpha = 2.0\nbeta = 50.0\nbase = 0.5', "batch = 16\nimages_per_brand = 4"),
    ],
)
def test_draws_are_those_of_logodex_train(objects: Path, tmp_path: Path, sampler: str, loss: str, data: str) -> None:
    expected = sheet(objects, tmp_path, sampler, loss, data, heads=sampler != "pk")
    train = logodex.open(objects).split("s").train
    drawn = {
        "triplets": lambda: logodex.TripletSampler(train, seed=9),
        "pairs": lambda: logodex.PairSampler(train, seed=9),
        "pk": lambda: logodex.PKSampler(train, batch=16, images_per_brand=4, seed=9),
    }[sampler]()
    drawn.set_epoch(2)
    first = list(itertools.islice(drawn, 1 if sampler == "pk" else len(expected)))
    places = np.array(first).reshape(expected.shape[:2])
    assert np.array_equal(train[places][0], expected)
    drawn.set_epoch(3)
    assert list(itertools.islice(drawn, len(first))) != first


def samplers(fold: logodex.Fold) -> list[object]:
    return [
        logodex.TripletSampler(fold, seed=5),
        logodex.PairSampler(fold, seed=5),
        logodex.PKSampler(fold, batch=8, images_per_brand=2, seed=5),
    ]


def test_an_epoch_is_what_it_should_be(d: logodex.Dataset) -> None:
    fold = d.split("s").fold("train", "object")
    triplets, pairs, pk = (list(sampler) for sampler in samplers(fold))  # type: ignore[call-overload]
    labels = fold.labels
    anchors = [anchor for anchor, _, _ in triplets]
    assert len(set(anchors)) == len(anchors) == len(triplets)
    assert all(labels[a] == labels[p] != labels[n] and a != p for a, p, n in triplets)
    same = np.mean([labels[a] == labels[b] for a, b in pairs])
    assert 0.3 < same < 0.7
    counts = np.zeros(labels.max() + 1, int)
    for batch in pk:
        brands, times = np.unique(labels[batch], return_counts=True)
        assert len(batch) == 8 and (times == 2).all()
        counts[brands] += 1
    counts = counts[fold.brands]
    assert counts.max() - counts.min() <= 1


def test_they_go_on_where_they_were(d: logodex.Dataset) -> None:
    fold = d.split("s").fold("train", "object")
    for one, other, third in zip(samplers(fold), samplers(fold), samplers(fold)):
        whole = list(one) + list(one)  # type: ignore[call-overload]
        assert len(whole) == 2 * len(one)  # type: ignore[arg-type]
        drawn = list(itertools.islice(other, 5))  # type: ignore[call-overload]
        state = other.state_dict()  # type: ignore[attr-defined]
        assert state == {"seed": 5, "epoch": 0, "done": 5}
        third.load_state_dict(state)  # type: ignore[attr-defined]
        assert drawn + list(third) + list(third) == whole  # type: ignore[call-overload]
        # What a loader with workers had drawn ahead is drawn again.
        third.load_state_dict(other.state_dict(done=3))  # type: ignore[attr-defined]
        assert list(third) == whole[3 : len(one)]  # type: ignore[call-overload, arg-type]
        with pytest.raises(logodex.UsageError, match="seed 6"):
            third.load_state_dict({**state, "seed": 6})  # type: ignore[attr-defined]


def test_batches_that_cannot_be_are_told(d: logodex.Dataset) -> None:
    train = d.split("s").train
    with pytest.raises(logodex.UsageError, match="multiple of images_per_brand = 3"):
        logodex.PKSampler(train, batch=16, images_per_brand=3)
    with pytest.raises(logodex.UsageError, match="needs 100 different brands"):
        logodex.PKSampler(train, batch=200, images_per_brand=2)
