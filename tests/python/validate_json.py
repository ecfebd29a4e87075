"""Every JSON, TOML and table file of a dataset against its schema: validate_json.py REPOSITORY DATASET PLAN.json"""

import json
import sys
from pathlib import Path

import polars as pl
import tomli
from jsonschema import Draft202012Validator

repository, dataset, plan = map(Path, sys.argv[1:])
checked = set()


def validator(name):
    checked.add(name)
    schema = json.loads((repository / f"schemas/json/{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def check(name, documents):
    schema, documents = validator(name), list(documents)
    assert documents, f"nothing to hold against {name}"
    for document in documents:
        schema.validate(document)
    # A schema that takes anything would have passed, too.
    for key in schema.schema.get("required", []):
        less = {k: v for k, v in documents[0].items() if k != key}
        assert not schema.is_valid(less), f"{name} without {key}"
    assert not schema.is_valid([])


def lines(path):
    return map(json.loads, path.read_text().splitlines())


def one(path):
    return [json.loads(path.read_text())]


def toml(folder):
    return [tomli.loads(path.read_text()) for path in sorted((repository / folder).rglob("*.toml"))]


check("manifest", one(dataset / "manifest.json"))
check("build_config", [one(dataset / "manifest.json")[0]["config"], *toml("pipeline/configs")])
check("consolidation", one(dataset / "consolidation.json") + one(plan))
check("overrides", [one(plan)[0]["overrides"]])
check("reject", lines(dataset / "rejects.jsonl"))
check("split", [json.loads(path.read_text()) for path in (dataset / "splits").glob("*.json")])
check("split_row", pl.concat(map(pl.read_csv, (dataset / "splits").glob("*.csv"))).to_dicts())
check("brand_row", pl.read_csv(dataset / "brands.csv").to_dicts())
check("brand_index_row", pl.read_csv(dataset / "brand_to_index.csv").to_dicts())
check("box_row", pl.read_csv(dataset / "boxes.csv").to_dicts())
check("image_row", pl.read_csv(dataset / "images.csv").to_dicts())
check("catalog_row", pl.read_parquet(dataset / "catalog.parquet").to_dicts())
configs = toml("trainer/configs")
check("sweep_grid", [config for config in configs if "grid" in config])
check("train_config", [config for config in configs if "grid" not in config])
print(f"{len(checked)} schemas")
