"""The judge's numbers are those of `logodex-eval`, to the last bit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import run

import logodex


def evaluated(path: Path, rows: np.ndarray, embeddings: np.ndarray, out: Path, name: str) -> Path:
    """What `logodex-eval` makes of them."""
    np.save(out / f"{name}.npy", embeddings)
    np.save(out / f"{name}.rows.npy", rows)
    files = ["--embeddings", out / f"{name}.npy", "--rows", out / f"{name}.rows.npy"]
    run("logodex-eval", "evaluate", "--dataset", path, "--split", "s", *files, "--name", name, "--out", out / name)
    return out / name


def files(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
def test_every_file_is_that_of_the_program(
    d: logodex.Dataset, path: Path, rows: np.ndarray, embeddings: np.ndarray, tmp_path: Path, kind: str
) -> None:
    embeddings = embeddings.astype(kind)
    expected = files(evaluated(path, rows, embeddings, tmp_path, "mine"))
    result = logodex.evaluate({"mine": embeddings}, rows, d, split="s", out=tmp_path / "python")
    found = files(result.path / "mine")
    assert found.keys() == expected.keys() and "evaluation.csv" in found
    assert [name for name in found if found[name] != expected[name]] == []


def test_a_report_is_that_of_the_program(
    d: logodex.Dataset, path: Path, rows: np.ndarray, embeddings: np.ndarray, tmp_path: Path
) -> None:
    noise = np.random.default_rng(1).normal(size=(len(rows), 8)).astype(np.float32)
    runs = [evaluated(path, rows, e, tmp_path, name) for name, e in [("mine", embeddings), ("baseline_noise", noise)]]
    run("logodex-eval", "report", "--out", tmp_path / "report", *runs)
    result = logodex.evaluate({"mine": embeddings, "baseline_noise": noise}, rows, d, split=d.split("s"))
    page = result.report(tmp_path / "python")
    assert page == tmp_path / "python/report.html"
    expected, found = files(tmp_path / "report"), files(tmp_path / "python")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []

    assert result.models == ["mine", "baseline_noise"] and result.references == ["baseline_noise"]
    best = result.value("mine", "map")
    assert best["ci_low"] <= best["mean"] <= best["ci_high"]  # type: ignore[operator]
    floors = {row["model"] for row in result.rows} - set(result.models)
    assert floors == {"random", "colour_histogram", "reject_all"}
    (difference,) = [
        row for row in result.differences if (row["protocol"], row["metric"], row["shots"], row["slice"]) == ("paper", "map", 1, "all") and row["region"] == best["region"]
    ]
    noise_map = result.value("baseline_noise", "map")["mean"]
    assert difference["difference"] == pytest.approx(best["mean"] - noise_map)  # type: ignore[operator]
    assert difference["ci_low"] > 0  # type: ignore[operator]
    html = result._repr_html_()
    assert html.count("<svg") >= 4 and "baseline_noise" in html and "<?xml" not in html
    assert "mine" in repr(result)
    polars = pytest.importorskip("polars")
    frame = result.frame()
    assert isinstance(frame, polars.DataFrame) and len(frame) == len(result.rows)
    assert frame["mean"].dtype == polars.Float64
    assert len(result.differences_frame()) == len(result.differences)
    with pytest.raises(logodex.UsageError, match="no row has"):
        result.value("mine", "speed")


def test_without_a_baseline_the_first_is_the_reference(d: logodex.Dataset, rows: np.ndarray, embeddings: np.ndarray) -> None:
    models = {"a": embeddings, "b/ü": embeddings[:, :8]}
    result = logodex.evaluate(models, rows, d, split="s", protocols=["paper"], progress=False)
    assert result.references == ["a"]
    # No whole picture has an embedding, so that none is missing.
    assert not any("have no embedding" in notice for notices in result.notices.values() for notice in notices)
    assert {(row["model"], row["reference"]) for row in result.differences} == {("b/ü", "a")}
    kept = result.path
    assert kept.is_dir()
    del result
    assert not kept.exists()


def test_rows_of_training_brands_are_not_judged(d: logodex.Dataset, rows: np.ndarray, embeddings: np.ndarray) -> None:
    train = d.split("s").fold("train", "object").rows
    rng = np.random.default_rng(3)
    more = rng.normal(size=(len(train), 16)).astype(np.float32)
    ask = {"protocols": ["retrieval"], "progress": False}
    with pytest.raises(logodex.UsageError, match='belongs to a test brand of split "s"'):
        logodex.evaluate({"mine": more}, train, d, split="s", **ask)
    with pytest.warns(UserWarning, match=f"mine: {len(train)} embeddings of training brands are not used"):
        all_ = logodex.evaluate({"mine": np.concatenate([more, embeddings])}, np.concatenate([train, rows]), d, "s", **ask)
    assert all_.rows == logodex.evaluate({"mine": embeddings}, rows, d, "s", **ask).rows
    with pytest.warns(UserWarning, match="mine: 1 of the .* val rows have no embedding"):
        logodex.evaluate({"mine": embeddings[1:]}, rows[1:], d, "s", **ask)


def test_what_does_not_fit_is_told(d: logodex.Dataset, rows: np.ndarray, embeddings: np.ndarray) -> None:
    n = len(rows)
    bad = embeddings.copy()
    bad[3, 3] = np.nan
    for models, of_rows, said in [
        ({}, rows, "no model"),
        ({"mine": embeddings[0]}, rows, r"mine: embeddings are floats \[N, D\]"),
        ({"mine": embeddings.astype(int)}, rows, "int64"),
        ({"mine": embeddings}, rows[:-1], rf"mine: rows are \[{n}\]"),
        ({"mine": embeddings}, rows + len(d), "is not in the dataset"),
        ({"mine": embeddings}, -1 - rows, "is negative"),
        ({"mine": embeddings}, np.zeros(n, int), "row 0"),
        ({"mine": bad}, rows, "finite"),
        ({"random": embeddings}, rows, "floor"),
        ({"a b": embeddings, "a?b": embeddings}, rows, "one folder"),
    ]:
        with pytest.raises(logodex.UsageError, match=said):
            logodex.evaluate(models, of_rows, d, split="s", progress=False)
    for arguments, said in [({"protocols": ["guess"]}, "guess"), ({"region": "boxes"}, "image, object or both")]:
        with pytest.raises(logodex.UsageError, match=said):
            logodex.evaluate({"mine": embeddings}, rows, d, split="s", progress=False, **arguments)
    with pytest.raises(logodex.NotFoundError, match="it has s"):
        logodex.evaluate({"mine": embeddings}, rows, d, split="t", progress=False)


def test_ctrl_c_ends_it_within_a_second(d: logodex.Dataset, path: Path, tmp_path: Path) -> None:
    script = f"""
import numpy as np, logodex
d = logodex.open({str(path)!r})
rows = np.arange(len(d))
embeddings = np.random.default_rng(0).normal(size=(len(d), 20000)).astype(np.float32)
print("go", flush=True)
logodex.evaluate({{"mine": embeddings}}, rows, d, split="s", progress=False)
print("done", flush=True)
"""
    child = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "go\n"
    time.sleep(0.5)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    out, said = child.communicate(timeout=60)
    took = time.monotonic() - began
    assert "KeyboardInterrupt" in said and "done" not in out, (out, said)
    assert took < 1, took
