"""Small datasets, made by the programs themselves: LOGODEX_BIN is their folder (target/release by default)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import logodex

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("LOGODEX_BIN", REPOSITORY / "target/release")).resolve()

# The library that the programs run models with, too.
if not os.environ.get("ORT_DYLIB_PATH"):
    os.environ["ORT_DYLIB_PATH"] = str(REPOSITORY / "third_party/onnxruntime/lib/libonnxruntime.so")


def run(program: str, *arguments: object) -> str:
    """What a program prints; it must succeed."""
    done = subprocess.run([BIN / program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"{program} {arguments}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a raw tree."""
    path = tmp_path_factory.mktemp("logodex")
    run("logodex-fixtures", "tree", "--out", path / "raw", "--brands", 24, "--images-per-brand", 8, "--seed", 5)
    return path


def build(work: Path, name: str, config: str) -> Path:
    """A dataset of the raw tree with a split `s`."""
    (work / f"{name}.toml").write_text(config)
    run("logodex-data", "build", "--raw", work / "raw", "--out", work / name, "--config", work / f"{name}.toml")
    run("logodex-data", "split", "--dataset", work / name, "--name", "s", "--seed", 1, "--test", 0.3, "--val", 0.3)
    return work / name


@pytest.fixture(scope="session")
def path(work: Path) -> Path:
    """A dataset of pictures and objects, 32 px."""
    return build(work, "dataset", 'side = 32\nregion = "both"\n')


@pytest.fixture(scope="session")
def jpegs(work: Path) -> Path:
    """A dataset of JPEGs."""
    return build(work, "jpegs", 'side = 32\nregion = "object"\nencoding = "jpeg"\n')


@pytest.fixture(scope="session")
def objects(work: Path) -> Path:
    """A dataset of objects, as large as the tiles of `logodex-train preview`."""
    return build(work, "objects", 'side = 112\nregion = "object"\n')


@pytest.fixture(scope="session")
def d(path: Path) -> logodex.Dataset:
    return logodex.open(path)


@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    """A copy of the dataset, to be damaged."""
    shutil.copytree(path, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="session")
def rows(d: logodex.Dataset) -> np.ndarray:
    """The rows of objects of validation and test brands."""
    split = d.split("s")
    return np.concatenate([split.fold("val", "object").rows, split.fold("test", "object").rows])


@pytest.fixture(scope="session")
def embeddings(d: logodex.Dataset, rows: np.ndarray) -> np.ndarray:
    """Embeddings of these rows that know a little: the brand's direction, and noise."""
    rng = np.random.default_rng(7)
    directions = rng.normal(size=(len(d.brands), 16))
    return (directions[d.labels[rows]] + rng.normal(size=(len(rows), 16))).astype(np.float32)


@pytest.fixture(scope="session")
def model(work: Path, path: Path) -> Path:
    """A model that learnt next to nothing, exported."""
    config = REPOSITORY / "trainer/configs/tiny.toml"
    text = config.read_text().replace("epochs = 3", "epochs = 1").replace("unfreeze = [{ epoch = 2, freeze = 0, lr_factor = 0.5 }]", "")
    (work / "tiny.toml").write_text(text.replace("[data]", '[data]\nregion = "object"'))
    run("logodex-train", "fit", "--dataset", path, "--split", "s", "--config", work / "tiny.toml", "--run", work / "run")
    run("logodex-train", "export", "--run", work / "run", "--out", work / "model.onnx")
    return work / "model.onnx"
