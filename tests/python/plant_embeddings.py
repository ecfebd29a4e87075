"""Embeddings of every row of a dataset, a point per brand or noise: plant_embeddings.py DATASET perfect|noise OUT"""

import sys

import numpy as np
import polars as pl
from safetensors.numpy import save_file

dataset, kind, out = sys.argv[1:]
catalog = pl.read_parquet(f"{dataset}/catalog.parquet").sort("row")
brand = catalog["brand_index"].to_numpy().astype(np.int64)
rng = np.random.default_rng(1)
points = rng.normal(size=(brand.max() + 1, 48)).astype(np.float32)
embeddings = points[brand] if kind == "perfect" else rng.normal(size=(len(brand), 48)).astype(np.float32)
save_file({"embeddings": embeddings, "brand": brand, "row": catalog["row"].to_numpy().astype(np.int64)}, out)
