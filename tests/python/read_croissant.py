"""croissant.json by its own library, hashes and columns by others: read_croissant.py DATASET"""

import hashlib
import json
import sys
from pathlib import Path

import mlcroissant
import polars as pl

dataset = Path(sys.argv[1])
described = json.loads((dataset / "croissant.json").read_text())
manifest = json.loads((dataset / "manifest.json").read_text())

croissant = mlcroissant.Dataset(jsonld=str(dataset / "croissant.json"))  # raises on any error
issues = croissant.metadata.ctx.issues
assert not issues.errors, issues.errors
# What we cannot state: see pipeline/src/croissant.rs.
assert len(issues.warnings) == 2, issues.warnings
assert all(any(word in warning for word in ("datePublished", "license")) for warning in map(str, issues.warnings))

objects = [thing for thing in described["distribution"] if thing["@type"] == "cr:FileObject"]
assert {thing["contentUrl"] for thing in objects} == set(manifest["files"]) - {"croissant.json"}
for thing in objects:
    content = (dataset / thing["contentUrl"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == thing["sha256"]
    assert thing["contentSize"] == f"{len(content)} B"
for thing in described["distribution"]:
    if thing["@type"] == "cr:FileSet":
        assert list(dataset.glob(thing["includes"])), thing

KIND = {"sc:Integer": lambda t: t.is_integer(), "sc:Text": lambda t: t == pl.String}
sets = {records["@id"]: records["field"] for records in described["recordSet"]}
for name, frame in [("catalog", pl.read_parquet(dataset / "catalog.parquet")), ("brands", pl.read_csv(dataset / "brands.csv"))]:
    assert [field["source"]["extract"]["column"] for field in sets[name]] == frame.columns
    assert all(KIND[field["dataType"]](frame.schema[field["name"]]) for field in sets[name])

records = [record["brands/brand"].decode() for record in croissant.records("brands")]
assert records == pl.read_csv(dataset / "brands.csv")["brand"].to_list()
print(f"{len(objects)} files, {len(records)} brands")
