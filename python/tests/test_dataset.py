"""Rows are those that other readers find, whatever asks for them, and what is wrong is told by name."""

from __future__ import annotations

import io
import json
import multiprocessing
import pickle
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import logodex


def shard(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a shard, read by hand."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    kinds = {"U8": np.uint8, "U32": np.uint32, "U64": np.uint64, "I64": np.int64}
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def pixels(path: Path) -> np.ndarray:
    """Every picture of a dataset with raw shards, read by hand."""
    manifest = json.loads((path / "manifest.json").read_text())
    return np.concatenate([shard(path / entry["path"])["images"] for entry in manifest["shards"]])


def test_rows_are_those_of_the_files(d: logodex.Dataset, path: Path) -> None:
    expected = pixels(path)
    assert len(d) == len(expected) and d.side == 32
    assert np.array_equal(d[5], expected[5]) and d[5].dtype == np.uint8
    assert np.array_equal(d[-1], expected[-1])
    assert np.array_equal(d[np.int32(5)], expected[5])
    assert np.array_equal(d[2:20:3], expected[2:20:3])
    assert np.array_equal(d[::-1], expected[::-1])
    assert np.array_equal(d.batch([3, 1, 3, -2]), expected[[3, 1, 3, -2]])
    assert np.array_equal(d.batch(range(4)), expected[:4])
    assert np.array_equal(d.batch(np.arange(len(d), dtype=np.uint16)), expected)
    assert np.array_equal(d[np.array([[1, 2], [3, 4]])], expected[[[1, 2], [3, 4]]])
    assert d.batch([]).shape == (0, 32, 32, 3)


def test_a_batch_fills_an_array_of_the_callers(d: logodex.Dataset) -> None:
    out = np.zeros((3, 32, 32, 3), np.uint8)
    assert d.batch([9, 8, 7], out=out) is out
    assert np.array_equal(out, d[[9, 8, 7]])
    for wrong in [np.zeros((2, 32, 32, 3), np.uint8), np.zeros((3, 32, 32, 3), np.float32), np.zeros((32, 32, 3, 3), np.uint8).T]:
        with pytest.raises(logodex.UsageError, match=r"uint8 \[3, 32, 32, 3\]"):
            d.batch([9, 8, 7], out=wrong)
    out.setflags(write=False)
    with pytest.raises(logodex.UsageError, match="read-only"):
        d.batch([9, 8, 7], out=out)


def test_rows_that_are_none_are_told(d: logodex.Dataset, path: Path) -> None:
    n = len(d)
    for row in [n, -n - 1]:
        for ask in [lambda: d[row], lambda: d.batch([0, row]), lambda: d.view(row)]:
            with pytest.raises(logodex.RowError, match=f"row {row} is asked for, and it has {n} rows") as raised:
                ask()
            assert str(path) in str(raised.value) and raised.value.path == path
    assert issubclass(logodex.RowError, IndexError)
    with pytest.raises(logodex.UsageError, match="flatnonzero"):
        d.batch(np.ones(n, bool))
    with pytest.raises(logodex.UsageError, match="float64"):
        d.batch([0.5])
    with pytest.raises(logodex.UsageError):
        d["first"]  # type: ignore[index]


def test_a_view_is_the_file_itself(d: logodex.Dataset, path: Path) -> None:
    one, several = d.view(7), d.view(range(3, 9))
    assert np.array_equal(one, d[7]) and np.array_equal(several, d[3:9])
    assert not one.flags.owndata and not one.flags.writeable and not several.flags.writeable
    assert np.shares_memory(one, several) and not np.shares_memory(one, d[7])
    with pytest.raises(ValueError):
        one[0, 0, 0] = 1
    assert d.view(range(4, 4)).shape == (0, 32, 32, 3)
    assert [row for shard in d.shards for row in shard] == list(range(len(d)))
    for wrong in [range(0, 4, 2), [1, 2], range(-3, 0)]:
        with pytest.raises(logodex.UsageError, match="range"):
            d.view(wrong)  # type: ignore[arg-type]
    # The file stays mapped as long as somebody looks at it.
    lonely = logodex.open(path).view(7)
    assert np.array_equal(lonely, one)


def test_jpegs_are_decoded(jpegs: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    d = logodex.open(jpegs)
    tensors = shard(jpegs / json.loads((jpegs / "manifest.json").read_text())["shards"][0]["path"])
    for row in [0, 1, 11]:
        begin, end = tensors["offsets"][row : row + 2]
        decoded = np.asarray(image.open(io.BytesIO(tensors["blob"][int(begin) : int(end)].tobytes())))
        assert np.array_equal(d[row], decoded)
    with pytest.raises(logodex.UsageError, match="JPEG"):
        d.view(0)


def test_brands_and_catalog(d: logodex.Dataset) -> None:
    assert [brand.index for brand in d.brands] == list(range(len(d.brands)))
    assert d.brands is d.brands
    brand = d.brands[3]
    assert brand.key == f"{brand.category}/{brand.brand}"
    assert (d.labels[brand.first_row : brand.first_row + brand.n_rows] == 3).all()
    assert sum(brand.n_rows for brand in d.brands) == len(d)
    assert list(brand.rows) == np.flatnonzero(d.labels == 3).tolist()
    assert d.splits == ["s"]
    assert d.objects.any() and not d.objects.all()
    polars = pytest.importorskip("polars")
    assert isinstance(d.catalog, polars.DataFrame) and len(d.catalog) == len(d)
    assert [d.brands[label].brand for label in d.labels] == d.catalog["brand"].to_list()


def test_folds_share_no_brand(d: logodex.Dataset) -> None:
    split = d.split("s")
    folds = [split.train, split.val, split.test]
    brands = [set(fold.brands.tolist()) for fold in folds]
    assert sum(map(len, brands)) == len(d.brands) == len(set.union(*brands))
    for fold in folds:
        assert np.array_equal(d.labels[fold.rows], fold.labels)
        assert set(fold.labels.tolist()) == set(fold.brands.tolist())
        assert fold.region == "image" and not d.objects[fold.rows].any()
    test = split.fold("test", "object")
    assert d.objects[test.rows].all()
    both = split.fold("test", "both")
    assert sorted(both.rows.tolist()) == sorted(split.test.rows.tolist() + test.rows.tolist())
    picture, label = test[4]
    assert np.array_equal(picture, d[test.rows[4]]) and label == test.labels[4]
    pictures, labels = test[[4, 0]]
    assert np.array_equal(pictures, d[test.rows[[4, 0]]]) and np.array_equal(labels, test.labels[[4, 0]])
    pictures, labels = test.batch(np.array([[0, 1, 2]]))
    assert pictures.shape == (1, 3, 32, 32, 3) and labels.shape == (1, 3)
    with pytest.raises(logodex.RowError, match="fold \"test\""):
        test[len(test)]
    with pytest.raises(logodex.UsageError, match="train, val or test"):
        split.fold("validation")
    with pytest.raises(logodex.UsageError, match="image, object or both"):
        split.fold("val", "boxes")


def test_a_missing_dataset_and_a_missing_split_are_told(d: logodex.Dataset, tmp_path: Path) -> None:
    with pytest.raises(logodex.NotFoundError, match="none") as raised:
        logodex.open(tmp_path / "none")
    assert raised.value.path == tmp_path / "none"
    assert isinstance(raised.value, FileNotFoundError)
    with pytest.raises(logodex.NotFoundError, match="it has s"):
        d.split("t")


def test_a_flipped_bit_is_told_when_its_row_is_touched(copy: Path) -> None:
    entry = json.loads((copy / "manifest.json").read_text())["shards"][0]
    path = copy / entry["path"]
    data = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    data[begin + 5 * 32 * 32 * 3 + 99] ^= 4
    path.write_bytes(data)
    d = logodex.open(copy)
    assert d[4].shape == d[6].shape
    for ask in [lambda: d[5], lambda: d.batch([4, 5]), lambda: d.view(5), lambda: d.view(range(4, 7))]:
        with pytest.raises(logodex.CorruptError, match="row 5 .*CRC-32") as raised:
            ask()
        assert raised.value.path == path and str(path) in str(raised.value)


def test_another_version_and_a_changed_table_are_told(copy: Path) -> None:
    brands = copy / "brands.csv"
    whole = brands.read_bytes()
    brands.write_bytes(whole[:-1] + b"x")
    with pytest.raises(logodex.CorruptError, match="brands.csv") as raised:
        logodex.open(copy)
    assert raised.value.path == brands
    brands.write_bytes(whole)
    manifest = copy / "manifest.json"
    version = json.loads(manifest.read_text())["version"]
    manifest.write_text(manifest.read_text().replace(f'"version": {version}', '"version": 99', 1))
    with pytest.raises(logodex.CorruptError, match="version 99"):
        logodex.open(copy)


def test_what_is_pickled_is_the_same_elsewhere(d: logodex.Dataset) -> None:
    again = pickle.loads(pickle.dumps(d))
    assert again.identity == d.identity and np.array_equal(again[3], d[3])
    fold = d.split("s").fold("val", "object")
    copied = pickle.loads(pickle.dumps(fold))
    assert (copied.name, copied.region, copied.split.name) == ("val", "object", "s")
    assert np.array_equal(copied.rows, fold.rows)
    for error in [logodex.RowError("x"), logodex.NotFoundError("x"), logodex.CorruptError("x")]:
        assert isinstance(pickle.loads(pickle.dumps(error)), type(error))


def total(fold: logodex.Fold) -> int:
    pictures, _ = fold[np.arange(len(fold))]
    return int(pictures.sum(dtype=np.int64))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same(d: logodex.Dataset, method: str) -> None:
    fold = d.split("s").train
    # The threads of this process are up now, and a forked one has none of them.
    expected = total(fold)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(total, [fold] * 4).get(timeout=60) == [expected] * 4


def test_others_run_while_a_batch_is_read(d: logodex.Dataset) -> None:
    rows = np.arange(len(d)).repeat(50)
    began, ran = threading.Event(), []

    def other() -> None:
        began.wait()
        ran.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    before = sys.getswitchinterval()
    try:
        # From here on this thread keeps the interpreter unless it lets go of it.
        sys.setswitchinterval(1000)
        began.set()
        d.batch(rows)
        assert ran, "the batch held the interpreter"
    finally:
        sys.setswitchinterval(before)
        thread.join()


def test_it_says_what_it_is(d: logodex.Dataset) -> None:
    assert repr(d) == f"<logodex.Dataset {d.path}: {len(d)} rows of 24 brands, 32 px>"
    assert repr(d.split("s")).startswith('<logodex.Split "s": ')
    assert repr(d.split("s").val).startswith('<logodex.Fold "val" of split "s": ')
