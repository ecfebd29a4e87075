"""Python's own onnx and onnxruntime read an exported model, it embeds the rows of a file of the run's embeddings as the run does, and
its own embeddings are written: read_onnx.py REPOSITORY DATASET MODEL EMBEDDINGS OUT"""

import json
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime
from jsonschema import Draft202012Validator
from safetensors.numpy import load_file, save_file

repository, dataset, model, embeddings, out = map(Path, sys.argv[1:])

onnx.checker.check_model(str(model), full_check=True)
loaded = onnx.load(str(model))
assert [(o.domain, o.version) for o in loaded.opset_import] == [("", 17)]
metadata = {entry.key: entry.value for entry in loaded.metadata_props}
said = json.loads(metadata["logodex"])
Draft202012Validator(json.loads((repository / "schemas/json/model_metadata.schema.json").read_text())).validate(said)

session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
assert session.get_modelmeta().custom_metadata_map["logodex"] == metadata["logodex"]
(image,), (output,) = session.get_inputs(), session.get_outputs()
side = said["preprocessing"]["side"]
assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["batch", side, side, 3]), image
assert (output.name, output.type, output.shape) == ("embedding", "tensor(float)", ["batch", said["embedding_dim"]]), output

rows = {}
for entry in json.loads((dataset / "manifest.json").read_text())["shards"]:
    shard = load_file(dataset / entry["path"])
    rows |= dict(zip((entry["first_row"] + shard["row"]).tolist(), shard["images"]))
expected = load_file(embeddings)
pictures = numpy.stack([rows[row] for row in expected["row"].tolist()])


def unit(x):
    return x / numpy.linalg.norm(x, axis=1, keepdims=True)


least = {"fp32": 1 - 1e-6, "fp16": 0.9999, "int8": 0.98}[said["precision"]]
for batch in [1, 3, len(pictures)]:
    (found,) = session.run(None, {"image": pictures[:batch]})
    assert found.shape == (batch, said["embedding_dim"])
    assert numpy.allclose(numpy.linalg.norm(found, axis=1), 1, atol=1e-5)
    wanted = unit(expected["embeddings"][:batch].astype(numpy.float64))
    if said["precision"] == "fp32":
        assert numpy.linalg.norm(found - wanted, axis=1).max() < 1e-4
    similarity = (found * wanted).sum(axis=1)
    assert similarity.min() > least, similarity.min()
save_file(expected | {"embeddings": found}, out)
print(f"{len(pictures)} embeddings, similarity {similarity.min():.6f} at least")
