"""Type checkers take the package, in strict mode, and a reader of `help` finds every name explained."""

from __future__ import annotations

import inspect
import json
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import logodex

#: A user's program: what is right, and what a checker must refuse.
RIGHT = """
import numpy as np
from numpy.typing import NDArray
import logodex

d: logodex.Dataset = logodex.open("data")
picture: NDArray[np.uint8] = d[3]
pictures: NDArray[np.uint8] = d.batch(np.arange(4))
out = np.zeros((4, 32, 32, 3), np.uint8)
filled: NDArray[np.uint8] = d.batch(range(4), out=out)
names: list[str] = [brand.key for brand in d.brands]
fold: logodex.Fold = d.split("default").train
one, label = fold[0]
number: int = label
several, labels = fold[[1, 2]]
total: np.int64 = labels.sum()
result: logodex.Evaluation = logodex.evaluate({"mine": several}, fold.rows, d, split="default")
recognizer = logodex.Recognizer("model.onnx", gallery="g")
known: str = recognizer.identify("a.jpg").verdict
many: list[str] = [one.verdict for one in recognizer.identify(["a.jpg", "b.jpg"])]
margin = recognizer.enrol("Nike", "a.jpg").margin
for anchor, positive, negative in logodex.TripletSampler(fold, seed=1):
    place: int = anchor + positive + negative
for batch in logodex.PKSampler(fold):
    size: int = len(batch)
"""
WRONG = [
    "logodex.open(3)",
    "logodex.open('data').side.upper()",
    "logodex.open('data').batch('rows')",
    "logodex.open('data').split(1)",
    "logodex.Recognizer('m').identify('a.jpg').colour",
    "logodex.PKSampler('train')",
]


def script(tmp_path: Path) -> Path:
    path = tmp_path / "user.py"
    path.write_text(RIGHT + "\n".join(WRONG) + "\n")
    return path


def wrong_lines() -> list[int]:
    first = RIGHT.count("\n") + 1
    return list(range(first, first + len(WRONG)))


def test_mypy_takes_it(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache"]
    package = subprocess.run([*mypy, "-p", "logodex"], capture_output=True, text=True, cwd=tmp_path)
    assert package.returncode == 0, package.stdout
    used = subprocess.run([*mypy, script(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    lines = sorted({int(line.split(":")[1]) for line in used.stdout.splitlines() if ": error:" in line})
    assert lines == wrong_lines(), used.stdout


def test_pyright_takes_it(tmp_path: Path) -> None:
    pytest.importorskip("pyright")
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "reportMissingImports": "none"}')
    # Checked as it is installed: a link, since pyright passes over what lies in site-packages.
    (tmp_path / "logodex").symlink_to(Path(inspect.getfile(logodex)).parent)
    script(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", tmp_path],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not start here: {done.stderr.strip()[-200:]}")
    said = json.loads(done.stdout)["generalDiagnostics"]
    errors = [one for one in said if one["severity"] == "error"]
    ours = [one for one in errors if not one["file"].endswith("user.py")]
    assert ours == [], json.dumps(ours, indent=1)
    assert sorted({one["range"]["start"]["line"] + 1 for one in errors}) == wrong_lines(), json.dumps(errors, indent=1)


def test_help_explains_every_name() -> None:
    text = pydoc.plain(pydoc.render_doc(logodex))
    assert "map-style dataset" in text and "[side, side, 3]" in text
    for name in logodex.__all__:
        thing = getattr(logodex, name)
        assert inspect.getdoc(thing), name
        if inspect.isclass(thing) and thing.__module__.startswith("logodex"):
            for member, value in vars(thing).items():
                if not member.startswith("_") and (callable(value) or isinstance(value, property) or inspect.isgetsetdescriptor(value)):
                    assert inspect.getdoc(value), f"{name}.{member}"
