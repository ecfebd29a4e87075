"""A dataset's shards, read with the ordinary safetensors library: read_shards.py DATASET"""

import json
import sys
import zlib
from pathlib import Path

import numpy as np
import polars as pl
from safetensors import safe_open
from safetensors.numpy import load_file

dataset = Path(sys.argv[1])
manifest = json.loads((dataset / "manifest.json").read_text())
catalog = pl.read_parquet(dataset / "catalog.parquet")
side = manifest["config"]["side"]

rows = 0
for entry in manifest["shards"]:
    path = dataset / entry["path"]
    shard = load_file(path)
    n = entry["n_rows"]
    if "images" in shard:
        assert shard["images"].dtype == np.uint8 and shard["images"].shape == (n, side, side, 3)
        samples = [image.tobytes() for image in shard["images"]]
    else:
        blob, offsets = shard["blob"], shard["offsets"]
        assert blob.dtype == np.uint8 and offsets.dtype == np.uint64 and offsets.shape == (n + 1,)
        # The blob is padded to a multiple of 8.
        assert offsets[0] == 0 and 0 <= len(blob) - int(offsets[-1]) < 8
        samples = [blob[a:b].tobytes() for a, b in zip(offsets[:-1], offsets[1:])]
        assert all(sample.startswith(b"\xff\xd8") for sample in samples)
    assert [zlib.crc32(sample) for sample in samples] == shard["crc32"].tolist(), path

    expected = catalog.slice(entry["first_row"], n)
    assert shard["row"].dtype == np.int64
    for tensor, column in [("row", "row"), ("brand", "brand_index"), ("image", "image")]:
        assert shard[tensor][0] == 0
        assert (entry[f"first_{tensor}"] + shard[tensor]).tolist() == expected[column].to_list(), (path, tensor)
    if "object" in shard:
        assert shard["object"].tolist() == expected["object"].cast(pl.Int64).fill_null(-1).to_list(), path

    # The lazy door reads the same, a tensor at a time.
    with safe_open(path, framework="numpy") as lazy:
        assert set(lazy.keys()) == set(shard)
        assert all(np.array_equal(lazy.get_tensor(name), shard[name]) for name in shard)
    rows += n

assert rows == manifest["counts"]["rows"] == catalog.height > 0
brands = pl.read_csv(dataset / "brands.csv")
labels = catalog.join(brands.select(brand_index=pl.col("index").cast(pl.UInt32), expected="brand"), on="brand_index")
assert labels.height == rows and (labels["brand"] == labels["expected"]).all()
print(f"{rows} rows")
