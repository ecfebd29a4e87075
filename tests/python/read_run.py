"""TensorBoard reads a run's event file, and it holds what metrics.jsonl says; both fit their schemas: read_run.py REPOSITORY RUN"""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

repository, run = map(Path, sys.argv[1:])


def schema(name):
    return Draft202012Validator(json.loads((repository / f"schemas/json/{name}.schema.json").read_text()))


lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
for line in lines:
    schema("metrics_line").validate(line)
schema("run_dataset").validate(json.loads((run / "dataset.json").read_text()))
schema("run_state").validate(json.loads((run / "checkpoints/last/state.json").read_text()))

# No reservoir: every event is kept.
events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
events.Reload()
found = {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def close(a, b):
    return abs(a - b) <= 1e-6 * max(1, abs(b))


def expect(tag, kind, value):
    expected = {line["step"]: value(line) for line in lines if line["kind"] == kind and value(line) is not None}
    assert expected, f"metrics.jsonl has no {tag}"
    # A step written twice would be in the list of events twice.
    assert len(events.Scalars(tag)) == len(expected), tag
    assert found[tag].keys() == expected.keys(), tag
    assert all(close(found[tag][step], expected[step]) for step in expected), tag
    checked.add(tag)


checked = set()
for name in ["loss", "grad_norm", "images_per_sec"]:
    expect(f"step/{name}", "step", lambda line: line[name])
for group in ["backbone", "head", "loss"]:
    expect(f"lr/{group}", "step", lambda line: line["lr"][group])
for name in ["distance", "norm", "effective_rank", "active"]:
    expect(f"monitor/{name}", "step", lambda line: line.get("monitor", {}).get(name))
for name in ["train_loss", "val_loss", "map_at_r", "f1", "threshold", "freeze", "images_per_sec"]:
    expect(f"epoch/{name}", "epoch", lambda line: line.get(name))
assert found.keys() == checked, found.keys() ^ checked
print(f"{len(checked)} curves over {max(line['step'] for line in lines)} steps")
