"""Every file of an evaluation against its schema: validate_evaluation.py REPOSITORY OUT"""

import json
import sys
from pathlib import Path

import polars as pl
from jsonschema import Draft202012Validator

repository, out = map(Path, sys.argv[1:])


def check(name, documents):
    schema = Draft202012Validator(json.loads((repository / f"schemas/json/{name}.schema.json").read_text()))
    assert documents, f"nothing to hold against {name}"
    for document in documents:
        schema.validate(document)
    for key in schema.schema["required"]:
        assert not schema.is_valid({k: v for k, v in documents[0].items() if k != key}), f"{name} without {key}"


check("evaluation", [json.loads((out / "evaluation.json").read_text())])
files = {"evaluation_row": "evaluation", "episode_row": "episodes", "retrieval_row": "retrieval", "confusion_row": "confusion", "curve_row": "curves"}
for name, file in files.items():
    # A column of nothing but whole numbers may hold 1 for 1.0.
    check(name, pl.read_csv(out / f"{file}.csv", infer_schema_length=None).to_dicts())
print(f"{1 + len(files)} schemas")
