"""The recipes run: those of examples/, and the blocks of the book's chapter."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

import logodex


def recipe(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> str:
    """What a recipe prints."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(REPOSITORY / "examples" / name), run_name="__main__")
    return printed.getvalue()


def test_the_tour_ends_in_a_report(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = recipe(monkeypatch, "tour.py", path, "s", tmp_path / "out")
    assert "(32, 32, 3) uint8" in said and re.search(r"colours 0\.\d+ \[", said), said
    assert (tmp_path / "out/report.html").is_file()


def test_a_backbone_of_timm_is_tuned_and_judged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ["torch", "timm", "pytorch_metric_learning"]:
        pytest.importorskip(package)
    said = recipe(monkeypatch, "finetune_timm.py", path, "s", "resnet18:untrained", 1)
    assert re.search(r"1-shot mAP resnet18 0\.\d+ \[", said), said


def test_clip_is_judged(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ["torch", "timm"]:
        pytest.importorskip(package)
    said = recipe(monkeypatch, "judge_clip.py", path, "s", tmp_path / "out", "vit_tiny_patch16_224:untrained")
    assert "vit_tiny_patch16_224" in said and (tmp_path / "out/report.html").is_file()


def test_the_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("polars")
    notebook = json.loads((REPOSITORY / "docs/notebooks/tour.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells) and "<svg" in json.dumps(notebook)
    (tmp_path / "data/demo").mkdir(parents=True)
    (tmp_path / "data/demo/dataset").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells:
            exec(compile("".join(cell["source"]).replace('"demo"', '"s"'), "tour.ipynb", "exec"), names)
    assert names["result"].value("colours", "map")["mean"] > 0  # type: ignore[attr-defined]


def blocks(chapter: str) -> list[str]:
    text = (REPOSITORY / "docs/src" / chapter).read_text()
    return re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M)


def test_the_chapters_blocks_run(path: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, as somebody types them, with small files in place of theirs."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/logodet3k").symlink_to(path)
    (tmp_path / "model.onnx").symlink_to(model)
    pictures = sorted((path.parent / "raw/LogoDet-3K").glob("*/*/*.jpg"))
    for name, picture in zip(["a.jpg", "b.jpg", "photo.jpg", "other.jpg"], [pictures[0], pictures[1], pictures[2], pictures[60]]):
        (tmp_path / name).symlink_to(picture)
    monkeypatch.chdir(tmp_path)
    d = logodex.open(path)
    split = d.split("s")
    rng = np.random.default_rng(0)
    names = {"np": np, "rng": rng}
    without_torch = importlib.util.find_spec("torch") is None
    runnable = [block for block in blocks("python.md") if not (without_torch and "DataLoader" in block)]
    assert len(runnable) >= (4 if without_torch else 5), len(runnable)
    for block in runnable:
        block = block.replace('"default"', '"s"').replace("batch=64", "batch=8")
        names.setdefault("my_network", lambda pictures: pictures.reshape(len(pictures), -1)[:, ::200] - 100.0)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block, "python.md", "exec"), names)
    assert split.name == "s"
